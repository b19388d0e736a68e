"""What the report and the page have in common: templates that escape, the look, a strict policy, figures."""

from lenet_edge.report.html.figures import Figure, count, exact, number, percent, size, text
from lenet_edge.report.html.pages import embedded, environment, policy, render

__all__ = [
    "Figure",
    "count",
    "embedded",
    "environment",
    "exact",
    "number",
    "percent",
    "policy",
    "render",
    "size",
    "text",
]
