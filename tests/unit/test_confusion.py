"""The confusion matrix, and what the commands show of it."""

import io
from dataclasses import asdict

import numpy as np
import pytest
from rich.console import Console

from lenet_edge.cli.confusion import Answers
from lenet_edge.confusion import confusion_matrix, precision, recall, worst_images, worst_pairs

LABELS = np.array([0, 0, 0, 1, 1, 2], np.uint8)
SAID = np.array([0, 0, 1, 1, 0, 0])
MATRIX = [[2, 1, 0], [1, 1, 0], [1, 0, 0]]


def test_rows_are_right_and_columns_said():
    assert confusion_matrix(LABELS, SAID, 3).tolist() == MATRIX


def test_labels_of_many_classes_do_not_overflow():
    matrix = confusion_matrix(np.array([250], np.uint8), np.array([3]), 251)
    assert np.argwhere(matrix).tolist() == [[250, 3]]


def test_recall_and_precision():
    matrix = np.array(MATRIX)
    assert recall(matrix).tolist() == [2 / 3, 1 / 2, 0]
    assert precision(matrix)[:2].tolist() == [2 / 4, 1 / 2]
    assert np.isnan(precision(matrix)[2])  # nothing was said to be it
    assert np.isnan(recall(np.array([[1, 0], [0, 0]]))[1])


def test_worst_pairs_leave_out_what_is_right_and_what_never_happens():
    assert worst_pairs(np.array([[90, 2], [5, 80]]), 9) == [(1, 0, 5), (0, 1, 2)]
    assert worst_pairs(np.array([[90, 2], [5, 80]]), 1) == [(1, 0, 5)]
    assert worst_pairs(np.eye(3, dtype=np.int64), 9) == []


def test_worst_images_are_the_sure_mistakes_and_then_the_unsure():
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.45, 0.55], [0.99, 0.01]])
    labels = np.array([0, 0, 0, 0, 1])  # images 2, 3 and 4 are wrong, with 0.8, 0.55 and 0.99
    assert worst_images(labels, probabilities.argmax(axis=1), probabilities, 9).tolist() == [4, 2, 3, 1, 0]
    assert worst_images(labels, probabilities.argmax(axis=1), probabilities, 2).tolist() == [4, 2]


def answers(names, **more):
    count = len(names)
    labels = (np.arange(3 * count) % count).astype(np.uint8)
    said = np.where(np.arange(3 * count) < count, (labels + 1) % count, labels)  # a third of each is taken for the next
    images = np.full((3 * count, 8, 8), 200, np.uint8)
    return Answers(images, labels, np.eye(count)[said] * 0.9 + 0.1 / count, names, **more)


def printed(given, width=80):
    console = Console(width=width, file=io.StringIO(), highlight=False, markup=False, emoji=False)
    for table in given.tables():
        console.print(table)
    return console.file.getvalue()


@pytest.mark.parametrize("count", [2, 3, 10, 12, 13, 100])
@pytest.mark.parametrize("width", [60, 80, 200])
def test_tables_keep_to_the_width(count, width):
    text = printed(answers([f"class {index}" for index in range(count)]), width)
    assert max(map(len, text.splitlines())) <= width
    assert ("rows are what is right" in text) == (count <= 12)
    assert ("the most frequent confusions" in text) == (count > 12)
    assert "66.67" in text


def test_what_int8_loses_is_shown_by_class():
    given = answers(["a", "b"], of_float=np.array([0, 1, 0, 1, 0, 1]))
    text = printed(given)
    assert "int8 loses" in text
    assert text.count("+1") == 2


def test_the_json_has_the_whole_matrix():
    content = asdict(answers([f"class {index}" for index in range(100)]).recorded())
    assert np.array(content["matrix"]).shape == (100, 100)
    assert np.array(content["matrix"]).sum() == 300
    assert content["classes"][99] == "class 99"


def test_two_probabilities_that_are_too_close_do_not_decide():
    """Of logits that differ by a step of 1e-20 the softmax is equal; the class is that of the larger int8."""
    half = np.full((1, 2), 0.5)
    given = Answers(np.zeros((1, 2, 2), np.uint8), np.array([1]), half, ["a", "b"], classes=np.array([1]))
    assert given.matrix.tolist() == [[0, 0], [0, 1]]
    assert given.accuracy == 1.0


@pytest.mark.parametrize("name", ["[red]x[/red]", "a\x1b[2J", "\u202eb", "x" * 300, "水表"])
def test_hostile_names_are_text(name, tmp_path):
    given = answers([name, "other"], files=tuple(f"{name}/{index}.png" for index in range(6)))
    text = printed(given)
    assert "\x1b" not in text
    assert "\u202e" not in text
    if name.startswith("[red]"):
        assert name in text
    given.write_sheet(tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
