"""`quantize --fit-board`: the front is that of all combinations, bytes are those by hand, the best that fits wins."""

import itertools
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenet_edge import bit_allocation, records
from lenet_edge.bit_allocation import Choice, Kept, front
from lenet_edge.errors import CheckFailedError
from lenet_edge.estimate import made_up_model
from lenet_edge.hardware import boards
from lenet_edge.networks import reader
from lenet_edge.report.charts import Point, draw_allocations

LAYERS = ("C1", "C3", "C5", "F6", "OUTPUT")
ROWS = {"C1": (6, 25), "C3": (16, 150), "C5": (120, 400), "F6": (84, 120), "OUTPUT": (10, 84)}  # outputs, inputs
EACH = {8: 1, 4: 2, 2: 5}  # weights in a byte; every row begins at one

choices = st.builds(Choice, st.sampled_from([8, 4, 2]), st.integers(0, 50), st.integers(0, 8).map(float))
layers = st.lists(st.lists(choices, min_size=1, max_size=3, unique_by=lambda each: each.bits), min_size=1, max_size=5)


def all_unbeaten(of, once):
    """(bytes, loss) that no combination beats, by trying all pairs."""
    found = set()
    for combination in itertools.product(*of):
        extra = sum(once.get(bits, 0) for bits in {each.bits for each in combination})
        found.add((extra + sum(each.bytes for each in combination), sum(each.loss for each in combination)))
    return sorted(
        (size, loss)
        for size, loss in found
        if not any(a <= size and b <= loss and (a, b) != (size, loss) for a, b in found)
    )


@given(layers, st.dictionaries(st.sampled_from([4, 2]), st.integers(0, 40)))
def test_the_front_is_that_of_all_combinations(of, once):
    found = front(of, once)
    assert [(each.bytes, each.loss) for each in found] == all_unbeaten(of, once)
    for each in found:  # and its bits are what takes and loses that
        taken = [next(one for one in layer if one.bits == bits) for layer, bits in zip(of, each.bits, strict=True)]
        assert each.loss == sum(one.loss for one in taken)
        assert each.bytes == sum(one.bytes for one in taken) + sum(once.get(bits, 0) for bits in set(each.bits))


def test_a_front_of_many_layers_is_thinned_and_keeps_what_loses_least(monkeypatch):
    of = [[Choice(8, 997 + 31 * n, 0.0), Choice(4, 499 + 17 * n, 1.0 + n / 7), Choice(2, 249, 3.0)] for n in range(9)]
    whole = front(of)
    monkeypatch.setattr("lenet_edge.bit_allocation.pareto._MOST", 100)
    thinned = front(of)
    assert 10 < len(thinned) <= 101 < len(whole)
    assert (thinned[0], thinned[-1]) == (whole[0], whole[-1])


@pytest.fixture(scope="module")
def lenet5():
    return made_up_model(reader.load("lenet5"), (28, 28, 1), [str(number) for number in range(10)])


def board_of(flash, name="sifive_e", ram=None):
    """A board without fast kernels whose flash has so many bytes."""
    found = boards.load(name)
    cpu, budget = replace(found.cpu, kernels="plain"), replace(found.budget, flash_bytes=flash, ram_bytes=ram)
    return replace(found, cpu=cpu, budget=budget)


@pytest.fixture(scope="module")
def of_lenet5(lenet5):
    """What each choice takes."""
    return bit_allocation.costs_on(board_of(1 << 19), lenet5, dict.fromkeys(LAYERS, bit_allocation.BITS))


@pytest.fixture
def costs_of(of_lenet5):
    """``costs_of(flash)``: the same on a board whose flash has so many bytes."""
    return lambda flash, ram=None: replace(of_lenet5, board=board_of(flash, ram=ram))


