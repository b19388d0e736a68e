"""The curve of a training as a picture, SVG or PNG (matplotlib, of the extra `report`)."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenet_edge.errors import BadInputError, MissingToolError, one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_training", "require_plot"]

_FORMS = {".svg": "svg", ".png": "png"}
_SIZE_INCHES, _DOTS_PER_INCH = (7.0, 4.6), 150
_LONGEST_TITLE = 80  # characters
_LOSS, _ACCURACY = "#b45309", "#1d4ed8"
# The same figures give the same bytes: matplotlib would name the parts of an SVG by chance.
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "lenet-edge",
    "font.size": 10,
    "font.family": "sans-serif",
}
_METADATA = {"svg": {"Date": None, "Creator": "lenet-edge"}, "png": {"Software": "lenet-edge"}}


def require_plot(path: Path) -> None:
    """See, before the work, whether a plot can be drawn to that file.

    Raises:
        BadInputError: its name ends neither with .svg nor with .png.
        MissingToolError: matplotlib is not installed.
    """
    if path.suffix.lower() not in _FORMS:
        raise BadInputError(f"{path}: the name of a plot must end with .svg or .png")
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise MissingToolError(
            f"a plot is drawn by matplotlib, which cannot be imported ({error}). "
            "Install with: pip install 'lenet-edge[report]'"
        ) from error


def draw_training(history: Sequence[tuple[float, float]], title: str, path: Path) -> bytes:
    """Draw the loss and the validation accuracy over the epochs.

    Args:
        history: per epoch the mean loss and the validation accuracy, 0..1.
        title: a line at the top; what is too long is cut.
        path: only its ending counts.

    Returns:
        The file: the same figures give the same bytes.

    Raises:
        BadInputError, MissingToolError: as `require_plot`.
    """
    require_plot(path)
    import matplotlib
    from matplotlib.figure import Figure

    form = _FORMS[path.suffix.lower()]
    epochs = range(1, len(history) + 1)
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a font lacks a letter of the title
        matplotlib.rcdefaults()  # not what the user's own matplotlibrc says
        matplotlib.rcParams.update(_SETTINGS)
        figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
        figure.suptitle(one_line(title)[:_LONGEST_TITLE], parse_math=False)
        above, below = figure.subplots(2, 1, sharex=True)
        _panel(above, epochs, [loss for loss, _ in history], "loss", _LOSS)
        _panel(below, epochs, [100 * accuracy for _, accuracy in history], "validation accuracy, %", _ACCURACY)
        below.set_xlabel("epoch")
        file = io.BytesIO()
        figure.savefig(file, format=form, dpi=_DOTS_PER_INCH, metadata=_METADATA[form])
    return file.getvalue()


def _panel(axes: Axes, epochs: Sequence[int], values: Sequence[float], name: str, colour: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.plot(epochs, values, color=colour, marker="o", markersize=3, linewidth=1.5)
    axes.set_ylabel(name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(color="#e4e4e7", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
