"""The site of docs/: it builds strictly, needs nothing from outside, and what it says can be typed, opened and read."""

from __future__ import annotations

import ast
import dataclasses
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import check_records
import click
import pytest
from doc_pages import CHECKOUT, DOCS, blocks, lines_that_start, prose, titled

from lenet_edge import budget, records
from lenet_edge.cli import cli
from lenet_edge.engines import ENGINES
from lenet_edge.files import write_file
from lenet_edge.formats.c_source import FAMILIES
from lenet_edge.hardware import boards
from lenet_edge.networks import reader
from lenet_edge.records.exported_c import CStep

PAGES = sorted(DOCS.rglob("*.md"))
TEXTS = [*PAGES, *(path for path in (CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md") if path.exists())]

ROOMS = r"(?:lenet_edge|firmware|tests|targets|benchmarks|examples|docs|\.ci)"
FILES = r"(?:README\.md|CONTRIBUTING\.md|CHANGELOG\.md|Makefile|mkdocs\.yml|pyproject\.toml|constraints[a-z-]*\.txt)"


def name_of(path: Path) -> str:
    return str(path.relative_to(CHECKOUT))


def calls(path: Path, program: str) -> list[list[str]]:
    """The arguments of each call of a program in the code of a page."""
    return [words for _, content in blocks(path) for words in lines_that_start(content, program)]


def parse(arguments: list[str], *, whole: bool = True) -> None:
    """What click says of a command line, without running it; in a sentence it may lack what is required."""
    name, *rest = arguments
    if name.startswith("-"):
        assert name in ("--version", "--help", "-h")
        return
    assert name in cli.commands, f"there is no command {name}"
    if rest in (["--help"], ["-h"]):
        return
    try:
        cli.commands[name].make_context(name, rest)
    except click.MissingParameter:
        if whole:
            raise


# --- the site


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    argv = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    result = subprocess.run(argv, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "WARNING" not in result.stdout + result.stderr
    return folder


def test_every_page_is_built_and_the_hook_is_not_published(site):
    for page in PAGES:
        assert (site / page.relative_to(DOCS)).with_suffix(".html").is_file()
    assert not list(site.rglob("*.py"))


class _Loaded(HTMLParser):
    """What a browser loads for a page: addresses of scripts, styles, pictures and frames."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.classes: set[str] = set()

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.classes |= set((given.get("class") or "").split())
        names = ("href", "xlink:href") if tag in ("link", "image", "use") else ("src", "srcset", "data")
        if tag != "a":
            self.addresses += [given[name] for name in names if given.get(name)]


def test_nothing_is_loaded_from_outside(site):
    pages, seen = list(site.rglob("*.html")), 0
    for page in pages:
        parser = _Loaded()
        parser.feed(page.read_text())
        seen += len(parser.addresses)
        outside = [address for address in parser.addresses if re.match(r"(https?:)?//", address)]
        assert outside == [], page
        assert "mermaid" not in parser.classes  # the theme would fetch its renderer
    assert seen > 5 * len(pages)


def test_styles_and_pictures_load_nothing_from_outside(site):
    styles, pictures = list(site.rglob("*.css")), list(site.rglob("*.svg"))
    assert styles
    for path in (*styles, *pictures):
        text = path.read_text()
        assert not re.search(r"url\(['\"]?(https?:)?//|@import", text), path
        assert not re.search(r"<(script|image|use|foreignObject)[^>]*(href|src)=['\"](https?:)?//", text), path


def test_the_search_knows_every_page(site):
    index = (site / "search" / "search_index.js").read_text()
    for page in PAGES:
        assert str(page.relative_to(DOCS).with_suffix(".html")) in index


def test_the_site_has_the_keys_that_the_boards_have(site):
    page = (site / "reference" / "board-toml.html").read_text()

    def keys(table, above=""):
        for key, value in table.items():
            yield key, above
            if isinstance(value, dict) and key not in ("defines", "also"):
                yield from keys(value, f"{above}.{key}" if above else key)

    for path in (CHECKOUT / "targets").glob("*.toml"):
        for key, table in keys(tomllib.loads(path.read_text())):
            assert f"<code>{key}</code>" in page or f"<code>[{table}.{key}]</code>".replace("[.", "[") in page
            assert not table or f"<code>[{table}]</code>" in page


def test_the_site_has_every_engine_and_family(site):
    engines = (DOCS / "reference" / "engines.md").read_text()
    listed = set(re.findall(r"^\| `([^`]+)` \|", engines, re.MULTILINE))
    assert listed == {*ENGINES, "host_c-x86", "host_c-neon", "reference", "board:NAME/EMULATOR"}
    for page in ("reference/kernel-families", "explanation/fast-kernels"):
        text = (site / f"{page}.html").read_text()
        assert set(re.findall(r"<td><code>([^<]+)</code></td>", text)) | {"plain"} == set(FAMILIES)


@pytest.mark.parametrize("path", [path for path in TEXTS if path.parent == CHECKOUT], ids=name_of)
def test_links_into_the_docs_lead_somewhere(path, site):
    """Of the files at the top; those within docs/ mkdocs itself looks at."""
    links = re.findall(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"", path.read_text())
    for link in ("".join(pair) for pair in links):
        file, _, anchor = link.partition("#")
        if file and not re.match(r"https?:|mailto:", file):
            assert (CHECKOUT / file).exists(), link
            if anchor:
                page = site / Path(file).relative_to("docs").with_suffix(".html")
                assert f'id="{anchor}"' in page.read_text(), link


def test_the_pages_have_every_field_of_every_record():
    """Where the pages of records and of artefacts name it, in code, in the section of that record."""
    text = prose(DOCS / "reference" / "records.md") + prose(DOCS / "reference" / "artefacts.md")
    sections = {part.partition("\n")[0].strip("`"): part for part in text.split("\n## ")}
    of = records
    for heading, kinds in {
        "check.json": (of.CheckRecord, of.EngineResult, of.Difference),
        "build/bench/NAME.json": (of.BenchRecord, of.LayerCount),
        "The manifest of a firmware": (of.Sizes,),
        "build/firmware/NAME/": (of.BuildRecord,),
        "Exported folders": (of.ExportedC, CStep),
        "build/pipeline.json": (of.PipelineRecord, of.StepRecord),
        "build/budget.json": (of.BudgetRecord, of.Measure),
        "flash.log": (of.FlashEvent, of.FlashResult, of.FlashStage),
    }.items():
        named = set(re.findall(r"`([^`\n]+)`", sections[heading]))
        fields = {field.name for kind in kinds for field in dataclasses.fields(kind)} - {"result"}
        assert fields <= named | {"files"}, heading


def test_the_python_of_the_page_reads_a_record(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_file(tmp_path / "build" / "check.json", json.dumps(check_records.record("0" * 64)).encode())
    exec(titled(DOCS / "reference" / "records.md", "from Python"), {})  # noqa: S102
    assert "True" in capsys.readouterr().out.splitlines()[0]


# --- what the pages say


def test_each_command_has_its_page():
    assert {path.stem for path in (DOCS / "reference" / "commands").glob("*.md")} - {"index"} == set(cli.commands)
    for name in cli.commands:
        text = (DOCS / "reference" / "commands" / f"{name}.md").read_text()
        assert re.search(rf"^    :command: {name}$", text, re.MULTILINE)
        assert re.search(rf"^    :prog_name: lenet-edge {name}$", text, re.MULTILINE)


@pytest.fixture
def _place(tmp_path, monkeypatch):
    """A folder with the board and the network of the pages, since a command reads them when it is parsed."""
    (tmp_path / "mine.toml").write_text(titled(DOCS / "tutorials" / "your-own-board.md", "mine.toml"))
    (tmp_path / "small.toml").write_text(titled(DOCS / "how-to" / "your-own-network.md", "small.toml"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("_place")
@pytest.mark.parametrize("path", TEXTS, ids=name_of)
def test_every_command_line_is_one_that_can_be_typed(path):
    for arguments in calls(path, "lenet-edge"):
        parse(arguments)
    for code in re.findall(r"`lenet-edge ([^`]+)`", prose(path)):
        if not code.startswith("COMMAND"):
            parse(shlex.split(code.replace("--board NAME", "--board microbit")), whole=False)


def test_command_lines_are_found_and_a_wrong_one_is_seen(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "```bash\n$ lenet-edge run --board pico \\\n    --image a.png > b  # c\n```\n\n    lenet-edge nothing\n"
    )
    first, second = calls(page, "lenet-edge")
    assert first == ["run", "--board", "pico", "--image", "a.png"]
    parse(first)
    with pytest.raises(AssertionError, match="no command nothing"):
        parse(second)
    for wrong in (["run", "--bord", "pico"], ["export", "--target", "tensorrt"], ["build"], ["doctor", "all"]):
        with pytest.raises(click.UsageError):
            parse(wrong)


@pytest.mark.parametrize("path", TEXTS, ids=name_of)
def test_every_target_of_make_is_there(path):
    rules = set(re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))
    lines = [*calls(path, "make"), *(code.split() for code in re.findall(r"`make ([^`]+)`", prose(path)))]
    for words in lines:
        assert [word for word in words if "=" not in word and word not in rules] == []


@pytest.mark.parametrize("path", TEXTS, ids=name_of)
def test_every_file_that_is_named_is_there(path):
    """Names in capitals stand for any, such as `firmware/port/FAMILY/port.c`; `file.py::function` is in that file."""
    for code in re.findall(r"`([^`\n]+)`", prose(path)):
        if not re.fullmatch(rf"{ROOMS}/[\w./*-]*(::\w+)?|{FILES}", code):
            continue
        file, _, defined = code.partition("::")
        there = list(CHECKOUT.glob(re.sub(r"\b[A-Z]{2,}\b", "*", file).rstrip("/"))) if file not in FILES else [file]
        assert there or (CHECKOUT / file).exists(), f"{code} is not there"
        if defined:
            names = [getattr(node, "name", "") for node in ast.walk(ast.parse((CHECKOUT / file).read_text()))]
            assert defined in names, f"{defined} is not in {file}"


READERS = {
    "lenet-edge.toml": lambda text, path: (path.write_text(text), budget.read_budgets(path)),
    "policy.toml": lambda text, path: (path.write_text(text), boards.read_policy(path)),
    "mine.toml": lambda text, path: boards.parse(text, path),
    "small.toml": lambda text, path: reader.parse(text, path),
    "residual.toml": lambda text, path: reader.parse(text, path),
}


@pytest.mark.parametrize("path", TEXTS, ids=name_of)
def test_toml_is_read_by_what_will_read_it(path, tmp_path):
    for words, content in blocks(path):
        if words.startswith("toml"):
            tomllib.loads(content)
            title = re.search(r'title="([^"]+)"', words)
            assert title or "\n" not in content, "a TOML of more than a line says in its title which file it is"
            if title and (read := READERS.get(Path(title[1]).name)):
                read(content, tmp_path / title[1])


def test_sections_of_the_design_that_the_code_names_are_there():
    headings = set(re.findall(r"^#+ (\d+(?:\.\d+)?)\.? ", (DOCS / "design.md").read_text(), re.MULTILINE))
    named = set()
    for room in ("lenet_edge", "firmware", "tests", "benchmarks"):
        for path in (CHECKOUT / room).rglob("*"):
            if path.suffix in (".py", ".c", ".h", ".S", ".toml"):
                named |= set(re.findall(r"(?:DESIGN|docs/design\.md),? (\d+(?:\.\d+)?)", path.read_text()))
    assert named
    assert named <= headings
