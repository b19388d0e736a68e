"""What the commands do, as six functions: `import lenet_edge`, then `lenet_edge.train(...)` and so on.

Each takes the options of its command under their names, leaves the files that the command leaves, and returns what the
command prints. What the command says meanwhile goes to stderr; with `quiet` it says nothing. What goes wrong is an
error of `lenet_edge.errors`: a `BadInputError` where an argument makes no sense, too.
"""

from lenet_edge.api.chip import build, run
from lenet_edge.api.files import check, export
from lenet_edge.api.results import Answer, Epoch, Exported, Quantized, Ran, Trained
from lenet_edge.api.training import quantize, train

__all__ = ["FUNCTIONS", "RESULTS", "build", "check", "export", "quantize", "run", "train"]

FUNCTIONS = ("train", "quantize", "export", "check", "build", "run")
RESULTS = (Trained, Epoch, Quantized, Exported, Ran, Answer)
"""What they return; `check` returns a `records.CheckRecord`, `build` a `hardware.firmware.Firmware`."""
