"""A chart as a file of its own: its colours are in it, light ones, and dark ones for a browser that wants them."""

from __future__ import annotations

import re
from importlib import resources

__all__ = ["standing_alone"]

_ROOT = re.compile(r":root \{(.*?)\}", re.DOTALL)
_COLOUR = re.compile(r"--([a-z]+): (#[0-9a-f]{6});")
_USED = re.compile(r'([a-z]+)="var\(--([a-z]+)\)"')
_OPENING = re.compile(r"<svg\b[^>]*>")
_SANS = 'system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif'


def standing_alone(svg: str) -> bytes:
    """An SVG file, of a chart as `to_svg` returns it.

    What shows no style sheets shows the light colours, which are attributes.
    """
    light, dark = (dict(_COLOUR.findall(block)) for block in _ROOT.findall(_style_sheet())[:2])
    pairs = sorted(set(_USED.findall(svg)))
    rules = [f'[{key}="{light[name]}"] {{ {key}: {dark[name]} }}' for key, name in pairs]
    style = f"text {{ font-family: {_SANS} }}\n@media (prefers-color-scheme: dark) {{\n"
    style += "\n".join([f".paper {{ fill: {dark['paper']} }}", *rules]) + "\n}"
    ground = f'<rect class="paper" width="100%" height="100%" fill="{light["paper"]}"/>'
    coloured = _USED.sub(lambda found: f'{found[1]}="{light[found[2]]}"', svg)
    opening = _OPENING.search(coloured)
    assert opening is not None
    head = f"{opening[0]}\n<style>\n{style}\n</style>\n{ground}\n"
    return f'<?xml version="1.0" encoding="utf-8"?>\n{head}{coloured[opening.end() :]}\n'.encode()


def _style_sheet() -> str:
    return (resources.files("lenet_edge.report.html") / "base.css").read_text(encoding="utf-8")
