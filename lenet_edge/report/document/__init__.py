"""The report: a build folder as one HTML file to look at. A module for each section, `reading` for the records."""

from lenet_edge.report.document.drawing import read_page
from lenet_edge.report.document.page import write_report
from lenet_edge.report.document.reading import Build, Samples, find_model, read_folder
from lenet_edge.report.document.verdict import verdict_of

__all__ = ["Build", "Samples", "find_model", "read_folder", "read_page", "verdict_of", "write_report"]
