"""From ``my_net.py:Net`` to a description and its weights, which compute what the module computes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lenet_edge.errors import BadInputError
from lenet_edge.learning.torch_module import agreement, graph, network_name, source
from lenet_edge.learning.torch_module.affine import Affine
from lenet_edge.learning.torch_module.chain import Chain, Unsupported
from lenet_edge.learning.torch_module.finish import finish, name_inputs
from lenet_edge.learning.torch_module.graph import Operation
from lenet_edge.learning.torch_module.operations import problems_of
from lenet_edge.learning.torch_module.source import Source, own_code
from lenet_edge.learning.torch_module.weights import load_weights, require_finite
from lenet_edge.networks import reader
from lenet_edge.networks.description import ImageShape, Network

__all__ = ["ImportedModule", "Normalization", "load"]

Tensors: TypeAlias = dict[str, npt.NDArray[Any]]

_COMPARED = 16  # random images
_TOLERANCE = 1e-4  # of the largest logit: float32 with sums in another order


@dataclass(frozen=True)
class Normalization:
    """What the module expects of its images: ``(x - mean) / std`` of x in 0..1, a number each or one per channel."""

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)


@dataclass(frozen=True, eq=False)
class ImportedModule:
    """A module as a network.

    Attributes:
        network: its description.
        tensors: its weights under the names of `learning.network.build`'s module, with the batch
            normalisations that it is trained with.
        notes: what the user should know, a line each.
        largest_difference: between its logits and the module's, on random images.
        largest_logit: of the module's, by its absolute value.
    """

    network: Network
    tensors: Tensors
    notes: tuple[str, ...]
    largest_difference: float
    largest_logit: float


def load(
    reference: str,
    image_shape: ImageShape,
    classes: int,
    *,
    weights: Path | None = None,
    seed: int = 0,
    normalization: Normalization | None = None,
) -> ImportedModule:
    """Run the user's file, take its module over, and compare the two.

    Args:
        reference: ``FILE.py:NAME`` or ``package.module:NAME``.
        image_shape: height, width, channels.
        weights: a safetensors file or a state dict; without it the module's own initial weights.
        seed: of those.
        normalization: of the images that the module was trained with; it goes into the network.

    Raises:
        BadInputError: the file fails, has no such module, or it cannot be taken over: all that is in the way.
    """
    height, width, channels = image_shape
    arguments = {"classes": classes, "num_classes": classes, "in_channels": channels}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        where, found = source.find(reference)
        module = source.create(where, found, arguments).to("cpu", torch.float32).eval()
        images = torch.rand(_COMPARED, channels, height, width, generator=torch.Generator().manual_seed(0))
        taken = _normalized(images, normalization or Normalization(), channels)
        _run(module, taken[:2], where, classes)  # also gives lazy layers their shapes
        if weights is not None:
            load_weights(module, weights)
        require_finite(module, reference)
        expected = _run(module, taken, where, classes)
        chain = _chain(graph.operations(module, taken[:2], where), where, image_shape, normalization)
    name_inputs(chain)
    network = reader.from_json(reader.to_json(_network(chain, where, image_shape)), reference)
    notes = tuple(dict.fromkeys(chain.notes))
    return ImportedModule(network, _tensors(chain), notes, *_compared(chain, images, expected, reference))


def _compared(chain: Chain, images: Tensor, expected: Tensor, reference: str) -> tuple[float, float]:
    """The largest difference between what the chain and the module give, and the largest output.

    Raises:
        BadInputError: they do not agree, or are not finite.
    """
    difference = float((agreement.outputs(chain, images) - expected).abs().max())
    largest = float(expected.abs().max())
    if not math.isfinite(largest):
        raise BadInputError(f"{reference} gives values that are not finite: its weights are of no use")
    if not difference <= _TOLERANCE * max(largest, 1e-3):
        raise BadInputError(
            f"{reference} was taken over, but computes something else: outputs differ by {difference:.3g} where the "
            f"largest is {largest:.3g}. Does its forward use random numbers, or change what it holds?"
        )
    return difference, largest


def _normalized(images: Tensor, normalization: Normalization, channels: int) -> Tensor:
    for name, values in (("mean", normalization.mean), ("std", normalization.std)):
        if len(values) not in (1, channels) or not np.isfinite(values).all():
            raise BadInputError(f"the {name} must be one finite number, or one for each of {channels} channels")
    if min(normalization.std) <= 0:
        raise BadInputError("the std must be above 0: images are divided by it")
    mean, std = (torch.tensor(each).view(1, -1, 1, 1) for each in (normalization.mean, normalization.std))
    return (images - mean) / std


def _run(module: nn.Module, images: Tensor, where: Source, classes: int) -> Tensor:
    """The module's outputs, as PyTorch computes them."""
    shape = " x ".join(str(size) for size in images.shape[1:])
    with own_code(where, f"running it on images of {shape}"), torch.no_grad():
        outputs = module(images.clone())
    if not isinstance(outputs, Tensor):
        raise BadInputError(f"{where.reference} gives a {type(outputs).__name__}; it must give logits and nothing else")
    if tuple(outputs.shape) != (len(images), classes):
        raise BadInputError(
            f"{where.reference} gives {list(outputs.shape[1:])} values for an image, not one for each of {classes} "
            "classes. A class or function with an argument `classes` or `num_classes` is given their number."
        )
    return outputs


