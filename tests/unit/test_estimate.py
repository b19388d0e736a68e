"""What `fits` says before a network is trained: made-up models, verdicts, the record that it estimates from."""

from __future__ import annotations

import json
from dataclasses import replace

import estimated_few_bits
import estimated_networks
import numpy as np
import pytest
from estimated_networks import made_up
from few_bits_models import with_levels

from lenet_edge.cli.fits import _about
from lenet_edge.estimate import (
    FITS,
    IMPOSSIBLE,
    MOST_WEIGHTS,
    TIGHT,
    TOO_BIG,
    Count,
    at_least,
    estimate,
    weights_of,
    with_sizes,
)
from lenet_edge.estimate.board import count_of, users_of
from lenet_edge.estimate.measured import (
    FILE,
    MEASURED_FORMAT,
    core_of,
    costs_of,
    measured,
    parse_measured,
    rest_of,
)
from lenet_edge.formats import c_source
from lenet_edge.hardware import boards
from lenet_edge.networks import reader, shapes
from lenet_edge.networks.description import AveragePooling, Convolution, FullyConnected, Network
from lenet_edge.quantized.model import WEIGHTED, Conv2d, DepthwiseConv2d
from lenet_edge.quantized.tie_free import tie_free_problem
from lenet_edge.records import Sizes
from lenet_edge.records.fields import WrongRecordError

LENET5 = made_up(estimated_networks.lenet5(), (28, 28, 1), 10)
PICO = boards.load("pico")


@pytest.mark.parametrize(
    "network", [estimated_networks.lenet5("tanh"), estimated_networks.separable(), estimated_networks.mixed()]
)
def test_a_made_up_model_has_the_network_s_shapes_and_is_tie_free(network):
    model = made_up(network, (24, 20, 3), 7)
    assert tie_free_problem(model) is None
    found = {layer.name: layer.output.shape for layer in model.layers}
    wanted = shapes.output_shapes(network, (24, 20, 3), 7)
    assert {name: found[name] for name in wanted} == wanted
    weights = [layer.weights.size for layer in model.layers if isinstance(layer, WEIGHTED) and layer.name != "mean"]
    sizes = shapes.weight_shapes(network, (24, 20, 3), 7)
    assert weights == [int(np.prod(shape)) for name, shape in sizes.items() if name.endswith("weight")]
    assert weights_of(network, (24, 20, 3), 7) == sum(weights)


def test_an_average_is_one_even_weight():
    network = Network("n", "", (AveragePooling("mean", (2, 2)),), (FullyConnected("out", None),))
    mean = made_up(network, (8, 8, 3), 3).layers[0]
    assert isinstance(mean, DepthwiseConv2d)
    assert np.unique(mean.weights).size == 1
    assert mean.output.shape == (4, 4, 3)


def test_padding_that_tflite_does_not_have_is_rows_of_zeros_as_quantize_makes_them():
    """PyTorch's padding of 1 around 3 x 3 at stride 2 is "same" with a window of 4 x 4 on a map of even size."""
    network = Network("n", "", (Convolution("c", 4, (3, 3), (2, 2), (1, 1)),), (FullyConnected("out", None),))
    layer = made_up(network, (28, 28, 1), 10).layers[0]
    assert isinstance(layer, Conv2d)
    assert (layer.weights.shape, layer.padding, layer.output.shape) == ((4, 4, 4, 1), "same", (14, 14, 4))
    assert not layer.weights[:, 3].any()
    assert not layer.weights[:, :, 3].any()


def test_relu6_takes_no_clamp_of_its_own():
    network = Network("n", "", (Convolution("c", 4, (3, 3), activation="relu6"),), (FullyConnected("out", None),))
    layer = made_up(network, (28, 28, 1), 10).layers[0]
    assert (layer.clamp_min, layer.clamp_max) == (-128, 127)
    assert layer.output.scale == pytest.approx(6 / 255)


def test_sizes_of_lenet5_are_those_of_its_record():
    """The weights of LeNet-5 are 62,414 bytes (docs/design.md); the record has another model of the same shapes."""
    pico = estimate(LENET5, PICO)
    assert pico.flash_bytes == pytest.approx(76_320, rel=0.01)
    assert (pico.verdict, pico.tables_bytes) == (FITS, 69_960)
    assert estimate(LENET5, PICO, "size").tables_bytes == 62_414 + 4 * (6 + 16 + 120 + 84 + 10)


def budgeted(flash_bytes: int):
    return replace(PICO, budget=replace(PICO.budget, flash_bytes=flash_bytes))


