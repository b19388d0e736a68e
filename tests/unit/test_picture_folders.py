"""A folder of pictures as a data set: the split, the traps, what is refused."""

import hashlib
import os
import random
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lenet_edge import datasets
from lenet_edge.errors import BadInputError
from lenet_edge.preparation.request import PreparationRequest


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write_set(root, classes=("a", "b"), count=20, side=8, seed=0, channels=()):
    pixels = np.random.default_rng(seed).integers(0, 256, (len(classes), count, side, side, *channels), np.uint8)
    for name, pictures in zip(classes, pixels, strict=True):
        for index, each in enumerate(pictures):
            save(root / name / f"{index:03}.png", each)
    return root


def warnings_of(root, **options):
    lines: list[str] = []
    return datasets.load(str(root), progress=lines.append, **options), lines


def decoded(root: Path, names) -> set[str]:
    """What Pillow, without our reader, finds in the files."""
    return {hashlib.sha256(Image.open(root / name).convert("RGB").tobytes()).hexdigest() for name in names}


@pytest.mark.parametrize("seed", range(100))
def test_no_picture_is_on_two_sides(tmp_path, seed):
    generator = random.Random(seed)
    names = [f"class {number}" for number in range(generator.randint(2, 4))]
    write_set(tmp_path, names, generator.randint(6, 14), generator.choice((3, 8)), seed)
    own = sorted(tmp_path.rglob("*.png"))
    for copy in range(generator.randint(1, 12)):  # within a class and across them, in other formats too
        picture, place = generator.choice(own), tmp_path / generator.choice(names)
        Image.open(picture).convert(generator.choice(("L", "RGB"))).save(
            place / f"copy{copy}.{generator.choice(('png', 'bmp', 'tiff'))}"
        )
    dataset = datasets.load(str(tmp_path))
    validating = [name for name, is_one in zip(dataset.train_files, dataset.validation, strict=True) if is_one]
    fit = sorted(set(dataset.train_files) - set(validating))
    sides = [decoded(tmp_path, each) for each in (fit, validating, dataset.test_files)]
    assert all(sides)
    assert not sides[0] & (sides[1] | sides[2])
    assert not sides[1] & sides[2]
    for labels in (dataset.fit_labels, dataset.validation_labels, dataset.test_labels):
        assert set(labels.tolist()) == set(range(len(names)))


def test_pictures_stay_on_their_side_when_others_come(tmp_path):
    before = datasets.load(str(write_set(tmp_path, count=150)))
    write_set(tmp_path / "more", count=150, seed=1)
    for path in (tmp_path / "more").rglob("*.png"):
        path.rename(tmp_path / path.parent.name / f"new{path.name}")
    for name in ("a", "b"):
        (tmp_path / "more" / name).rmdir()
    (tmp_path / "more").rmdir()
    after = datasets.load(str(tmp_path))
    assert set(before.test_files) <= set(after.test_files)
    assert 30 < len(before.test_files) < 70
    assert set(before.train_files) <= set(after.train_files)


def test_size_and_colour_come_from_the_pictures(tmp_path):
    grey = datasets.load(str(write_set(tmp_path / "grey", side=20)))
    assert grey.image_shape == (20, 20, 1)
    one = tmp_path / "grey" / "a" / "large.png"
    save(one, np.random.default_rng(3).integers(0, 256, (50, 120, 3), np.uint8))
    mixed = datasets.load(str(tmp_path / "grey"))
    assert mixed.image_shape == (32, 32, 3)
    assert datasets.load(str(tmp_path / "grey"), PreparationRequest(16, 12, 1)).image_shape == (16, 12, 1)
    assert (mixed.preparation.height, mixed.preparation.channels) == (32, 3)
    again = datasets.load_test(str(tmp_path / "grey"), mixed.preparation)
    np.testing.assert_array_equal(again.images, mixed.test_images)


def test_given_parts_stay_and_copies_leave_the_training(tmp_path):
    write_set(tmp_path / "train", count=12)
    write_set(tmp_path / "test", count=4, seed=1)
    copied = Image.open(tmp_path / "test" / "b" / "000.png")
    copied.save(tmp_path / "train" / "b" / "leak.png")
    dataset, lines = warnings_of(tmp_path)
    assert len(dataset.test_images) == 8
    assert os.path.join("train", "b", "leak.png") not in dataset.train_files
    assert "leak.png" in "".join(lines)


