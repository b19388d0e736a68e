"""A folder of pictures as a data set."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lenet_edge.datasets.dataset import Dataset, LabelArray, UInt8Array, labels_of
from lenet_edge.datasets.scan import PictureFile, Scan, scan
from lenet_edge.datasets.split import FIT, TEST, VALIDATION, digest, keys_of, sides
from lenet_edge.errors import BadInputError
from lenet_edge.pictures import read_frame
from lenet_edge.preparation import Preparation, prepare
from lenet_edge.preparation.request import PreparationRequest
from lenet_edge.preparation.steps import crop_box

__all__ = ["FolderSet", "as_dataset", "read_pictures", "require_enough"]

LARGEST_KEPT = 96  # pixels a side: pictures that all have one size up to this keep it
USUAL_SIDE, CENTRED_SIDE = 32, 28
MOST_BYTES = 4 << 30  # of all images
NAMED = 3  # of many files, in a message
EVERY = 2_000  # pictures, between two lines of progress


@dataclass(frozen=True, eq=False)
class FolderSet:
    """The pictures of a folder, prepared, and on which side each stands.

    Attributes:
        images: uint8 ``[n, h, w]`` or ``[n, h, w, 3]``.
        labels: integers ``[n]``.
        sides: ``[n]`` FIT, VALIDATION or TEST; -1 where a picture is left out.
        files: the pictures' paths within the folder.
        sizes: how many pictures have which width and height.
        unreadable: files that could not be read, and why.
        contradictions: groups of pictures that look the same to the network and stand in different classes; left out.
        across: pictures of the given training set that the given test set has, too; left out of training.
        duplicates: groups of pictures of one class that look the same.
    """

    scan: Scan
    preparation: Preparation
    images: UInt8Array
    labels: LabelArray
    sides: npt.NDArray[np.int8]
    files: tuple[str, ...]
    sizes: Counter[tuple[int, int]]
    unreadable: tuple[tuple[str, str], ...]
    contradictions: tuple[tuple[str, ...], ...]
    across: tuple[str, ...]
    duplicates: tuple[tuple[str, ...], ...]

    def warnings(self) -> list[str]:
        """What to know before the pictures are used."""
        lines = []
        if self.unreadable:
            some = f"{len(self.unreadable)} of {len(self.scan.files)} files"
            lines.append(f"{some} cannot be read; left out: {_some(self.unreadable)}")
        links = [each for each in self.scan.skipped if "a link" in each]
        if links:
            lines.append(f"links are not followed ({len(links)}): {', '.join(links[:NAMED])}")
        if self.contradictions:
            count = sum(map(len, self.contradictions))
            first = " = ".join(self.contradictions[0][:NAMED])
            lines.append(f"{count} pictures look the same and are in different classes; they are left out: {first}")
        if self.across:
            names = ", ".join(self.across[:NAMED])
            lines.append(
                f"pictures that are in a later part (test, validation), too, stay only there ({len(self.across)}): "
                f"{names}"
            )
        return lines


@dataclass(eq=False)
class _Collector:
    """Prepares pictures one after another.

    While size and channels are not known, and all pictures have one small size, they are kept as they are.

    Attributes:
        settings: None as long as the size of the images is not known.
        coloured: whether the images are RGB; None as long as only grey pictures came.
    """

    asked: PreparationRequest
    settings: Preparation | None
    coloured: bool
    kept: list[UInt8Array] = field(default_factory=list)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)

    def add(self, frame: UInt8Array) -> None:
        if self.asked.channels is None and not self.coloured and _has_colour(frame):
            self.coloured = True
        if self.settings is None and not self._fits(frame):
            self._settle(CENTRED_SIDE if self.asked.centred else USUAL_SIDE)
        self.kept.append(self._prepared(frame))
        self.sizes[frame.shape[1], frame.shape[0]] += 1

    def finish(self) -> tuple[UInt8Array, Preparation]:
        """The images, and the preparation that made them."""
        if self.settings is None:
            height, width = self.kept[0].shape[:2]
            frames, self.kept = self.kept, []
            self.settings = self.asked.completed(Preparation(height, width))
            # They are cropped already.
            plain = dataclasses.replace(self.settings, crop="none")
            self.kept = [prepare(frame, _in_colour(plain, self.coloured)) for frame in frames]
        settings = _in_colour(self.settings, self.coloured)
        shape = (settings.height, settings.width, 3)[: 3 if settings.channels == 3 else 2]
        images = np.empty((len(self.kept), *shape), np.uint8)
        for index, image in enumerate(self.kept):
            images[index] = image if image.ndim == len(shape) else image[..., None]
        return images, settings

    def _fits(self, frame: UInt8Array) -> bool:
        """Whether the picture may keep its size, as all before it."""
        height, width = _cropped(frame, self.asked).shape[:2]
        small = max(height, width) <= LARGEST_KEPT and not self.asked.centred
        return small and (not self.kept or self.kept[0].shape[:2] == (height, width))

    def _settle(self, side: int) -> None:
        self.settings = self.asked.completed(Preparation(side, side))
        plain = dataclasses.replace(self.settings, crop="none")  # what is kept was cropped already
        self.kept = [self._one(frame, plain) for frame in self.kept]

    def _prepared(self, frame: UInt8Array) -> UInt8Array:
        return _cropped(frame, self.asked) if self.settings is None else self._one(frame, self.settings)

    def _one(self, frame: UInt8Array, settings: Preparation) -> UInt8Array:
        """The image; of a grey picture grey, also where others have colour: its three channels would be equal."""
        return prepare(frame, _in_colour(settings, self.coloured and _has_colour(frame)))


def read_pictures(
    folder: Path, asked: Preparation | PreparationRequest | None, progress: Callable[[str], None]
) -> FolderSet:
    """Read, prepare and split the pictures of a folder.

    A picture that cannot be read is left out, as are those that look the same and stand in different classes.

    Raises:
        BadInputError: see `scan`; or too few pictures are left in a class, or they need too much memory.
    """
    found = scan(folder)
    collector, files, frames, unreadable = _collect(found, asked, progress)
    if not files:
        raise BadInputError(f"{folder}: no picture can be read: {_some(unreadable)}")
    images, settings = collector.finish()
    labels = labels_of([file.label for file in files], len(found.classes))
    keys = keys_of(frames, images)
    chosen, contradictions, across = _sides(files, labels, keys, found)
    return FolderSet(
        found,
        settings,
        images,
        labels,
        chosen,
        tuple(file.name for file in files),
        collector.sizes,
        tuple(unreadable),
        contradictions,
        across,
        _duplicates(files, keys, chosen),
    )


def as_dataset(pictures: FolderSet, name: str) -> Dataset:
    """The data set that the pictures are, without those that are left out."""
    testing = np.flatnonzero(pictures.sides == TEST)
    training = np.flatnonzero((pictures.sides == FIT) | (pictures.sides == VALIDATION))
    return Dataset(
        name,
        pictures.images[training],
        pictures.labels[training],
        pictures.images[testing],
        pictures.labels[testing],
        pictures.scan.classes,
        pictures.preparation,
        pictures.sides[training] == VALIDATION,
        tuple(pictures.files[index] for index in training),
        tuple(pictures.files[index] for index in testing),
    )


def require_enough(pictures: FolderSet, folder: str) -> None:
    """Hold that something can be learnt from, validated and tested of every class.

    Raises:
        BadInputError: a class has too few different pictures.
    """
    given = "test" in pictures.scan.parts
    needed = (FIT, VALIDATION) if given else (FIT, VALIDATION, TEST)
    for label, name in enumerate(pictures.scan.classes):
        own = pictures.sides[pictures.labels == label]
        if any(not (own == side).any() for side in needed):
            raise BadInputError(
                f"{folder}: the class {name!r} has {int((own >= 0).sum())} usable pictures; at least {len(needed)} "
                f"different ones are needed, one of them to validate{'' if given else ' and one to test'}. Add some; "
                f"lenet-edge data {folder} shows what was left out"
            )
    if not (pictures.sides == TEST).any():
        raise BadInputError(
            f"{folder}: no picture is left to test on; lenet-edge data {folder} shows what was left out"
        )


def _collect(
    found: Scan, asked: Preparation | PreparationRequest | None, progress: Callable[[str], None]
) -> tuple[_Collector, list[PictureFile], list[bytes], list[tuple[str, str]]]:
    collector, files, frames = _collector(asked), [], []
    unreadable: list[tuple[str, str]] = []
    size = 0
    for count, file in enumerate(found.files, 1):
        if count % EVERY == 0:
            progress(f"reading pictures: {count:,} of {len(found.files):,}")
        try:
            frame = read_frame(file.path)
            collector.add(frame)
        except BadInputError as error:
            why = str(error)  # of the file, or of what is to be made of it
            unreadable.append((file.name, why if str(file.path) in why else f"picture {file.path}: {why}"))
            continue
        files.append(file)
        frames.append(digest(frame))
        size += collector.kept[-1].nbytes
        if size > MOST_BYTES:
            raise BadInputError(f"the images take more than {MOST_BYTES >> 30} GB of memory. Choose a smaller --size.")
    return collector, files, frames, unreadable


def _collector(asked: Preparation | PreparationRequest | None) -> _Collector:
    if isinstance(asked, Preparation):
        return _Collector(PreparationRequest(channels=asked.channels), asked, asked.channels == 3)
    asked = asked or PreparationRequest()
    settings = None
    if asked.height is not None and asked.width is not None:
        settings = asked.completed(Preparation(asked.height, asked.width))
    return _Collector(asked, settings, asked.channels == 3)


def _in_colour(settings: Preparation, coloured: bool) -> Preparation:
    return dataclasses.replace(settings, channels=3 if coloured else 1)


def _has_colour(frame: UInt8Array) -> bool:
    return frame.ndim == 3 and bool((frame != frame[..., :1]).any())


def _cropped(frame: UInt8Array, asked: PreparationRequest) -> UInt8Array:
    if asked.crop is None or asked.crop == "none":
        return frame
    height, width = frame.shape[:2]
    left, top, box_width, box_height = crop_box(asked.completed(Preparation(1, 1)), width, height)
    return frame[top : top + box_height, left : left + box_width]


def _sides(
    files: Sequence[PictureFile], labels: LabelArray, keys: Sequence[bytes], found: Scan
) -> tuple[npt.NDArray[np.int8], tuple[tuple[str, ...], ...], tuple[str, ...]]:
    """On which side each picture stands, the groups that contradict each other, and what was in two parts."""
    groups: dict[bytes, list[int]] = defaultdict(list)
    for index, key in enumerate(keys):
        groups[key].append(index)
    chosen = np.full(len(files), FIT, np.int8)
    contradictions, across = [], []
    rank = {"train": 0, "": 0, "validation": 1, "test": 2}
    for members in groups.values():
        if len({files[index].label for index in members}) > 1:
            chosen[members] = -1
            contradictions.append(tuple(files[index].name for index in members))
            continue
        last = max(rank[files[index].part] for index in members)
        behind = [index for index in members if rank[files[index].part] < last]
        chosen[behind] = -1
        across += [files[index].name for index in behind]
    for part, side in (("validation", VALIDATION), ("test", TEST)):
        chosen[[index for index, file in enumerate(files) if file.part == part and chosen[index] >= 0]] = side
    rest = np.flatnonzero(chosen == FIT)
    split = sides([keys[index] for index in rest.tolist()], labels[rest], test="test" not in found.parts)
    if "validation" in found.parts:  # only the test set is to be taken off
        split[split == VALIDATION] = FIT
    chosen[rest] = split
    return chosen, tuple(contradictions), tuple(across)


def _duplicates(
    files: Sequence[PictureFile], keys: Sequence[bytes], chosen: npt.NDArray[np.int8]
) -> tuple[tuple[str, ...], ...]:
    groups: dict[bytes, list[str]] = defaultdict(list)
    for file, key, side in zip(files, keys, chosen.tolist(), strict=True):
        if side >= 0:
            groups[key].append(file.name)
    return tuple(tuple(names) for names in groups.values() if len(names) > 1)


def _some(unreadable: Sequence[tuple[str, str]]) -> str:
    return "; ".join(why for _, why in unreadable[:NAMED])
