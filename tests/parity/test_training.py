"""Float training: the network of the paper, the same weights for the same seed, interrupted or not."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lenet_edge.errors import BadInputError, CheckFailedError
from lenet_edge.learning import checkpoint, training
from lenet_edge.learning.checkpoint import Checkpoint
from lenet_edge.learning.network import TorchNetwork, build, to_tensors
from lenet_edge.learning.training import TrainingProgress, TrainingSet, TrainingSettings
from lenet_edge.networks import reader, shapes
from lenet_edge.networks.description import Network

CLASSES = ("top", "bottom", "left")
ARCHITECTURES = ("lenet5", "lenet5-sigmoid")


def described(name: str) -> Network:
    """The network of that name, which goes through a data set once an epoch, however small that is."""
    network = reader.load(name)
    return dataclasses.replace(network, recipe=dataclasses.replace(network.recipe, least_steps=1))


def lenet5(classes: int = 10) -> TorchNetwork:
    return build(reader.load("lenet5"), classes=classes)


def stripes(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise with a bright band at the top, the bottom or the left: three classes that are easy to learn."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 60, (count, 28, 28), dtype=np.uint8)
    labels = rng.integers(0, 3, count).astype(np.uint8)
    images[labels == 0, 4:9, :] += 180
    images[labels == 1, 19:24, :] += 180
    images[labels == 2, :, 4:9] += 180
    return images, labels


IMAGES, LABELS = stripes(500, seed=1)  # three whole batches and a part of one
VALIDATION = stripes(90, seed=2)


def run(path: Path, **changes: Any) -> Checkpoint:
    data = TrainingSet(changes.pop("images", IMAGES), changes.pop("labels", LABELS), *VALIDATION)
    how = {name: changes.pop(name) for name in ("resume", "progress") if name in changes}
    network = described(changes.pop("arch", "lenet5"))
    settings = TrainingSettings(network, **({"classes": CLASSES, "dataset": "stripes", "epochs": 3} | changes))
    return training.train(data, settings, path, **how)


class Interrupter:
    """A progress callback that stops the training like Ctrl-C does."""

    def __init__(self, epoch: int, batch: int, after_evaluation: bool = False) -> None:
        self.place = (epoch, batch, after_evaluation)

    def __call__(self, progress: TrainingProgress) -> None:
        if (progress.epoch, progress.batch, progress.validation_accuracy is not None) == self.place:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return run(tmp_path_factory.mktemp("whole") / "x.partial.safetensors")


def final_bytes(result: Checkpoint) -> bytes:
    return checkpoint.to_bytes(result.tensors, result.metadata)


# --- the network ------------------------------------------------------------------------------------


def test_the_network_has_the_layers_of_the_paper() -> None:
    model = lenet5()
    weights = {name: layer.weight.shape for name, layer in model.named_modules() if hasattr(layer, "weight")}
    assert weights == {
        "features.C1": (6, 1, 5, 5),
        "features.C3": (16, 6, 5, 5),
        "classifier.C5": (120, 400),
        "classifier.F6": (84, 120),
        "classifier.OUTPUT": (10, 84),
    }


def test_the_feature_maps_have_the_sizes_of_the_paper() -> None:
    maps, sizes = torch.zeros(2, 1, 28, 28), {}
    for name, layer in lenet5().features.named_children():
        maps = layer(maps)
        sizes[name] = tuple(maps.shape[1:])
    sizes = {name: sizes[name] for name in ("C1", "S2", "C3", "S4")}
    assert sizes == {"C1": (6, 28, 28), "S2": (6, 14, 14), "C3": (16, 10, 10), "S4": (16, 5, 5)}


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_checkpoints_expect_the_tensors_of_the_network(arch: str) -> None:
    tensors = to_tensors(build(reader.load(arch), classes=7))
    expected = shapes.weight_shapes(reader.load(arch), (28, 28, 1), 7)
    assert {name: tensor.shape for name, tensor in tensors.items()} == expected


@pytest.mark.parametrize(("arch", "squash"), [("lenet5", nn.ReLU), ("lenet5-sigmoid", nn.Sigmoid)])
def test_the_activation_follows_every_hidden_layer(arch: str, squash: type[nn.Module]) -> None:
    model = build(reader.load(arch))
    layers = [*model.features, *model.classifier]
    weighted = [index for index, layer in enumerate(layers) if isinstance(layer, (nn.Conv2d, nn.Linear))]
    assert [type(layers[index + 1]) for index in weighted[:-1]] == [squash] * 4
    assert weighted[-1] == len(layers) - 1


def test_subsampling_is_over_2x2_windows() -> None:
    window = torch.tensor([[1.0, 2.0], [3.0, 4.0]])[None, None]
    assert lenet5().features.S2(window).item() == 4


def test_maps_are_flattened_in_channel_row_column_order() -> None:
    model = lenet5()
    images = torch.rand(1, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        maps = model.features(images)
        first = float(torch.relu(maps[0]).reshape(-1) @ model.classifier.C5.weight[0] + model.classifier.C5.bias[0])
        seen: list[torch.Tensor] = []
        model.classifier.C5.register_forward_hook(lambda _module, _input, output: seen.append(output))
        model(images)
    assert seen[0][0, 0].item() == pytest.approx(first, rel=1e-5, abs=1e-6)


def test_the_distribution_is_one() -> None:
    distribution = build(reader.load("lenet5-sigmoid")).distribution(torch.rand(5, 1, 28, 28))
    assert distribution.shape == (5, 10)
    assert (distribution > 0).all()
    torch.testing.assert_close(distribution.sum(1), torch.ones(5))


def test_the_sigmoid_form_starts_with_a_gain_of_four() -> None:
    model = build(reader.load("lenet5-sigmoid"))
    model.initialize(reader.load("lenet5-sigmoid").recipe.initial_gain, torch.Generator().manual_seed(0))
    for name, gain, fans in (("C5", 4, 400 + 120), ("F6", 4, 120 + 84), ("OUTPUT", 1, 84 + 10)):
        layer = getattr(model.classifier, name)
        bound = gain * (6 / fans) ** 0.5
        assert 0.97 * bound < layer.weight.abs().max().item() <= bound
        assert layer.bias.abs().max().item() == 0


# --- training ---------------------------------------------------------------------------------------


def test_training_learns(uninterrupted: Checkpoint, tmp_path: Path) -> None:
    result = run(tmp_path / "x", epochs=12)
    assert result.metadata["validation_accuracy"] > 0.95
    checkpoint.save(tmp_path / "x.safetensors", result.tensors, result.metadata)
    model = training.load(tmp_path / "x.safetensors")
    assert training.evaluate(model, *VALIDATION) == result.metadata["validation_accuracy"]


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_same_seed_same_weights(arch: str, tmp_path: Path) -> None:
    first, again, other = (run(tmp_path / "x", arch=arch, epochs=1, seed=seed) for seed in (5, 5, 6))
    assert final_bytes(first) == final_bytes(again)
    assert not np.array_equal(first.tensors["features.C1.weight"], other.tensors["features.C1.weight"])


def test_same_seed_same_weights_with_two_threads(tmp_path: Path) -> None:
    """The workers of pytest-xdist have one each (tests/conftest.py), users as many as cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        first, again = (run(tmp_path / "x", epochs=2) for _ in range(2))
    finally:
        torch.set_num_threads(threads)
    assert final_bytes(first) == final_bytes(again)


