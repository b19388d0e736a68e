"""Make photo-like pictures of the digits of a water meter: a folder with one sub-folder per class.

The pictures are synthetic. They stand in for photos of your own meter, which are what you should train with.
Classes are 0 to 9, and NaN for a wheel that stands between two numbers, as AI-on-the-edge-device's models have them.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

CLASSES = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "NaN")

# Package and file of each font; all under the SIL Open Font License or Apache-2.0.
SEEN = (
    ("font_caladea", "Caladea-Bold.ttf"),
    ("font_manrope", "Manrope-Bold.ttf"),
    ("font_manrope", "Manrope-Medium.ttf"),
    ("font_source_sans_pro", "SourceSansPro-Semibold.ttf"),
    ("font_source_sans_pro", "SourceSansPro-Regular.ttf"),
    ("font_source_serif_pro", "SourceSerifPro-Semibold.ttf"),
)
UNSEEN = (("font_hanken_grotesk", "HankenGrotesk-SemiBold.otf"), ("font_fredoka_one", "FredokaOne-Regular.ttf"))

# Wheel and digit, in RGB.
COLORS = (
    ((24, 24, 26), (225, 225, 220)),
    ((40, 40, 44), (240, 240, 235)),
    ((228, 226, 218), (28, 28, 30)),
    ((200, 198, 190), (40, 40, 46)),
    ((160, 30, 34), (235, 228, 222)),
    ((228, 226, 218), (168, 28, 32)),
)

WIDTH, HEIGHT = 96, 144  # pixels of the window in which the wheel is seen, before it is photographed
PITCH = 132  # from one number of the wheel to the next
STILL, ROLLING = 0.12, (0.32, 0.68)  # of the pitch: how far a digit may be off, and what lies between two

RGB = tuple[int, int, int]
Pixels = np.ndarray[tuple[int, int, int], np.dtype[np.float32]]


@dataclass(frozen=True)
class Font:
    """A font: its name for the names of files, and its digits at the size of the wheel."""

    name: str
    digits: ImageFont.FreeTypeFont


def fonts(names: tuple[tuple[str, str], ...]) -> list[Font]:
    """The fonts of packages, sized so that a digit takes two thirds of the window's height."""
    loaded = []
    for package, file in names:
        data = (resources.files(package) / "files" / file).read_bytes()
        loaded.append(Font(Path(file).stem.lower(), ImageFont.truetype(io.BytesIO(data), 118)))
    return loaded


def picture(label: str, font: Font, random: np.random.Generator) -> bytes:
    """One picture, as a JPEG of 40 to 80 pixels of width."""
    pixels = np.asarray(_photographed(_window(label, font, random), random), np.float32)
    pixels = _lit(pixels, random)
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    image = image.filter(ImageFilter.GaussianBlur(random.uniform(0, 2.2)))
    width = int(random.integers(40, 81))
    image = image.resize((width, round(width * HEIGHT / WIDTH)), Image.Resampling.BOX)
    noise = random.normal(0, random.uniform(1, 9), (image.height, image.width, 3))
    noisy = (np.asarray(image, np.float32) + noise).clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noisy).save(file, "JPEG", quality=int(random.integers(40, 91)))
    return file.getvalue()


def _window(label: str, font: Font, random: np.random.Generator) -> Image.Image:
    """The wheel in its window: the digit, and what is seen of the one before and the one after."""
    wheel, ink = (_varied(color, random) for color in COLORS[random.integers(len(COLORS))])
    if label == "NaN":
        digit, offset = int(random.integers(10)), random.uniform(*ROLLING)
    else:
        digit, offset = int(label), random.uniform(-STILL, STILL)
    image = Image.new("RGB", (WIDTH, HEIGHT), wheel)
    draw = ImageDraw.Draw(image)
    for step in (-1, 0, 1, 2):
        place = (WIDTH / 2, HEIGHT / 2 + (step - offset) * PITCH)
        draw.text(place, str((digit + step) % 10), ink, font.digits, anchor="mm")
    # A wheel is a cylinder: it is darker towards the top and the bottom.
    angle = np.linspace(-1, 1, HEIGHT, dtype=np.float32)[:, None, None] * random.uniform(0.7, 1.2)
    curved = np.asarray(image, np.float32) * (0.35 + 0.65 * np.cos(angle))
    return Image.fromarray(curved.clip(0, 255).astype(np.uint8))


