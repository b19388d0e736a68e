"""Budgets of a project: what `lenet-edge.toml` allows, what the records say, and what a change did to the figures."""

from lenet_edge.budget.limits import Budgets, read_budgets
from lenet_edge.budget.measured import Measured, read_base, read_measured
from lenet_edge.budget.verdict import HEADINGS, cells, judge, to_markdown

__all__ = [
    "HEADINGS",
    "Budgets",
    "Measured",
    "cells",
    "judge",
    "read_base",
    "read_budgets",
    "read_measured",
    "to_markdown",
]
