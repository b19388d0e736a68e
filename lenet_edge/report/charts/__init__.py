"""Charts as SVG for a page: matplotlib draws them, the page's style sheet colours them."""

from lenet_edge.report.charts.allocation import Point, draw_allocations
from lenet_edge.report.charts.alone import standing_alone
from lenet_edge.report.charts.histograms import draw_histograms
from lenet_edge.report.charts.intervals import Interval, draw_intervals
from lenet_edge.report.charts.lifetimes import Tensor, draw_lifetimes
from lenet_edge.report.charts.number_line import Accumulator, NumberLine, draw_number_lines
from lenet_edge.report.charts.scatter import Cloud, draw_accuracy_against_flash

__all__ = [
    "Accumulator",
    "Cloud",
    "Interval",
    "NumberLine",
    "Point",
    "Tensor",
    "draw_accuracy_against_flash",
    "draw_allocations",
    "draw_histograms",
    "draw_intervals",
    "draw_lifetimes",
    "draw_number_lines",
    "standing_alone",
]