def test_bytes_are_those_of_the_packed_rows(of_lenet5):
    costs = of_lenet5
    wanted = {
        name: {bits: rows * -(-inputs // EACH[bits]) for bits in (8, 4, 2)} for name, (rows, inputs) in ROWS.items()
    }
    assert costs.tables == wanted
    few = dict.fromkeys(LAYERS, 2)
    whole, packed = costs.of(dict.fromkeys(LAYERS, 8)), costs.of(few)
    assert whole.tables_bytes - packed.tables_bytes == sum(each[8] - each[2] for each in wanted.values())
    assert whole.flash_bytes == costs.base + sum(each[8] for each in wanted.values())


LOSSES = {
    "C1": {4: 0.01, 2: 0.5},
    "C3": {4: 0.02, 2: 0.2},
    "C5": {4: 0.001, 2: 0.01},
    "F6": {4: -0.002, 2: -0.001},
    "OUTPUT": {4: 0.01, 2: 0.3},
}


def test_fewer_bits_are_never_expected_to_lose_less(costs_of):
    found = bit_allocation.candidates_on(costs_of(40_000), LOSSES)
    losses, sizes = [each.expected_loss for each in found], [each.flash_bytes for each in found]
    assert losses == sorted(losses, reverse=True)
    assert sizes == sorted(sizes)
    assert losses[-1] == 0
    assert found[-1].bits == {"C1": 8, "C3": 8, "C5": 8, "F6": 2, "OUTPUT": 8}  # two bits of F6 lose nothing
    assert [each.over_bytes for each in found] == [max(0, size - 40_000) for size in sizes]


def trained_as(accuracies, lenet5, seen):
    def train(bits):
        seen.append(dict(bits))
        return len(seen), bit_allocation.flash.with_bits(lenet5, bits), accuracies[len(seen) - 1]

    return train


def test_the_best_that_fit_are_trained_and_the_best_of_these_is_chosen(costs_of, lenet5):
    costs, seen, said = costs_of(40_000), [], []
    candidates = bit_allocation.candidates_on(costs, LOSSES)
    fitting = [each for each in candidates if not each.over_bytes]
    train = trained_as([0.7, 0.9, 0.9], lenet5, seen)
    found = bit_allocation.train_best(costs, candidates, 3, train, said.append)
    assert seen == [each.bits for each in reversed(fitting[-3:])]  # those that are expected to lose least
    assert found.trained == 3  # as good as the second, in fewer bytes
    assert found.chosen.validation_accuracy == 0.9
    assert found.chosen.flash_bytes <= 40_000
    assert [each.validation_accuracy for each in found.candidates].count(None) == len(candidates) - 3
    assert any("90.00 %" in line and "fits" in line for line in said)


def test_a_model_that_is_larger_than_expected_is_not_chosen(costs_of, lenet5):
    """The weights that training finds may want a kernel or a packing that takes more."""
    costs, seen = costs_of(40_000), []
    candidates = bit_allocation.candidates_on(costs, LOSSES)

    def train(bits):
        seen.append(bits)
        return (
            "",
            lenet5 if len(seen) == 1 else bit_allocation.flash.with_bits(lenet5, bits),
            0.9 if len(seen) == 1 else 0.5,
        )

    found = bit_allocation.train_best(costs, candidates, 2, train, lambda _: None)
    assert found.chosen.bits == seen[1]
    with pytest.raises(CheckFailedError, match="nothing fits sifive_e: the smallest") as refused:
        bit_allocation.train_best(costs, candidates, 1, lambda _: ("", lenet5, 0.9), lambda _: None)
    takes = re.search(r"takes ([\d,]+) bytes of flash, ([\d,]+) bytes over", str(refused.value))
    assert takes is not None
    flash, over = (int(number.replace(",", "")) for number in takes.groups())
    assert flash > 61_000  # as many weights of a byte as lenet5 has
    assert flash - over == 40_000


def test_what_only_seemed_too_large_is_built_before_nothing_fits(costs_of, lenet5):
    """What one estimate missed was taken for what all miss, so that a smaller firmware was never built."""
    smallest, next_one = bit_allocation.candidates_on(costs_of(1 << 19), LOSSES)[:2]
    costs, seen = costs_of(next_one.flash_bytes + 100), []

    def build(model):
        tables = bit_allocation.flash.estimate_on(costs.board, model).flash_bytes
        more = 0 if tables == smallest.flash_bytes else 5000
        return records.Sizes(more, tables, tables, 600, 400, 0), "gcc"

    candidates, train = bit_allocation.candidates_on(costs, LOSSES), trained_as([0.7], lenet5, seen)
    found = bit_allocation.train_best(replace(costs, build=build), candidates, 2, train, lambda _: None)
    assert found.chosen.bits == smallest.bits
    assert seen == [smallest.bits]


def test_what_does_not_fit_when_it_is_built_is_not_trained(costs_of, lenet5):
    """A compiler makes 700 bytes more of it than was estimated."""
    flash = bit_allocation.candidates_on(costs_of(1 << 19), LOSSES)[-3].flash_bytes + 300
    costs, seen, built = costs_of(flash), [], []

    def build(model):
        built.append(model)
        tables = bit_allocation.flash.estimate_on(costs.board, model).flash_bytes
        return records.Sizes(700, tables, tables, 600, 400, 0), "gcc"

    candidates = bit_allocation.candidates_on(costs, LOSSES)
    fitting = [each for each in candidates if each.flash_bytes + 700 <= flash]
    assert len(fitting) < len([each for each in candidates if not each.over_bytes])  # some only seem to
    train = trained_as([0.7, 0.9], lenet5, seen)
    found = bit_allocation.train_best(replace(costs, build=build), candidates, 2, train, lambda _: None)
    assert seen == [each.bits for each in reversed(fitting[-2:])]
    assert found.chosen.flash_bytes == fitting[-2].flash_bytes + 700
    assert len(built) <= 5  # one to learn it, and two for each that is trained


def test_where_nothing_fits_the_bytes_over_are_named_before_anything_is_trained(costs_of, of_lenet5):
    flash = of_lenet5.of(dict.fromkeys(LAYERS, 2)).flash_bytes
    bit_allocation.require_room(costs_of(flash))
    with pytest.raises(CheckFailedError) as caught:
        bit_allocation.require_room(costs_of(flash - 37))
    text = str(caught.value)
    assert "nothing fits sifive_e" in text
    assert "still takes 37 bytes more" in text
    assert "C5=2" in text
    assert "Make C5 narrower, whose weights take 9,600" in text
    with pytest.raises(CheckFailedError, match="bytes more RAM than 1,024, whatever the bits"):
        bit_allocation.require_room(costs_of(flash, ram=1024))


def test_fixed_layers_keep_their_bits(of_lenet5):
    tables = {name: dict(sizes) for name, sizes in of_lenet5.tables.items()}
    fixed = bit_allocation.flash._worthwhile(tables["F6"], (8,)), bit_allocation.flash._worthwhile(tables["C1"], (4,))
    costs = replace(of_lenet5, tables={**tables, "F6": fixed[0], "C1": fixed[1]})
    found = bit_allocation.candidates_on(costs, LOSSES)
    assert {(each.bits["F6"], each.bits["C1"]) for each in found} == {(8, 4)}


def test_layers_that_cannot_be_packed_keep_8_bits():
    """A depthwise layer takes a byte a weight whatever its bits: fewer would lose accuracy for nothing."""
    model = made_up_model(reader.load("dscnn"), (16, 16, 1), ["a", "b"])
    names = [layer.name for layer in model.layers if type(layer).__name__ == "DepthwiseConv2d"][:1]
    costs = bit_allocation.costs_on(board_of(1 << 19), model, dict.fromkeys(names, bit_allocation.BITS))
    assert [list(sizes) for sizes in costs.tables.values()] == [[8]]


def test_for_size_a_board_takes_what_one_without_fast_kernels_takes(lenet5, of_lenet5):
    """`build --optimize size` has the plain kernels; `--fit-board` counted the fast ones, whatever was built."""
    fast = replace(board_of(1 << 19), cpu=boards.load("sifive_e").cpu)
    small = bit_allocation.costs_on(fast, lenet5, dict.fromkeys(LAYERS, bit_allocation.BITS), "size")
    bits = dict.fromkeys(LAYERS, 8) | {"C5": 4}
    assert (small.base, small.tables) == (of_lenet5.base, of_lenet5.tables)
    assert small.of(bits).flash_bytes == of_lenet5.of(bits).flash_bytes
    assert small.exactly(lenet5).flash_bytes == of_lenet5.exactly(lenet5).flash_bytes
    assert replace(small, optimize="speed").of(bits).flash_bytes > small.of(bits).flash_bytes + 2_000


def test_the_plot_has_the_chosen_accuracy_and_the_board():
    points = [Point(18_000, 0.5), Point(29_000, 0.004, 0.9941), Point(30_000, 0.003, 0.9944), Point(62_000, 0.0)]
    drawn = str(draw_allocations(points, 2, ("uno", 32_256), "fit", "bits that fit"))
    assert "99.44 %" in drawn
    assert "99.41 %" not in drawn
    assert "flash of uno" in drawn
    assert drawn == str(draw_allocations(points, 2, ("uno", 32_256), "fit", "bits that fit"))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("4", "4 is for all layers that are not named"),
        ("F6=8,4", "4 is for all layers that are not named"),
        ("f6=8", "do you mean F6?"),
        ("C1=8,C3=8,C5=8,F6=8,OUTPUT=8", "--weight-bits fixes all layers"),
    ],
)
def test_weight_bits_that_leave_nothing_to_find(spec, message, monkeypatch):
    from lenet_edge.cli import quantize_fit
    from lenet_edge.errors import BadInputError

    monkeypatch.setattr("lenet_edge.cli.options.given", lambda _: True)
    network = SimpleNamespace(description=reader.load("lenet5"))
    with pytest.raises(BadInputError) as caught:
        quantize_fit.choices_of(quantize_fit.FitOptions(board_of(40_000), 3), spec, network)
    assert message in str(caught.value)


