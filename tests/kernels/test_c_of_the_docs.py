"""The C in the pages of docs/ compiles, without a warning, with what `export` writes."""

from __future__ import annotations

import subprocess

import pytest
import sample_models
from doc_pages import CHECKOUT, DOCS, blocks, titled

from lenet_edge.formats import c_source

MODELS = {"le": sample_models.lenet5(51), "meter": sample_models.lenet5(52), "gauge": sample_models.lenet5(53)}
STRICT = ["cc", "-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Folders with a model each, by the prefix of its names."""
    folders = {prefix: tmp_path_factory.mktemp(prefix) for prefix in MODELS}
    for prefix, model in MODELS.items():
        files = c_source.with_prefix(c_source.export(c_source.make_plan(model), CHECKOUT / "firmware"), prefix, model)
        for name, content in files.items():
            (folders[prefix] / name).parent.mkdir(exist_ok=True)
            (folders[prefix] / name).write_bytes(content)
    return folders


def compiled(code, folder, exported):
    (folder / "page.c").write_text(code)
    argv = [*STRICT, *(f"-I{each}" for each in exported.values()), "-c", "page.c", "-o", "page.o"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "page.o"


@pytest.mark.parametrize("page", [page for page in DOCS.rglob("*.md") if "```c " in page.read_text()], ids=str)
def test_c_compiles(page, exported, tmp_path):
    found = [content for words, content in blocks(page) if words.split()[0:1] == ["c"]]
    assert found
    for code in found:
        compiled(code, tmp_path, exported)


def test_two_models_link_into_one_program(exported, tmp_path):
    code = titled(DOCS / "how-to" / "two-models.md", "main.c")
    main = "int main(void) { static int8_t image[784]; return read_meter(image) + read_gauge(image) < 0; }\n"
    program = compiled(f"{code}\n{main}", tmp_path, exported)
    sources = [str(path) for prefix in ("meter", "gauge") for path in exported[prefix].glob("*.c")]
    argv = ["cc", "-o", "program", program.name, *sources]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert subprocess.run([tmp_path / "program"]).returncode == 0
