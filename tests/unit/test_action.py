"""The GitHub Action and the pre-commit hook: their steps and entries run here as there."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from composite_actions import Runner
from doc_pages import CHECKOUT, DOCS
from doc_pages import blocks as blocks_of
from sample_models import lenet5

from lenet_edge.cli import cli
from lenet_edge.formats import tflite

CI = DOCS / "tutorials" / "your-ci.md"

PYTHON = r"""#!/bin/sh
# In place of Python: notes what it is asked for; an environment that it makes has the lenet-edge of these tests.
echo "$@" >> "{log}"
if [ "$1 $2" = "-m venv" ]; then
    mkdir -p "$3/bin"
    cp "$0" "$3/bin/python"
    printf '#!/bin/sh\nexec "{python}" -m lenet_edge "$@"\n' > "$3/bin/lenet-edge"
    chmod +x "$3/bin/lenet-edge"
fi
"""
GH = r"""#!{python}
# In place of GitHub's API: the comments of a pull request are in comments.json, and a filter names how one begins.
import json, os, pathlib, re, sys

place = pathlib.Path("{log}").with_name("comments.json")
comments = json.loads(place.read_text())
arguments = sys.argv[1:]
with open("{log}", "a") as log:
    print("gh", *arguments[:4], os.environ["GH_TOKEN"], file=log)
path = next(argument for argument in arguments if argument.startswith("repos/me/mine/issues/"))
if "--jq" in arguments:
    assert path.endswith("/7/comments")
    (mark,) = re.findall(r'startswith\("(.*)"\)', arguments[-1])
    print(*(each["id"] for each in comments if each["body"].startswith(mark)), sep="\n")
    sys.exit()
body = pathlib.Path(arguments[-1].removeprefix("body=@")).read_text()
if "PATCH" in arguments:
    (found,) = [each for each in comments if each["id"] == int(path.rpartition("/")[2])]
    found["body"] = body
else:
    assert "POST" in arguments and path.endswith("/7/comments")
    comments.append({"id": 100 + len(comments), "body": body})
place.write_text(json.dumps(comments))
"""
OTHERS = {"id": 100, "body": "### lenet-edge: as another bot says"}


@pytest.fixture
def job(tmp_path):
    """A repository with two models, and a runner whose python and gh note what they are asked for."""
    commands, workspace, log = tmp_path / "bin", tmp_path / "work", tmp_path / "log"
    commands.mkdir()
    workspace.mkdir()
    log.touch()
    log.with_name("comments.json").write_text(json.dumps([OTHERS]))
    for name, text in (("python", PYTHON), ("gh", GH)):
        (commands / name).write_text(text.replace("{log}", str(log)).replace("{python}", sys.executable))
        (commands / name).chmod(0o755)
    for name, grid in (("good.tflite", "tie-free"), ("ordinary.tflite", "ordinary")):
        (workspace / name).write_bytes(tflite.to_bytes(lenet5(1, grid)))
    context = {"github.event_name": "pull_request", "github.repository": "me/mine"}
    return Runner(CHECKOUT, workspace, commands, {**context, "github.event.pull_request.number": "7"})


def asked(job) -> list[str]:
    return job.workspace.with_name("log").read_text().splitlines()


def comments(job) -> list[str]:
    """The comments of the pull request, but for another's."""
    first, *ours = json.loads(job.workspace.with_name("comments.json").read_text())
    assert first == OTHERS
    return [each["body"] for each in ours]


DIFFERS = "--images=300\n--engine=tflm\n--engine=litert-xnnpack"
QUICK = "\n  --images=20\n\n  --engine=host_c \n--engine=tflm\r\n--engine=litert-reference\n"


def test_a_good_model_passes_and_the_page_of_the_run_says_so(job):
    job.run(model="good.tflite", data="noise", arguments=QUICK)
    assert job.code == 0, job.log
    assert job.outputs == {"exit-code": "0"}
    assert job.summary.startswith("### lenet-edge: every engine computes the same integers\n")
    assert re.search(r"^\| host\\_c \| .* \| 0 \| 0 \| ok \|$", job.summary, re.MULTILINE)
    assert "20 images of noise" in job.summary
    assert (job.workspace / "build" / "check.md").read_text() == job.summary
    assert "<testsuite" in (job.workspace / "build" / "check.xml").read_text()
    assert not [line for line in asked(job) if line.startswith("gh ")]


def test_it_installs_what_was_checked_out_with_its_pinned_packages(job):
    job.run(model="good.tflite", data="noise", arguments=QUICK, torch_index="https://index.invalid/cpu")
    venv, torch, package = asked(job)
    assert venv == f"-m venv {job.temporary}/lenet-edge"
    pip = f"-m pip --disable-pip-version-check --quiet install -c {CHECKOUT}/constraints.txt"
    assert torch == f"{pip} --no-deps --index-url https://index.invalid/cpu torch"
    assert package == f"{pip} {CHECKOUT}[boards]"
    assert (CHECKOUT / "constraints.txt").is_file()


def test_a_model_that_differs_fails_and_the_comment_says_where(job):
    job.run(model="ordinary.tflite", data="noise", arguments=DIFFERS, token="secret")  # noqa: S106
    assert job.code == 1, job.log
    assert job.outputs == {"exit-code": "1"}
    assert job.summary.startswith("### lenet-edge: the check did NOT pass\n")
    assert "| **differs** |" in job.summary
    assert re.search(r"^\* \*\*.*logits differ from the reference\*\*$", job.summary, re.MULTILINE)
    assert re.search(r"^\* .* differs first at image \d+, logit \d+: ", job.summary, re.MULTILINE)
    assert comments(job) == [f"<!-- lenet-edge, job model -->\n{job.summary}"]
    assert all(line.endswith(" secret") for line in asked(job) if line.startswith("gh "))


