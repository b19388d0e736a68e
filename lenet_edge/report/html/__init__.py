"""What the report and the page have in common: templates that escape, the look, a strict policy, figures."""

from lenet_edge.report.html.figures import Figure, count, exact, name, number, percent, short, size, text
from lenet_edge.report.html.pages import Frame, embedded, environment, policy, render

__all__ = [
    "Figure",
    "Frame",
    "count",
    "embedded",
    "environment",
    "exact",
    "name",
    "number",
    "percent",
    "policy",
    "render",
    "short",
    "size",
    "text",
]
