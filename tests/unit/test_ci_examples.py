"""The files of examples/ci: valid YAML and TOML, actions by their major version, only options that there are."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from lenet_edge import budget
from lenet_edge.cli import cli

FOLDER = Path(__file__).parents[2] / "examples" / "ci"
PAGE = FOLDER.parents[1] / "docs" / "tutorials" / "your-ci.md"
GITHUB, GITLAB = FOLDER / "github-actions.yml", FOLDER / "gitlab-ci.yml"


def github_steps() -> list[dict]:
    (job,) = yaml.safe_load(GITHUB.read_text())["jobs"].values()
    assert job["runs-on"] == "ubuntu-latest"
    assert 0 < job["timeout-minutes"] <= 60
    steps: list[dict] = job["steps"]
    return steps


def gitlab_job() -> dict:
    (job,) = yaml.safe_load(GITLAB.read_text()).values()
    return dict(job)


def scripts(path: Path) -> list[str]:
    """The shell lines of a pipeline, in order."""
    if path == GITHUB:
        return [step["run"] for step in github_steps() if "run" in step]
    return [*gitlab_job()["before_script"], *gitlab_job()["script"]]


def variables(path: Path) -> dict[str, str]:
    """What the pipeline sets."""
    return dict(yaml.safe_load(GITHUB.read_text())["env"] if path == GITHUB else gitlab_job()["variables"])


def commands(path: Path) -> list[tuple[str, list[str]]]:
    """(command, arguments) of each call of lenet-edge, with the pipeline's variables; a redirection ends one."""
    found = []
    for script in scripts(path):
        for name, value in variables(path).items():
            script = script.replace(f"${name}", value)
        words = shlex.split(script)
        if words[0] == "lenet-edge":
            end = words.index(">") if ">" in words else None
            found.append((words[1], words[2:end]))
    return found


@pytest.mark.parametrize("path", [GITHUB, GITLAB])
def test_the_commands_and_their_options_are_there(path):
    for name, arguments in commands(path):
        cli.commands[name].make_context(name, list(arguments))  # parses, and runs nothing
    assert [name for name, _ in commands(path)] == ["check", "bench", "budget"]


@pytest.mark.parametrize("path", [GITHUB, GITLAB])
def test_each_verdict_fails_the_job(path):
    """No pipe and no `||` after them: a shell would give the last program's exit code."""
    for script in scripts(path):
        if script.startswith("lenet-edge"):
            assert not re.search(r"[|;&]", script)
    text = path.read_text()
    assert "continue-on-error" not in text
    assert "allow_failure" not in text


@pytest.mark.parametrize("path", [GITHUB, GITLAB])
def test_no_host_is_named(path):
    assert not re.search(r"https?://|index-url|--pre\b", path.read_text())


def test_actions_are_pinned_by_their_major_version():
    used = [step["uses"] for step in github_steps() if "uses" in step]
    assert len(used) >= 5
    assert [name for name in used if not re.fullmatch(r"actions/[a-z-]+(/[a-z-]+)?@v\d+", name)] == []
    assert used[0].startswith("actions/checkout@")


def test_a_step_does_one_thing():
    for step in github_steps():
        assert ("run" in step) != ("uses" in step)


def test_github_runs_on_requests_and_keeps_the_base_of_the_branch():
    described = yaml.safe_load(GITHUB.read_text())
    assert set(described[True]) == {"push", "pull_request"}  # YAML 1.1 reads the key `on` so
    saved = [step for step in github_steps() if "cache/save@" in step.get("uses", "")]
    restored = [step for step in github_steps() if "cache/restore@" in step.get("uses", "")]
    assert [step["with"]["path"] for step in saved + restored] == ["base/budget.json"] * 2
    assert [step["if"] for step in saved] == ["github.ref == 'refs/heads/main'"]
    assert saved[0]["with"]["key"].startswith(restored[0]["with"]["restore-keys"])
    ((_, arguments),) = [command for command in commands(GITHUB) if command[0] == "budget"]
    assert arguments[arguments.index("--base") + 1] == "base/budget.json"


def test_gitlab_shows_both_reports_and_keeps_the_record():
    artifacts = gitlab_job()["artifacts"]
    written = [arguments[arguments.index("--junit") + 1] for _, arguments in commands(GITLAB) if "--junit" in arguments]
    assert artifacts["reports"]["junit"] == written == ["build/check.xml", "build/budget.xml"]
    assert artifacts["when"] == "always"
    assert "build/*.json" in artifacts["paths"]
    assert "build/budget.json?job=model" in GITLAB.read_text()  # the job's name
    assert list(yaml.safe_load(GITLAB.read_text())) == ["model"]


def test_the_budgets_are_read():
    found = budget.read_budgets(FOLDER / "lenet-edge.toml")
    assert set(found.model) == {"accuracy", "drop_points"}
    assert {name: set(values) for name, values in found.boards.items()} == {
        "microbit": {"flash_bytes", "ram_bytes", "instructions"}
    }


def test_the_tutorial_names_the_examples():
    text = PAGE.read_text()
    assert all(f"examples/ci/{path.name}" in text for path in (GITHUB, GITLAB))
