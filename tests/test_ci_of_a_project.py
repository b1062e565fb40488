"""The workflow of a fresh project, run by act on this machine: no network for actions, no secret, no account."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from baking import commit, environment, git
from conftest import Bake

SCRIPTS = Path(sysconfig.get_path("scripts"))
CI = Path(".github") / "workflows" / "ci.yml"
# Variables by which an account or another environment could take part in the run.
PRIVATE = re.compile(
    r"TOKEN|SECRET|PASSWORD|CREDENTIAL|_KEY"
    r"|^(AWS|AZURE|GCP|GOOGLE|GH|GITHUB|MLFLOW|DVC|NOX|GIT_AUTHOR|GIT_COMMITTER)_|^VIRTUAL_ENV$"
)
CERTIFICATES = re.compile(r"BUNDLE$|CERT")
# Local doubles of the actions that would fetch something: what each has to leave behind. act has its own checkout.
DOUBLES = {"astral-sh/setup-uv": 'echo "{uv}" >> "$GITHUB_PATH"'}


class Ran(NamedTuple):
    """What a run of act left: the conclusion of every job that ran, and the last lines that each printed."""

    jobs: dict[str, str]
    said: dict[str, str]

    @property
    def red(self) -> str:
        """What the red jobs printed."""
        return "\n".join(self.said[job] for job, result in self.jobs.items() if result != "success")


def workflow(project: Path) -> dict[str, Any]:
    """Return a project's workflow, parsed."""
    parsed: dict[str, Any] = yaml.safe_load((project / CI).read_text(encoding="utf-8"))
    return parsed


def stranger(home: Path) -> dict[str, str]:
    """Return the environment of a runner that knows nobody: no account, no git author, no tools of these tests.

    Only uv's cache and the certificates of this machine are the user's own.
    """
    kept = {
        name: value
        for name, value in environment(home).items()
        if CERTIFICATES.search(name) or not PRIVATE.search(name)
    }
    paths = [path for path in os.environ["PATH"].split(os.pathsep) if Path(path) != SCRIPTS]
    cache = subprocess.run([sys.executable, "-m", "uv", "cache", "dir"], check=True, stdout=subprocess.PIPE, text=True)
    nobody = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "user.useConfigOnly", "GIT_CONFIG_VALUE_0": "true"}
    quiet = {"NO_COLOR": "1", "UV_NO_PROGRESS": "1", "GIT_PAGER": "cat", "OMP_NUM_THREADS": "1"}
    return kept | nobody | quiet | {"PATH": os.pathsep.join(paths), "UV_CACHE_DIR": cache.stdout.strip()}


def doubles(project: Path, home: Path) -> list[str]:
    """Make a repository for each action but checkout; return the flags that put it in the action's place."""
    uv = home / "uv"
    uv.mkdir()
    (uv / "uv").symlink_to(SCRIPTS / "uv")
    steps = [step for job in workflow(project)["jobs"].values() for step in job["steps"]]
    flags = []
    for used in sorted({step["uses"] for step in steps if "uses" in step}):
        action = used.split("@")[0]
        if action != "actions/checkout":
            folder = home / action
            folder.mkdir(parents=True)
            step = {"shell": "bash", "run": DOUBLES[action].format(uv=uv)}
            double = {"name": "double", "runs": {"using": "composite", "steps": [step]}}
            (folder / "action.yml").write_text(yaml.safe_dump(double), encoding="utf-8")
            commit(folder, home)
            flags += ["--local-repository", f"{used}={folder}"]
    return flags


def act(project: Path, home: Path) -> Ran:
    """Push a project to act, one job at a time; return the conclusions."""
    home.mkdir()
    offline = ("--action-offline-mode", "--no-cache-server", "--action-cache-path", str(home / "actions"))
    done = subprocess.run(
        [str(SCRIPTS / "act"), "push", "--json", "--concurrent-jobs", "1", "--workflows", str(CI)]
        + ["--platform", "ubuntu-latest=-self-hosted", *offline, *doubles(project, home)],
        check=False,
        cwd=project,
        env=stranger(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    jobs = {line["jobID"]: line["jobResult"] for line in lines if "jobResult" in line}
    assert (done.returncode == 0) == (set(jobs.values()) == {"success"}), done.stdout[-3000:]
    return Ran(jobs, {job: printed(lines, job) for job in jobs})


def printed(lines: list[dict[str, Any]], job: str) -> str:
    """Return the last lines that the commands of a job printed, each after the job's name."""
    output = [line["msg"].rstrip() for line in lines if line.get("jobID") == job and line.get("raw_output")]
    return "\n".join(f"{job}: {line}" for line in output[-60:])


@pytest.fixture
def pushed(bake: Bake, tmp_path: Path) -> Path:
    """Return what a first push of a fresh project holds: a clone, without anything that git ignores."""
    project = bake(tmp_path / "bake")
    commit(project, tmp_path)
    git("clone", "--quiet", str(project), str(tmp_path / "pushed" / project.name), cwd=tmp_path, home=tmp_path)
    return tmp_path / "pushed" / project.name


def test_the_first_push_is_green(pushed: Path, tmp_path: Path) -> None:
    """Every job of the workflow ran and succeeded; act leaves a skipped one out of its conclusions."""
    ran = act(pushed, tmp_path / "home")
    assert ran.jobs == dict.fromkeys(workflow(pushed)["jobs"], "success"), ran.red
    # The session itself is red when a gate or guard has no fault, or another gate closes.
    closed = re.search(r"(\d+) of (\d+) faults closed by the gate that must close", ran.said["faults"])
    assert closed, ran.said["faults"]
    assert int(closed[1]) == int(closed[2]) > 70


def test_one_red_job_is_a_red_push(pushed: Path, tmp_path: Path) -> None:
    """A planted lint error turns lint red, and `pass` with it; the other jobs are emptied to save their time."""
    jobs = workflow(pushed)["jobs"]
    text = (pushed / CI).read_text(encoding="utf-8")
    for job in jobs:
        text = re.sub(rf"run: .*nox -s {job}$", "run: true", text, flags=re.MULTILINE) if job != "lint" else text
    (pushed / CI).write_text(text, encoding="utf-8")
    with (pushed / pushed.name / "errors.py").open("a", encoding="utf-8") as module:
        module.write("print(unheard_of)\n")
    ran = act(pushed, tmp_path / "home")
    assert ran.jobs == dict.fromkeys(jobs, "success") | {"lint": "failure", "pass": "failure"}, ran.red
    assert "unheard_of" in ran.red
