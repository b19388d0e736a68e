"""A figure of matplotlib as an SVG that belongs to its page.

The same drawing gives the same bytes. Colours become variables of the style sheet, so that light, dark and print work;
styles become attributes, which a Content-Security-Policy does not forbid; texts are in the page's font.
"""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "drawing", "quiet", "to_svg"]

_NAMES = ("ink", "muted", "edge", "faint", "paper", "card", "one", "two", "three", "four", "five", "good", "bad")
COLOURS = {name: f"#{index + 1:02x}fe{index + 1:02x}" for index, name in enumerate(_NAMES)}
"""Variable of the style sheet -> what stands for it while matplotlib draws."""

_VARIABLES = {colour: f"var(--{name})" for name, colour in COLOURS.items()}
_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_DPI = 72  # of matplotlib's SVG: a point is a unit
_SIZE = 11.0  # of texts
_NUMBER = re.compile(r"-?\d+\.\d{2,}")


@contextmanager
def drawing(width: float, height: float) -> Iterator[Figure]:
    """A figure to draw on, of so many CSS pixels; whatever a user's matplotlibrc says, it looks the same."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {
                "svg.fonttype": "none",
                "font.size": _SIZE,
                "axes.edgecolor": COLOURS["edge"],
                "axes.labelcolor": COLOURS["muted"],
                "text.color": COLOURS["ink"],
                "xtick.color": COLOURS["edge"],
                "ytick.color": COLOURS["edge"],
                "xtick.labelcolor": COLOURS["muted"],
                "ytick.labelcolor": COLOURS["muted"],
                "axes.facecolor": "none",
                "hatch.linewidth": 0.6,
            }
        )
        yield Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor="none")


def quiet(axes: Axes, *, left: bool = False) -> None:
    """Take away the frame but for the lower side, and the left one if asked for."""
    for side in ("top", "right", *(() if left else ("left",))):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=3, pad=3)
    if not left:
        axes.tick_params(axis="y", length=0)


def to_svg(figure: Figure, name: str, title: str) -> Markup:
    """The drawing as an element for a page.

    Args:
        figure: of `drawing`.
        name: another one for each chart of a page: letters, digits, ``-``.
        title: what a screen reader says.
    """
    import matplotlib
    from markupsafe import Markup

    with matplotlib.rc_context({"svg.hashsalt": name}), io.BytesIO() as file:
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
        root = ElementTree.fromstring(file.getvalue())  # noqa: S314 - matplotlib's
    _clean(root, name)
    root.set("role", "img")
    root.set("aria-label", title)
    root.set("class", "chart")
    for size in ("width", "height"):
        root.set(size, root.get(size, "").removesuffix("pt"))
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # noqa: S704 - its texts are escaped


def _clean(root: ElementTree.Element, name: str) -> None:
    """Styles to attributes, colours to variables, no name that nothing refers to, no second one on the page."""
    used = set(re.findall(r"#([\w-]+)[\")]", ElementTree.tostring(root, encoding="unicode")))
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):
                parent.remove(child)
    for element in root.iter():
        for style in (element.attrib.pop("style", "") or "").split(";"):
            key, _, value = style.partition(":")
            if key.strip() and not key.strip().startswith("font-family"):
                element.set(key.strip(), value.strip())
        identity = element.attrib.pop("id", None)
        if identity in used:
            element.set("id", f"{name}-{identity}")
        for key, value in list(element.attrib.items()):
            element.set(key, _attribute(key, value, name))


def _attribute(key: str, value: str, name: str) -> str:
    if value in _VARIABLES:
        return _VARIABLES[value]
    value = re.sub(r"url\(#", f"url(#{name}-", value)
    if key == f"{{{_XLINK}}}href" and value.startswith("#"):
        return f"#{name}-{value[1:]}"
    if key in ("d", "x", "y", "transform", "points", "width", "height"):
        return _NUMBER.sub(lambda number: f"{float(number[0]):.1f}".removesuffix(".0"), value)
    return value
