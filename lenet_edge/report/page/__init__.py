"""A page on which one draws, and the generated C, compiled to WebAssembly, says what it sees."""

from lenet_edge.report.page.contents import Engine, Example, Shown, page, require_images
from lenet_edge.report.page.webassembly import compile_to_webassembly

__all__ = ["Engine", "Example", "Shown", "compile_to_webassembly", "page", "require_images"]