def test_verdicts_at_their_limits():
    flash = estimate(LENET5, PICO).flash_bytes
    assert estimate(LENET5, budgeted(flash - 1)).verdict == TOO_BIG
    assert estimate(LENET5, budgeted(flash - 5)).flash_over == 5
    assert estimate(LENET5, budgeted(flash)).verdict == TIGHT
    assert estimate(LENET5, budgeted(-(-flash * 10 // 9) + 1)).verdict == FITS


def test_what_was_built_takes_the_place_of_what_was_estimated():
    sizes = Sizes(code=2_000_000, tables=97_157, weights=0, buffers=262_000, stack=500, input_image=0)
    built = with_sizes(estimate(LENET5, PICO), PICO, sizes, "gcc 12")
    assert (built.flash_bytes, built.ram_bytes) == (2_097_157, 262_500)
    assert (built.verdict, built.flash_over, built.ram_over, built.toolchain) == (TOO_BIG, 5, 356, "gcc 12")
    assert built.count == estimate(LENET5, PICO).count
    failed = with_sizes(built, PICO, None, "no such instruction")
    assert (failed.verdict, failed.problem) == (IMPOSSIBLE, "no such instruction")


def test_an_image_that_no_message_carries_is_impossible():
    model = made_up(estimated_networks.tiny(), (200, 200, 3), 10)
    found = estimate(model, boards.load("mps2-an386"))
    assert found.verdict == IMPOSSIBLE
    assert "120,000 bytes" in found.problem


def test_more_weights_than_are_made_up():
    assert at_least(MOST_WEIGHTS + 1, PICO).flash_over == MOST_WEIGHTS + 1 - 2_097_152
    assert at_least(MOST_WEIGHTS + 1, budgeted(1 << 30)).verdict == IMPOSSIBLE


def test_slower_kernels_are_seen():
    """A row of weights of which all are the largest does not fit lanes of 16 bits (families/lanes.py)."""
    extreme = [
        replace(layer, weights=np.full_like(layer.weights, 126)) if layer.name == "C3" else layer
        for layer in LENET5.layers
    ]
    slow, fast = (estimate(replace(LENET5, layers=tuple(layers)), PICO) for layers in (extreme, LENET5.layers))
    assert slow.count.about > 1.05 * fast.count.about
    assert fast.count.least <= fast.count.about <= fast.count.most


def test_a_board_of_one_s_own_is_estimated_like_its_kin():
    mine, pico = estimate(LENET5, replace(PICO, name="mine")), estimate(LENET5, PICO)
    assert (mine.flash_bytes, mine.ram_bytes, mine.count) == (pico.flash_bytes, pico.ram_bytes, pico.count)
    plain = replace(PICO, name="mine", cpu=replace(PICO.cpu, kernels="plain"))
    assert "cortex-m0plus" in core_of(plain).cores
    other = replace(PICO, name="mine", port=replace(PICO.port, family="another"))
    assert rest_of(other).core == "cortex-m0plus"


def test_every_network_of_the_project_is_estimated():
    for name in reader.names():
        network = reader.load(name)
        model = made_up(network, network.input or (32, 32, 1), 10)
        assert estimate(model, boards.load("mps2-an386")).flash_bytes


# --- the record -----------------------------------------------------------------------------------


def content() -> dict:
    return json.loads(FILE.read_text(encoding="utf-8"))


def test_every_board_and_every_kernel_of_its_family_was_measured():
    assert [rest.board for rest in measured().boards] == list(boards.board_names())
    kinds = {(board.cpu.core, board.cpu.kernels) for board in map(boards.load, boards.board_names())}
    assert {(name, core.kernels) for core in measured().cores for name in core.cores} == kinds
    for board in map(boards.load, boards.board_names()):
        core = core_of(board)
        for family in {board.cpu.kernels, c_source.PLAIN}:
            for model in estimated_networks.tested().values():
                plan = c_source.make_plan(model, family)
                files = {path for placed in plan.steps for path in placed.kernel.sources}
                assert {path for path in files if path.endswith((".c", ".S"))} <= core.sources.keys()


@pytest.mark.parametrize(
    "board", ["pico", "esp32-c3", "atmega2560", "uno", "mps2-an385", "mps2-an386", "mps3-an547", "ch32v003"]
)
def test_packed_kernels_were_measured_and_counted(board):
    described = boards.load(board)
    for name, (model, packings) in estimated_few_bits.tested_few_bits().items():
        for family in (described.cpu.kernels, c_source.PLAIN):
            plan = c_source.make_plan(model, family, packings)
            assert users_of(plan).keys() <= core_of(described).sources.keys(), name
            assert count_of(plan, costs_of(described)) is not None, name


def test_a_chip_without_a_multiplier_is_counted():
    """The trained LeNet-5 takes 2,324,054 instructions (docs/reference/boards.md); zeros among the weights take few."""
    ternary = with_levels(LENET5, 1)
    found = estimate(ternary, boards.load("ch32v003"))
    assert 1_800_000 < found.count.about < 2_800_000
    assert found.flash_bytes == pytest.approx(16_272, rel=0.01)
    assert found.verdict == TIGHT


@pytest.mark.parametrize("optimize", ["speed", "size"])
def test_a_chip_without_a_multiplier_is_counted_with_any_network(optimize):
    """Nothing but LeNets was: of others `fits` said the bytes and no instructions."""
    for name, model in estimated_networks.tested().items():
        assert estimate(model, boards.load("ch32v003"), optimize, {}).count is not None, name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.pop("format"), "its format is None"),
        (lambda content: content.update(format=MEASURED_FORMAT + 1), "another version's"),
        (lambda content: content["boards"][0].update(code=-1), "boards 0: code is -1"),
        (lambda content: content["boards"][0].update(codes=1), "'codes' is not known"),
        (lambda content: content["cores"][0]["calls"].pop(""), "with what every model has"),
        (lambda content: content["cores"][0]["needs"].update({"plain/le_conv2d.c": ["x.o"]}), "which has no x.o"),
    ],
)
def test_a_wrong_record_is_refused(change, message):
    wrong = content()
    parse_measured(wrong)
    change(wrong)
    with pytest.raises(WrongRecordError, match=message):
        parse_measured(wrong)


def test_no_estimate_is_shown_as_exact():
    """It was "(-0 to +0 %)" with three figures, for a count that was off by 0.4 %."""
    assert (
        _about(Count("instructions", 798_382_630, 797_000_000, 800_000_000)) == "798,000,000 instructions (-1 to +1 %)"
    )
    assert _about(Count("cycles", 1000, 918, 1021)) == "1,000 cycles (-9 to +3 %)"