def test_one_picture_in_two_classes_is_left_out(tmp_path):
    write_set(tmp_path)
    Image.open(tmp_path / "a" / "000.png").save(tmp_path / "b" / "also.png")
    dataset, lines = warnings_of(tmp_path)
    assert len(dataset.train_files) + len(dataset.test_files) == 39
    assert "in different classes" in "".join(lines)


def test_traps_are_named_and_left_out(tmp_path):
    root = write_set(tmp_path / "data", ('it\'s "so"', "[red]", "-lead", "水"))
    (root / "[red]" / "empty.png").touch()
    (root / "[red]" / "text.jpg").write_text("no picture")
    (root / "[red]" / ".DS_Store").write_text("")
    (root / "[red]" / "Thumbs.db").write_text("")
    outside = tmp_path / "outside.png"
    save(outside, np.zeros((8, 8), np.uint8))
    (root / "[red]" / "link.png").symlink_to(outside)
    save(root / "[red]" / "jpeg.jpg", np.full((8, 8), 7, np.uint8))
    (root / "[red]" / "jpeg.jpg").rename(root / "[red]" / "really-a-jpeg.png")
    dataset, lines = warnings_of(root)
    assert dataset.class_names == ("-lead", "[red]", 'it\'s "so"', "水")
    assert len(dataset.train_files) + len(dataset.test_files) == 81
    told = "".join(lines)
    assert "empty.png" in told
    assert "text.jpg" in told
    assert "link.png" in told
    assert "DS_Store" not in told


@pytest.mark.parametrize("name", ["a\nb", "x" * 201, "a\u202eb"])
def test_names_that_cannot_be_shown(tmp_path, name):
    with pytest.raises(BadInputError, match="Rename it"):
        datasets.load(str(write_set(tmp_path, ("ok", name), count=2)))


def test_what_is_no_data_set_is_told(tmp_path):
    write_set(tmp_path / "outer" / "inner")
    with pytest.raises(BadInputError, match=r"one class.*Did you mean .*inner"):
        datasets.load(str(tmp_path / "outer"))
    with pytest.raises(BadInputError, match="pictures, and no folders"):
        datasets.load(str(tmp_path / "outer" / "inner" / "a"))
    (tmp_path / "outer" / "inner" / "void").mkdir()
    with pytest.raises(BadInputError, match="'void' has no pictures"):
        datasets.load(str(tmp_path / "outer" / "inner"))


def test_a_picture_that_does_not_hold_the_crop_is_named_and_left_out(tmp_path):
    root = write_set(tmp_path / "set", side=20)
    save(root / "b" / "small.png", np.zeros((12, 20), np.uint8))
    dataset, lines = warnings_of(root, preparation=PreparationRequest(crop=(2, 4, 10, 9)))
    assert dataset.image_shape == (9, 10, 1)
    pixels = np.array(Image.open(root / dataset.test_files[0]))
    np.testing.assert_array_equal(dataset.test_images[0], pixels[4:13, 2:12])
    (line,) = lines
    assert f"1 of 41 files cannot be read; left out: picture {root / 'b' / 'small.png'}: a frame of 20×12" in line


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_in_a_class(tmp_path, count):
    write_set(tmp_path, ("many",))
    write_set(tmp_path, ("few",), count=count, seed=5)
    with pytest.raises(BadInputError, match=rf"'few' has {count} usable pictures; at least 3"):
        datasets.load(str(tmp_path))


def test_pictures_of_every_kind(tmp_path):
    root = write_set(tmp_path)
    before = 40
    Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000).save(root / "a" / "deep.png")
    Image.new("CMYK", (8, 8), (90, 20, 10, 5)).save(root / "a" / "print.jpg")
    Image.new("RGBA", (8, 8), (90, 20, 10, 128)).save(root / "a" / "glass.webp")
    frames = [Image.new("L", (8, 8), shade) for shade in (40, 200)]
    frames[0].save(root / "b" / "moving.gif", save_all=True, append_images=frames[1:])
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    content = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (root / "b" / "huge.png").write_bytes(content + struct.pack(">I", 99) + b"IDAT" + bytes(103))
    dataset, lines = warnings_of(root)
    assert dataset.image_shape == (8, 8, 3)
    assert len(dataset.train_files) + len(dataset.test_files) == before + 4
    assert re.search(r"huge\.png is too large: 20,000×20,000 pixels, where 4,096 a side are taken", "".join(lines))
