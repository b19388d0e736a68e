"""From a template to one HTML file that needs nothing else, and in which no text can become anything but text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenet_edge.report.html.figures import short
from lenet_edge.version import __version__

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

__all__ = ["Frame", "embedded", "environment", "policy", "render"]

_HERE = Path(__file__).parent
_ENDS = {"style": re.compile("</style", re.IGNORECASE), "script": re.compile("</script|<!--", re.IGNORECASE)}
_TEXTS = ("<style>(.*?)</style>", '<script(?: type="module")?>(.*?)</script>')
_UNSAFE = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&\u2028\u2029"}


@dataclass(frozen=True)
class Frame:
    """A whole file of HTML that stands in a frame of another, whose policy holds for it too.

    Attributes:
        source: the file.
        styles, scripts: the texts in it that a browser applies and runs.
    """

    source: str
    styles: tuple[str, ...]
    scripts: tuple[str, ...]

    @classmethod
    def of(cls, source: str) -> Frame:
        """That of a file which `render` wrote."""
        styles, scripts = (tuple(re.findall(pattern, source, re.DOTALL)) for pattern in _TEXTS)
        return cls(source, styles, scripts)


def environment(*folders: Path) -> Environment:
    """Templates of `folders`, and of this one: `base.html.j2`.

    Whatever a template prints is escaped, and a name that is not there is an error.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader([*folders, _HERE])
    found = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    found.globals["version"] = __version__
    found.globals["embedded"] = embedded
    found.filters["short"] = _shortened
    return found


def render(
    found: Environment,
    template: str,
    *,
    styles: Sequence[str] = (),
    modules: Sequence[str] = (),
    wasm: bool = False,
    connects: bool = False,
    frame: Frame | None = None,
    **context: Any,
) -> bytes:
    """A file of HTML.

    Args:
        found: of `environment`.
        template: extends `base.html.j2`.
        styles: CSS, behind that of `base.css`.
        modules: JavaScript that runs at the end of the body.
        wasm, connects: see `policy`.
        frame: another file that the template shows within; what it runs is allowed too.
        context: what the template needs.
    """
    from markupsafe import Markup

    styles = ((_HERE / "base.css").read_text(encoding="utf-8"), *styles)
    for kind, texts in (("style", styles), ("script", modules)):
        for text in texts:  # ours: not escaped, since a browser would not read it then
            assert not _ENDS[kind].search(text), f"a {kind} would end too early"
    allowed_styles = (*styles, *(frame.styles if frame else ()))
    allowed_scripts = (*modules, *(frame.scripts if frame else ()))
    text = found.get_template(template).render(
        **context,
        styles=[Markup(text) for text in styles],  # noqa: S704 - ours
        modules=[Markup(text) for text in modules],  # noqa: S704
        policy=policy(allowed_styles, allowed_scripts, wasm=wasm or frame is not None, connects=connects),
    )
    return text.encode()


def policy(styles: Sequence[str], scripts: Sequence[str] = (), *, wasm: bool = False, connects: bool = False) -> str:
    """The Content-Security-Policy of a file that loads nothing and runs these texts only.

    Args:
        wasm: WebAssembly may be compiled, and pictures come from the user's files and camera.
        connects: the server that sent the file may be asked.
    """
    allowed = {
        "default-src": "'none'",
        "style-src": _hashes(styles),
        "script-src": _hashes(scripts) + (" 'wasm-unsafe-eval'" if wasm else ""),
        "img-src": "data: blob:" if wasm else "data:",
        **({"media-src": "blob:"} if wasm else {}),
        **({"connect-src": "'self'"} if connects else {}),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {values.strip()}" for name, values in allowed.items())


def _hashes(texts: Sequence[str]) -> str:
    digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts)
    return " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"


def _shortened(text: str) -> str | Markup:
    """A long name without its middle, and whole in the tooltip."""
    from markupsafe import Markup

    return text if short(text) == text else Markup('<span title="{}">{}</span>').format(text, short(text))


def embedded(value: Any) -> Markup:
    """A JSON value as the content of ``<script type="application/json">``: nothing in it ends that element."""
    from markupsafe import Markup

    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.translate(_UNSAFE))  # noqa: S704 - what could be markup is escaped