def _chain(
    operations: Sequence[Operation], where: Source, image_shape: ImageShape, normalization: Normalization | None
) -> Chain:
    height, width, channels = image_shape
    chain = Chain((channels, height, width))
    if normalization is not None:
        mean, std = (np.broadcast_to(np.array(each), channels) for each in (normalization.mean, normalization.std))
        chain.scale("normalize", Affine(1 / std, -mean / std))
    problems = problems_of(operations, chain)
    ending = ""
    try:
        if not problems:
            chain.shape = operations[-1].shape[1:] if operations else chain.shape
            finish(chain)
    except Unsupported as problem:
        ending = str(problem)
    if problems or ending:
        said = "; ".join([*_grouped(problems), *([ending] if ending else [])])
        raise BadInputError(f"{where.reference} cannot be taken over: {said}.")
    return chain


def _grouped(problems: Sequence[tuple[Operation, str]]) -> list[str]:
    """A text for each kind of problem, with all its places."""
    groups: dict[tuple[str, str], list[str]] = {}
    for operation, advice in problems:
        name = operation.place.type or operation.kind
        groups.setdefault((name, advice), []).append(str(operation.place))
    return [
        f"{name} at {', '.join(dict.fromkeys(place for place in places if place)) or 'some place'}: {advice}"
        for (name, advice), places in groups.items()
    ]


def _network(chain: Chain, where: Source, image_shape: ImageShape) -> Network:
    return Network(
        network_name(where.file.stem, where.attribute),
        f"The PyTorch module {where.attribute} of {where.file.name}.",
        tuple(layer.description for layer in chain.features),
        tuple(layer.description for layer in chain.classifier),
        image_shape,
    )


def _tensors(chain: Chain) -> Tensors:
    """Float32 arrays under PyTorch's names."""
    tensors: Tensors = {}
    for module, layers in (("features", chain.features), ("classifier", chain.classifier)):
        for layer in layers:
            name = f"{module}.{layer.description.name}"
            if layer.weight is None or layer.bias is None:
                continue
            tensors |= {f"{name}.weight": layer.weight, f"{name}.bias": layer.bias}
            if layer.norm is not None:
                norm = layer.norm
                # build's normalisation has PyTorch's own eps: the variance makes up for another one.
                variance = norm.var + norm.eps - nn.BatchNorm2d(1).eps
                tensors |= {f"{name}_norm.weight": norm.weight, f"{name}_norm.bias": norm.bias}
                tensors |= {f"{name}_norm.running_mean": norm.mean, f"{name}_norm.running_var": variance}
    return {name: np.ascontiguousarray(array, np.float32) for name, array in tensors.items()}