def test_a_later_run_changes_its_own_comment_and_no_other(job):
    for _ in range(2):
        job.run(model="good.tflite", data="noise", arguments=QUICK, token="secret")  # noqa: S106
        assert job.code == 0, job.log
    (ours,) = comments(job)
    assert ours == f"<!-- lenet-edge, job model -->\n{(job.workspace / 'build' / 'check.md').read_text()}"


@pytest.mark.parametrize("model", ["missing.tflite", "$(touch hacked)", "a b;touch hacked", "-x"])
def test_what_cannot_be_checked_fails_with_its_code_and_runs_nothing_else(job, model):
    job.run(model=model, data="noise", token="secret")  # noqa: S106
    assert job.code in (2, 3), job.log
    assert job.outputs == {"exit-code": str(job.code)}
    assert job.summary == f"### lenet-edge ended with exit code {job.code}; the log of the step says why\n"
    assert not (job.workspace / "hacked").exists()
    assert not [line for line in asked(job) if line.startswith("gh ")]


def test_another_command_and_boards(job):
    job.run(command="analyze\n good.tflite\n--require-tie-free")
    assert job.code == 0, job.log
    assert job.summary.startswith("good.tflite: tie-free, model ")
    job.run(model="good.tflite", boards="pico  microbott", data="noise")
    assert job.code == 3
    assert "no board 'microbott'" in job.log


def test_the_summary_of_an_earlier_step_is_not_shown_again(job):
    (job.workspace / "build").mkdir()
    (job.workspace / "build" / "check.md").write_text("passed")
    job.run(model="missing.tflite")
    assert "passed" not in job.summary


def test_inputs_are_described_and_scripts_take_them_from_variables_only(job):
    assert all(set(given) == {"description", "default"} for given in job.described["inputs"].values())
    for step in job.described["runs"]["steps"]:
        assert "${{" not in step.get("run", "")
        assert re.fullmatch(r"actions/[a-z-]+@v\d+", step.get("uses", "actions/x@v1"))
        assert ("run" in step) == ("shell" in step)
    used = set(re.findall(r"inputs\.([\w-]+)", (CHECKOUT / "action.yml").read_text()))
    assert used == set(job.described["inputs"])


def test_the_page_uses_inputs_that_there_are(job):
    blocks = [yaml.safe_load(content) for words, content in blocks_of(CI) if words.startswith("yaml")]
    lists = [block for block in blocks if isinstance(block, list)]
    steps = [step for block in lists for step in block if "lenet-edge@" in step["uses"]]
    assert len(steps) >= 2
    for step in steps:
        assert set(step["with"]) <= set(job.described["inputs"])


def test_the_page_uses_the_hook_that_there_is(hook):
    (used,) = [block for words, block in blocks_of(CI) if "pre-commit" in words]
    (repository,) = yaml.safe_load(used)["repos"]
    assert [each["id"] for each in repository["hooks"]] == [hook["id"]]


# --- the hook ---------------------------------------------------------------------------------------


@pytest.fixture
def hook():
    (found,) = yaml.safe_load((CHECKOUT / ".pre-commit-hooks.yaml").read_text())
    return found


def run_hook(hook, folder: Path, *files: str) -> subprocess.CompletedProcess[str]:
    """As pre-commit does: the entry's words, then the changed files that match."""
    program, *words = shlex.split(hook["entry"])
    assert program == "lenet-edge"
    changed = [name for name in files if re.search(hook["files"], name)]
    argv = [sys.executable, "-m", "lenet_edge", *words, *changed]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=120)


def test_the_hook_takes_tie_free_models_and_refuses_others(hook, job):
    assert {"id", "name", "entry", "language", "files"} <= set(hook)
    folder = job.workspace
    passed = run_hook(hook, folder, "good.tflite", "README.md", "good.tflite")
    assert passed.returncode == 0, passed.stderr
    assert passed.stdout.count("good.tflite: tie-free, model ") == 2
    failed = run_hook(hook, folder, "good.tflite", "ordinary.tflite")
    assert failed.returncode == 1
    assert "ordinary.tflite: not tie-free (" in failed.stdout
    assert "error: not tie-free, so runtimes will differ on some images: ordinary.tflite" in failed.stderr
    (folder / "damaged.tflite").write_bytes((folder / "good.tflite").read_bytes()[:1000])
    assert run_hook(hook, folder, "damaged.tflite").returncode == 3


def test_tie_free_in_json_and_several_models_without_the_option(run, job):
    folder = job.workspace
    found = run("analyze", "--require-tie-free", "--json", folder / "good.tflite", folder / "ordinary.tflite")
    good, ordinary = json.loads(found.stdout)["models"]
    assert good == {
        "model": str(folder / "good.tflite"),
        "fingerprint": lenet5(1).fingerprint,
        "not_tie_free_because": None,
    }
    assert ordinary["not_tie_free_because"]
    several = run("analyze", folder / "good.tflite", folder / "good.tflite")
    assert several.returncode == 2
    assert "only --require-tie-free takes several" in several.stderr


def test_the_entries_are_command_lines_that_there_are(hook):
    name, *words = shlex.split(hook["entry"])[1:]
    cli.commands[name].make_context(name, [*words, "x.tflite"])