def test_training_leaves_torchs_random_numbers_alone(tmp_path: Path) -> None:
    torch.manual_seed(1)
    first = run(tmp_path / "x", epochs=1)
    torch.manual_seed(2)
    assert final_bytes(run(tmp_path / "x", epochs=1)) == final_bytes(first)


@pytest.mark.parametrize(
    ("place", "epochs_done"),
    [((1, 1), 0), ((2, 3), 1), ((2, 4, True), 1), ((3, 2), 2), ((3, 4), 2)],
)
def test_interrupted_and_resumed_gives_the_same_bytes(
    place: tuple[Any, ...], epochs_done: int, uninterrupted: Checkpoint, tmp_path: Path
) -> None:
    partial = tmp_path / "x.partial.safetensors"
    with pytest.raises(KeyboardInterrupt):
        run(partial, progress=Interrupter(*place))
    left = checkpoint.load(partial)
    assert left.metadata["epochs_done"] == epochs_done
    assert training.evaluate(training.load(partial), *VALIDATION) == left.metadata["validation_accuracy"]
    seen: list[tuple[float, float]] = []
    resumed = run(partial, resume=True, progress=lambda now: _note(now, seen))
    assert final_bytes(resumed) == final_bytes(uninterrupted)
    history = training.read_history(partial)
    assert len(history) == 3
    assert history[epochs_done:] == seen
    assert history[-1][1] == uninterrupted.metadata["validation_accuracy"]


def _note(now: TrainingProgress, seen: list[tuple[float, float]]) -> None:
    """Keep how an epoch ended."""
    if now.validation_accuracy is not None:
        seen.append((now.loss, now.validation_accuracy))


def test_a_finished_checkpoint_has_no_history(uninterrupted: Checkpoint, tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "x", uninterrupted.tensors, uninterrupted.metadata)
    with pytest.raises(BadInputError, match="does not say how its epochs went"):
        training.read_history(tmp_path / "x")


def test_resuming_a_training_that_had_ended_changes_nothing(uninterrupted: Checkpoint, tmp_path: Path) -> None:
    run(tmp_path / "x")
    assert final_bytes(run(tmp_path / "x", resume=True)) == final_bytes(uninterrupted)


def test_the_last_epoch_is_kept_whatever_validation_says(tmp_path: Path) -> None:
    seen: list[float] = []

    def note(progress: TrainingProgress) -> None:
        if progress.validation_accuracy is not None:
            seen.append(progress.validation_accuracy)

    # Wrong labels: the accuracy goes up and down as it likes, and the last epoch is not the best.
    result = run(tmp_path / "x", labels=np.roll(LABELS, 1), progress=note)
    assert len(seen) == 3
    assert seen[-1] < max(seen)
    assert result.metadata["validation_accuracy"] == seen[-1]
    assert training.evaluate(network_of(result), *VALIDATION) == seen[-1]


