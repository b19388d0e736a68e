"""A sheet to draw on, written as an SVG: the same drawing gives the same bytes.

A sheet paints its own background, in light and in dark, so that it can be read on any page. It names no font and no
file from outside and has no script. Sizes are in pixels of a sheet 520 wide: on a telephone 15 becomes 10.
"""

from __future__ import annotations

from xml.sax.saxutils import escape

__all__ = ["MONO", "SANS", "WIDTH", "Sheet"]

WIDTH = 520
SANS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
MONO = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"

_LIGHT = {
    "paper": "#ffffff",
    "edge": "#d0d7de",
    "ink": "#1f2328",
    "muted": "#57606a",
    "faint": "#eaeef2",
    "one": "#2f6f9f",
    "two": "#6a9fc4",
    "three": "#b0cde2",
    "four": "#98621c",
    "five": "#d9b679",
    "good": "#2f7d4f",
    "bad": "#b3362c",
    "inverse": "#ffffff",
}
_DARK = {
    "paper": "#161b22",
    "edge": "#3d444d",
    "ink": "#e6edf3",
    "muted": "#9da7b3",
    "faint": "#262c36",
    "one": "#6cb0e0",
    "two": "#3f7fb0",
    "three": "#2a557a",
    "four": "#dba65a",
    "five": "#8a683a",
    "good": "#5cb87f",
    "bad": "#f0776c",
    "inverse": "#0d1117",
}


def _rules(colours: dict[str, str]) -> str:
    return " ".join(
        f".{name} {{ fill: {value} }} .{name}-line {{ stroke: {value} }}" for name, value in colours.items()
    )


_STYLE = f"""\
text {{ font: 15px {SANS} }}
.mono {{ font-family: {MONO} }} .bold {{ font-weight: 600 }} .small {{ font-size: 14px }} .large {{ font-size: 18px }}
.middle {{ text-anchor: middle }} .end {{ text-anchor: end }}
line, path, .open {{ fill: none; stroke-width: 1.5 }}
{_rules(_LIGHT)}
@media (prefers-color-scheme: dark) {{ {_rules(_DARK)} }}"""


class Sheet:
    """What is drawn, in order; a later thing covers an earlier one.

    Colours are the names of the palette above (``ink``, ``muted``, ``one``, ...), ``NAME-line`` for a stroke.
    """

    def __init__(self, title: str, description: str, height: int) -> None:
        self.title, self.description, self.height = title, description, height
        self._parts: list[str] = []

    def text(self, x: float, y: float, words: str, classes: str = "ink") -> None:
        """Words on the base line `y`, which begin at `x`; with the class ``middle`` or ``end`` that is where x is."""
        self._parts.append(f'<text x="{x:g}" y="{y:g}" class="{classes}">{escape(words)}</text>')

    def box(self, x: float, y: float, width: float, height: float, classes: str, radius: float = 0) -> None:
        """A rectangle."""
        rounded = f' rx="{radius:g}"' if radius else ""
        size = f'width="{width:.5g}" height="{height:g}"'
        self._parts.append(f'<rect x="{x:.5g}" y="{y:g}" {size}{rounded} class="{classes}"/>')

    def line(self, x1: float, y1: float, x2: float, y2: float, classes: str, dash: str = "") -> None:
        """A straight line; `dash` is SVG's ``stroke-dasharray``."""
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        self._parts.append(f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}"{dashed} class="{classes}"/>')

    def dot(self, x: float, y: float, radius: float, classes: str) -> None:
        """A disc."""
        self._parts.append(f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" class="{classes}"/>')

    def arrow_down(self, x: float, y1: float, y2: float) -> None:
        """An arrow from `y1` to `y2`."""
        self.line(x, y1, x, y2 - 2, "muted-line")
        self._parts.append(
            f'<path d="M{x - 4:g} {y2 - 6:g} L{x:g} {y2 - 1:g} L{x + 4:g} {y2 - 6:g}" class="muted-line"/>'
        )

    def svg(self) -> str:
        """The file."""
        body = "\n".join(self._parts)
        return f"""\
<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{self.height}" viewBox="0 0 {WIDTH} {self.height}" \
role="img" aria-labelledby="title description">
<title id="title">{escape(self.title)}</title>
<desc id="description">{escape(self.description)}</desc>
<style>
{_STYLE}
</style>
<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{self.height - 1}" rx="8" class="paper edge-line"/>
{body}
</svg>
"""
