"""The shell steps of a composite action as GitHub's runner runs them: bash, and files for paths, outputs, summary."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

__all__ = ["Runner"]

_EXPRESSION = re.compile(r"\$\{\{ ([\w.-]+) \}\}")


@dataclass
class Runner:
    """A job that uses the action at `action` in the folder `workspace`; `commands` is in front on the PATH.

    Attributes:
        context: what expressions refer to, such as ``github.event_name``; the inputs are added.
        code: exit code of the last step that ran.
    """

    action: Path
    workspace: Path
    commands: Path
    context: dict[str, str] = field(default_factory=dict)
    code: int = 0
    log: str = ""

    def __post_init__(self) -> None:
        self.described: dict[str, Any] = yaml.safe_load((self.action / "action.yml").read_text(encoding="utf-8"))
        self.temporary = self.workspace.with_name("runner")
        self.temporary.mkdir()
        self.files = {name: self.temporary / name for name in ("GITHUB_PATH", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for path in self.files.values():
            path.touch()
        self.context |= {"github.action_path": str(self.action)}

    def run(self, **inputs: str) -> None:
        """Run the steps that have a script; inputs have underscores in their names. After a failure only `always()`."""
        defaults = {name: str(given.get("default", "")) for name, given in self.described["inputs"].items()}
        given = {name.replace("_", "-"): value for name, value in inputs.items()}
        assert set(given) <= set(defaults)
        self.context |= {f"inputs.{name}": value for name, value in (defaults | given).items()}
        failed = 0
        for step in self.described["runs"]["steps"]:
            always, wanted = self._condition(step.get("if", ""))
            if "run" in step and wanted and (always or not failed):
                self._step(step)
                failed = failed or self.code
        self.code = failed

    @property
    def summary(self) -> str:
        return self.files["GITHUB_STEP_SUMMARY"].read_text()

    @property
    def outputs(self) -> dict[str, str]:
        lines = self.files["GITHUB_OUTPUT"].read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)  # type: ignore[misc]

    def _condition(self, text: str) -> tuple[bool, bool]:
        """Whether it holds after a failure, too, and whether it holds: comparisons with texts, all of which must."""
        terms = [term.strip() for term in text.split("&&") if term.strip()]
        holds = True
        for term in terms:
            if term != "always()":
                name, sign, value = re.fullmatch(r"([\w.-]+) (==|!=) '([^']*)'", term).groups()  # type: ignore[union-attr]
                holds &= (self.context.get(name, "") == value) == (sign == "==")
        return "always()" in terms, holds

    def _step(self, step: dict[str, Any]) -> None:
        assert step["shell"] == "bash"
        assert not _EXPRESSION.search(step["run"])  # a script with an input in it runs whatever the input says
        script = self.temporary / "step.sh"
        script.write_text(step["run"])
        given = {
            name: _EXPRESSION.sub(lambda found: self.context.get(found[1], ""), value)
            for name, value in step.get("env", {}).items()
        }
        added = self.files["GITHUB_PATH"].read_text().split()
        path = os.pathsep.join([*reversed(added), str(self.commands), os.environ["PATH"]])
        files = {name: str(file) for name, file in self.files.items()}
        environment = {
            **os.environ,
            **files,
            "RUNNER_TEMP": str(self.temporary),
            "GITHUB_JOB": "model",
            **given,
            "PATH": path,
        }
        argv = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]
        done = subprocess.run(
            argv, cwd=self.workspace, env=environment, capture_output=True, text=True, errors="replace", timeout=300
        )
        self.code = done.returncode
        self.log += done.stdout + done.stderr