def _varied(color: RGB, random: np.random.Generator) -> RGB:
    red, green, blue = (int(np.clip(part + random.normal(0, 10), 0, 255)) for part in color)
    return red, green, blue


def _photographed(window: Image.Image, random: np.random.Generator) -> Image.Image:
    """The window in its frame, seen by a camera that is a little off and a little tilted."""
    margin = 14
    frame = _varied(((70, 72, 78), (200, 200, 198), (30, 30, 32))[random.integers(3)], random)
    scene = Image.new("RGB", (WIDTH + 2 * margin, HEIGHT + 2 * margin), frame)
    scene.paste(window, (margin, margin))
    scene = scene.rotate(random.uniform(-5, 5), Image.Resampling.BILINEAR, fillcolor=frame)
    left, top, right, bottom = 0, 0, scene.width, scene.height
    corners = np.array([(left, top), (left, bottom), (right, bottom), (right, top)], np.float64)
    inward = np.array([(1, 1), (1, -1), (-1, -1), (-1, 1)])
    seen = corners + inward * random.uniform(2, 15, (4, 2))
    quad = tuple(float(value) for value in seen.ravel())
    return scene.transform((WIDTH, HEIGHT), Image.Transform.QUAD, quad, Image.Resampling.BILINEAR)


def _lit(pixels: Pixels, random: np.random.Generator) -> Pixels:
    """The light of a cellar or of an LED: shading, colour, glare on the pane, dirt."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    slope = random.uniform(-0.35, 0.35, 2)
    shade = 1 + slope[0] * (x / WIDTH - 0.5) + slope[1] * (y / HEIGHT - 0.5)
    lit = pixels * (shade[..., None] * random.uniform(0.45, 1.15) * random.uniform(0.94, 1.06, 3))
    if random.random() < 0.35:
        center, size = random.uniform(0, 1, 2) * (WIDTH, HEIGHT), random.uniform(6, 26, 2)
        spot = np.exp(-(((x - center[0]) / size[0]) ** 2) - ((y - center[1]) / size[1]) ** 2)
        lit = lit + (spot * random.uniform(60, 230))[..., None]
    for _ in range(random.poisson(2.0)):
        center, size = random.uniform(0, 1, 2) * (WIDTH, HEIGHT), random.uniform(0.8, 4.0)
        speck = np.exp(-((x - center[0]) ** 2 + (y - center[1]) ** 2) / size**2)
        lit = lit * (1 - random.uniform(0.2, 0.8) * speck[..., None])
    return lit.astype(np.float32)


def pictures(count: int, names: tuple[tuple[str, str], ...], seed: int) -> Iterator[tuple[str, str, bytes]]:
    """(class, file name, JPEG) of `count` pictures, the classes in turn; the same for the same seed."""
    loaded = fonts(names)
    for index in range(count):
        label = CLASSES[index % len(CLASSES)]
        random = np.random.default_rng([seed, index])
        font = loaded[random.integers(len(loaded))]
        yield label, f"{index:05}-{font.name}.jpg", picture(label, font, random)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the sub-folders are made; it must not exist yet")
    parser.add_argument("--count", type=int, default=4_400, help="pictures of all classes together [default: 4400]")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same pictures [default: 0]")
    parser.add_argument("--unseen", action="store_true", help="in the two fonts that are otherwise never used")
    arguments = parser.parse_args()
    if arguments.folder.exists():
        parser.error(f"{arguments.folder} is there already: name another folder, or remove it")
    for label in CLASSES:
        (arguments.folder / label).mkdir(parents=True)
    for label, name, content in pictures(arguments.count, UNSEEN if arguments.unseen else SEEN, arguments.seed):
        (arguments.folder / label / name).write_bytes(content)
    print(f"{arguments.folder}: {arguments.count} synthetic pictures in {len(CLASSES)} classes")


if __name__ == "__main__":
    main()