# --- what is kept -----------------------------------------------------------------------------------

DEPENDS_ON = {"model": "1" * 64, "data": "2" * 64, "settings": {"epochs": 1, "seed": 0}}


def never():
    raise AssertionError("it is measured again")


def test_what_was_measured_is_there_again(tmp_path):
    kept = Kept("net", DEPENDS_ON, never, tmp_path)
    assert not kept.folder.exists()
    assert kept.divergence("8", lambda: 0.5) == 0.5
    assert kept.divergence("C1=4", lambda: -1e-9) == -1e-9
    again = Kept("net", dict(reversed(DEPENDS_ON.items())), never, tmp_path)
    assert (again.folder, again.divergences) == (kept.folder, {"8": 0.5, "C1=4": -1e-9})
    assert again.divergence("8", never) == 0.5
    assert again.weights_file("C1=4") == kept.weights_file("C1=4") != kept.weights_file("C1=2")


@pytest.mark.parametrize("change", [{"model": "3" * 64}, {"data": "3" * 64}, {"settings": {"epochs": 2, "seed": 0}}])
def test_another_search_has_another_folder(change, tmp_path):
    kept, other = Kept("net", DEPENDS_ON, never, tmp_path), Kept("net", DEPENDS_ON | change, never, tmp_path)
    assert kept.folder != other.folder
    kept.divergence("8", lambda: 0.5)
    assert other.divergences == {}
    said = []
    other.folder.mkdir()
    (kept.folder / "measured.json").rename(other.folder / "measured.json")
    assert Kept("net", DEPENDS_ON | change, said.append, tmp_path).divergences == {}
    assert "it is of another search" in said[0]


@pytest.mark.parametrize("damage", [lambda text: text[:-9], lambda text: text.replace("0.5", "0.25"), lambda _: "[1]"])
def test_damage_is_said(damage, tmp_path):
    kept, said = Kept("net", DEPENDS_ON, never, tmp_path), []
    kept.divergence("8", lambda: 0.5)
    path = kept.folder / "measured.json"
    path.write_text(damage(path.read_text()))
    again = Kept("net", DEPENDS_ON, said.append, tmp_path)
    assert again.divergences == {}
    assert [text.startswith(f"measuring again: {path} is not a record") for text in said] == [True]
    assert again.divergence("8", lambda: 0.75) == 0.75
    assert Kept("net", DEPENDS_ON, never, tmp_path).divergences == {"8": 0.75}
