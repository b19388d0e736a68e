"""What a stranger reads first: README.md, CONTRIBUTING.md, CHANGELOG.md, CITATION.cff and the package's metadata."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from click import Context

import lenet_edge
from lenet_edge.cli import cli
from lenet_edge.hardware import boards

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")


@pytest.mark.parametrize("name", PAGES)
def test_relative_links_and_pictures_are_there(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"", text)
    addresses = [one or other for one, other in links if not re.match(r"https?:|mailto:|#", one or other)]
    assert name == "CHANGELOG.md" or len(addresses) > 5
    for address in addresses:
        path, _, anchor = address.partition("#")
        assert (ROOT / path).is_file(), address
        if anchor:
            headings = re.findall(r"^#+ (.+)$", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_is_read_in_three_minutes():
    """A person reads some 240 words a minute; code and tables are looked at."""
    assert len(README.splitlines()) <= 150
    prose = re.sub(r"^ {4}.*$|\]\([^)]*\)|<[^>]*>", "", README, flags=re.MULTILINE)
    assert len(re.findall(r"\w+", prose)) <= 850


def test_every_picture_of_the_readme_has_words_for_it():
    shown = re.findall(r"!\[([^\]]*)\]\(|<img [^>]*alt=\"([^\"]*)\"", README)
    assert len(shown) == README.count("<img") + README.count("![")
    assert all(len(one or other) > 20 for one, other in shown)


def test_figures_of_the_readme_are_those_of_the_records():
    built = json.loads((ROOT / "docs" / "pictures" / "records" / "build.json").read_text(encoding="utf-8"))
    m4 = json.loads((ROOT / "benchmarks" / "mps2-an386-speed.json").read_text(encoding="utf-8"))
    assert f"{built['flash_bytes']:,} bytes of flash, {built['ram_bytes']:,} of RAM" in README
    assert f"on a Cortex-M4 | {m4['total']:,} instructions" in README
    checked = json.loads((ROOT / "docs" / "pictures" / "records" / "check.json").read_text(encoding="utf-8"))
    assert {engine["logits_differ"] for engine in checked["engines"]} == {0}
    assert "0 of 100,000 logits differ in any engine" in README  # of 10,000 images with 10 logits
    all_boards = [boards.load(name) for name in boards.board_names()]
    assert f"{len(all_boards)} boards are there" in README
    unseen = sum(board.status != boards.RUNS for board in all_boards)
    assert unseen == 11
    assert "builds, not run on hardware | eleven boards" in README


def test_no_line_of_the_commands_is_cut_in_a_terminal_of_80_columns():
    shown = cli.get_help(Context(cli, terminal_width=80, max_content_width=80)).partition("Commands:")[2]
    assert len(shown.strip().splitlines()) == len(cli.commands)
    assert "..." not in shown


def test_the_citation_is_of_this_version_and_of_the_paper():
    """Citation File Format 1.2.0: what it requires, and what makes it find the paper."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(citation)
    assert citation["title"] == PROJECT["name"]
    assert citation["version"] == lenet_edge.__version__
    assert citation["license"] == PROJECT["license"]
    (paper,) = citation["references"]
    assert paper["doi"] == "10.1109/5.726791"
    assert paper["year"] == 1998
    assert [author["family-names"] for author in paper["authors"]] == ["LeCun", "Bottou", "Bengio", "Haffner"]


def test_the_package_says_on_which_pythons_it_was_seen():
    named = [found[1] for line in PROJECT["classifiers"] if (found := re.search(r":: Python :: (3\.\d+)$", line))]
    assert named == ["3.11", "3.12", "3.13"]
    assert PROJECT["requires-python"] == ">=3.11"


def test_the_changelog_has_this_version():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE)[0] in ("Unreleased", lenet_edge.__version__)
    assert re.findall(r"^### (.+)$", text, re.MULTILINE)  # grouped by what a user does
