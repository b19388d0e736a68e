"""Small Keras models with random weights, converted to full int8 as TensorFlow's documentation says: a program.

    python tests/keras_models.py FOLDER

writes NAME.tflite there for each of `MODELS`, and NAME-float.tflite of those in `FLOAT`. Nothing is trained: what
counts is what the converter makes of layers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
import tensorflow as tf

keras = tf.keras
layers = keras.layers


def _pictures() -> keras.Model:
    """A residual network with a depthwise convolution."""
    image = keras.Input((16, 16, 3))
    first = _normalised(layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(image))
    deep = _normalised(layers.DepthwiseConv2D(3, padding="same", use_bias=False)(first))
    deep = layers.BatchNormalization()(layers.Conv2D(8, 1, use_bias=False)(deep))
    joined = layers.Add()([first, deep])
    outputs = layers.Dense(5)(layers.GlobalAveragePooling2D()(joined))
    return keras.Model(image, layers.Softmax()(outputs))


def _normalised(values):
    return layers.ReLU(max_value=6)(layers.BatchNormalization()(values))


def _series(dilation: int, batch: int | None) -> keras.Model:
    """Convolutions along time."""
    series = keras.Input((32, 4), batch_size=batch)
    found = layers.Conv1D(8, 5, padding="same", activation="relu")(series)
    found = layers.MaxPooling1D(2)(found)
    found = layers.Conv1D(8, 3, dilation_rate=dilation, activation="relu")(found)
    return keras.Model(series, layers.Dense(3)(layers.Flatten()(found)))


MODELS: Mapping[str, Callable[[], keras.Model]] = MappingProxyType(
    {
        "pictures": _pictures,
        "series": partial(_series, 1, None),
        "dilated": partial(_series, 2, 1),
        "dilated-in-an-open-batch": partial(_series, 2, None),
    }
)


def _rescaled() -> keras.Model:
    """With what float models have around their layers: a Rescaling, batch normalisation behind a pooling, tanh."""
    image = keras.Input((16, 16, 3))
    found = layers.Conv2D(6, 3, activation="tanh")(layers.Rescaling(1 / 127.5, offset=-1)(image))
    found = layers.BatchNormalization()(layers.MaxPooling2D(2)(found))
    found = layers.Concatenate()([found, layers.Conv2D(4, 3, padding="same", activation="relu")(found)])
    found = layers.BatchNormalization()(layers.Flatten()(layers.AveragePooling2D(7)(found)))
    return keras.Model(image, layers.Dense(5, activation="softmax")(found))


FLOAT: Mapping[str, Callable[[], keras.Model]] = MappingProxyType({"pictures": _pictures, "rescaled": _rescaled})


def _normalise(model: keras.Model, random: np.random.Generator) -> None:
    """What is not trained is the identity."""
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            ranges = ((0.5, 2), (-1, 1), (-1, 1), (0.5, 2))  # gamma, beta, mean, variance
            layer.set_weights([random.uniform(*ends, layer.gamma.shape) for ends in ranges])


def float32(model: keras.Model, random: np.random.Generator) -> bytes:
    """The .tflite as the converter makes it by itself."""
    _normalise(model, random)
    return tf.lite.TFLiteConverter.from_keras_model(model).convert()


def int8(model: keras.Model, random: np.random.Generator) -> bytes:
    """The .tflite, calibrated with noise."""
    _normalise(model, random)
    samples = random.uniform(-1, 1, (50, 1, *model.input_shape[1:])).astype(np.float32)
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([sample] for sample in samples)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


if __name__ == "__main__":
    keras.utils.set_random_seed(1)
    for name, make in MODELS.items():
        (Path(sys.argv[1]) / f"{name}.tflite").write_bytes(int8(make(), np.random.default_rng(1)))
    for name, make in FLOAT.items():
        (Path(sys.argv[1]) / f"{name}-float.tflite").write_bytes(float32(make(), np.random.default_rng(2)))
