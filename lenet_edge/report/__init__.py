"""Results as files to look at, and in the forms that other tools read."""

from lenet_edge.report.check_markdown import check_to_markdown
from lenet_edge.report.junit_xml import cases_to_junit, to_junit
from lenet_edge.report.sheet import Tile, draw_sheet
from lenet_edge.report.training_curve import draw_training, require_plot

__all__ = ["Tile", "cases_to_junit", "check_to_markdown", "draw_sheet", "draw_training", "require_plot", "to_junit"]
