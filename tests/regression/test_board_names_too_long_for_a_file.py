"""`budget` ended with exit 70 where a board's name is longer than a file's may be: `Path.exists` raises there."""

import check_records
import pytest

from lenet_edge import budget
from lenet_edge.errors import BadInputError

NAME = "b" * 300


@pytest.fixture(autouse=True)
def folders(tmp_path):
    """Without them a system says that they are missing, and nothing of the name."""
    for name in ("firmware", "bench"):
        (tmp_path / "build" / name).mkdir(parents=True)


@pytest.mark.parametrize("limit", ["flash_bytes = 1", "cycles = 1"])
def test_its_record_is_missing(tmp_path, limit):
    (tmp_path / "lenet-edge.toml").write_text(f"[board.{NAME}]\n{limit}\n")
    check_records.write(tmp_path / "build/check.json", check_records.record("1" * 64))
    budgets = budget.read_budgets(tmp_path / "lenet-edge.toml")
    with pytest.raises(BadInputError, match="there is a budget for the board"):
        budget.read_measured(tmp_path / "build", budgets)


def test_a_board_without_a_budget_needs_no_record(tmp_path):
    (tmp_path / "lenet-edge.toml").write_text(f"[model]\naccuracy = 0.5\n[board.{NAME}]\n")
    check_records.write(tmp_path / "build/check.json", check_records.record("1" * 64))
    budgets = budget.read_budgets(tmp_path / "lenet-edge.toml")
    assert budget.read_measured(tmp_path / "build", budgets).values[NAME] == {}