def network_of(saved: Checkpoint) -> TorchNetwork:
    model = lenet5(len(saved.metadata["classes"]))
    model.load_state_dict({name: torch.from_numpy(tensor.copy()) for name, tensor in saved.tensors.items()})
    return model


def test_progress_is_told_of_every_batch_and_epoch(tmp_path: Path) -> None:
    told: list[TrainingProgress] = []
    run(tmp_path / "x", epochs=2, progress=told.append)
    places = [(one.epoch, one.batch, one.validation_accuracy is not None) for one in told]
    epoch = [(1, False), (2, False), (3, False), (4, False), (4, True)]
    assert places == [(number, *rest) for number in (1, 2) for rest in epoch]
    assert all(np.isfinite(one.loss) for one in told)
    assert {(one.batches, one.epochs) for one in told} == {(4, 2)}


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run(tmp_path / "x", epochs=1)
    assert capfd.readouterr() == ("", "")


def test_the_schedule_is_pytorchs_one_cycle() -> None:
    optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(1))])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=101)
    for step in range(101):
        group = optimizer.param_groups[0]
        rate, momentum = training.one_cycle(step / 100, 4e-3)
        # PyTorch's rise ends one step early: at 0.3 * total_steps - 1.
        assert rate == pytest.approx(group["lr"], abs=2.1e-4)
        assert momentum == pytest.approx(group["betas"][0], abs=6e-3)
        optimizer.step()
        schedule.step()
    assert training.one_cycle(0, 1) == pytest.approx((1 / 25, 0.95))
    assert training.one_cycle(0.3, 1) == pytest.approx((1, 0.85))
    assert training.one_cycle(1, 1) == pytest.approx((4e-6, 0.95))


def test_logits_come_in_batches_like_one_by_one() -> None:
    images, labels = stripes(1003, seed=4)
    model = lenet5(3)
    found = training.logits(model, images)
    assert found.dtype == np.float32
    assert found.shape == (1003, 3)
    with torch.no_grad():
        last = model(torch.from_numpy(images[-1:])[:, None].float() / 255)
    np.testing.assert_allclose(found[-1:], last.numpy(), rtol=1e-4, atol=1e-5)
    assert training.evaluate(model, images, labels) == np.mean(found.argmax(1) == labels)


# --- what is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 4}, "epochs is 3 there and 4 here"),
        ({"seed": 1}, "seed is 0 there and 1 here"),
        ({"arch": "lenet5-sigmoid"}, "arch is lenet5 there and lenet5-sigmoid here"),
        ({"dataset": "mnist"}, "dataset is stripes there and mnist here"),
        ({"classes": ("a", "b", "c")}, "classes is"),
        ({"labels": np.roll(LABELS, 1)}, "data_sha256 is"),
        ({"images": IMAGES[::-1].copy()}, "data_sha256 is"),
    ],
)
def test_resuming_another_training_is_refused(
    change: dict[str, Any], message: str, uninterrupted: Checkpoint, tmp_path: Path
) -> None:
    path = tmp_path / "x.partial.safetensors"
    with pytest.raises(KeyboardInterrupt):
        run(path, progress=Interrupter(1, 1))
    before = path.read_bytes()
    with pytest.raises(BadInputError, match=message):
        run(path, resume=True, **change)
    assert path.read_bytes() == before


def test_resuming_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="does not exist"):
        run(tmp_path / "x", resume=True)


def test_resuming_a_final_checkpoint_is_refused(uninterrupted: Checkpoint, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(final_bytes(uninterrupted))
    with pytest.raises(BadInputError, match="finished checkpoint"):
        run(tmp_path / "x", resume=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs"),
        ({"seed": -1}, "seed"),
        ({"images": IMAGES[:-1]}, "training set"),
        ({"images": IMAGES.astype(np.float32)}, "uint8"),
        ({"images": IMAGES[:, :27]}, "28, 28"),
        ({"images": IMAGES[:0], "labels": LABELS[:0]}, "n > 0"),
        ({"labels": LABELS + 1}, "label 3, but there are 3 classes"),
        ({"arch": "alexnet"}, "alexnet"),
        ({"device": "abacus"}, "abacus"),
        ({"device": "meta"}, "meta"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=message):
        run(tmp_path / "x", **change)
    assert not list(tmp_path.iterdir())


def test_divergence_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "one_cycle", lambda _progress, _peak: (1e30, 0.9))
    with pytest.raises(CheckFailedError, match="diverged in epoch 1"):
        run(tmp_path / "x")
    checkpoint.load(tmp_path / "x")  # the untrained weights are still there, and whole


def test_the_final_file_is_left_alone(tmp_path: Path) -> None:
    final = tmp_path / "lenet5.safetensors"
    final.write_bytes(b"older")
    partial = training.partial_path(final)
    assert partial == tmp_path / "lenet5.partial.safetensors"
    run(partial, epochs=1)
    assert final.read_bytes() == b"older"
    assert sorted(path.name for path in tmp_path.iterdir()) == [partial.name, final.name]
