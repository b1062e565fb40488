"""A project's workflows at work: act runs them on this machine, with doubles of what would reach GitHub."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from baking import commit, environment

SCRIPTS = Path(sysconfig.get_path("scripts"))
DOUBLES = Path(__file__).parent / "doubles"
# Variables by which an account or another environment could take part in the run.
PRIVATE = re.compile(
    r"TOKEN|SECRET|PASSWORD|CREDENTIAL|_KEY"
    r"|^(AWS|AZURE|GCP|GOOGLE|GH|GITHUB|MLFLOW|DVC|NOX|GIT_AUTHOR|GIT_COMMITTER)_|^VIRTUAL_ENV$"
)
CERTIFICATES = re.compile(r"BUNDLE$|CERT")
# Local doubles of the actions that would fetch or send something: their inputs, and what each has to leave behind.
ACTIONS = {
    "actions/checkout": (
        {"fetch-depth": "1", "persist-credentials": "true"},
        'git clone --quiet $([ "$DEPTH" = 0 ] || echo "--depth $DEPTH") "file://{project}" .',
    ),
    "hashicorp/setup-terraform": ({"terraform_version": "", "terraform_wrapper": "true"}, "true"),
    "actions/setup-python": ({"python-version": ""}, "true"),
    "astral-sh/setup-uv": ({"cache-dependency-glob": "", "enable-cache": "auto"}, 'echo "{home}/uv" >> "$GITHUB_PATH"'),
    "actions/upload-artifact": (
        {"name": "", "path": "", "if-no-files-found": "warn", "retention-days": "90"},
        'mkdir -p "{home}/artifacts" && cp -RT "$FROM" "{home}/artifacts/$NAME"',
    ),
    "actions/attest-build-provenance": (
        {"subject-name": "", "subject-digest": "", "subject-path": "", "push-to-registry": "false"},
        '{{ [ -z "$FILE" ] || sha256sum "$FILE"; echo "$SUBJECT@$DIGEST"; }} >> "{home}/attested"',
    ),
    "aws-actions/configure-aws-credentials": (
        {"role-to-assume": "", "aws-region": "", "role-duration-seconds": "3600"},
        'test -n "$ACTIONS_ID_TOKEN_REQUEST_URL"; echo "AWS_REGION=$REGION" >> "$GITHUB_ENV"'
        '; echo "$ROLE" >> "{home}/roles"',
    ),
    "google-github-actions/auth": (
        dict.fromkeys(
            (
                "workload_identity_provider",
                "service_account",
                "project_id",
                "token_format",
                "id_token_audience",
                "id_token_include_email",
            ),
            "",
        ),
        "false",
    ),
    "azure/login": (dict.fromkeys(("client-id", "tenant-id", "subscription-id"), ""), "false"),
    "actions/download-artifact": ({"name": "", "path": "."}, 'cp -RT "{home}/artifacts/$NAME" "$FROM"'),
}
PASSED_ON = {"DEPTH": "fetch-depth", "NAME": "name", "FROM": "path", "FILE": "subject-path", "SUBJECT": "subject-name",
             "DIGEST": "subject-digest", "ROLE": "role-to-assume", "REGION": "aws-region"}  # fmt: skip


class Ran(NamedTuple):
    """What a run of act left: the conclusion of every job that ran, the last lines that each printed, the summary."""

    jobs: dict[str, str]
    said: dict[str, str]
    summary: str

    @property
    def red(self) -> str:
        """What the red jobs printed."""
        return "\n".join(self.said[job] for job, result in self.jobs.items() if result != "success")


def workflows(project: Path) -> dict[str, Any]:
    """Return a project's workflows and composite actions, parsed, by their paths below `.github` or in the project."""
    root = project / ".github"
    return {
        path.relative_to(root if root in path.parents else project).as_posix(): yaml.safe_load(path.read_text("utf-8"))
        for path in [*sorted(root.rglob("*.yml")), *project.glob("infra/login/*.yml")]
    }


def used(node: Any) -> set[str]:
    """Return everything that a parsed workflow uses, however its YAML is written."""
    if isinstance(node, dict):
        here = {node["uses"]} if "uses" in node else set()
        return here.union(*(used(value) for value in node.values()))
    return set().union(*(used(item) for item in node)) if isinstance(node, list) else set()


def stranger(home: Path) -> dict[str, str]:
    """Return the environment of a runner that knows nobody: no account, no git author, no tools of these tests.

    Only uv's cache and the certificates of this machine are the user's own; `gh` is the double.
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
    programs = {"PATH": os.pathsep.join([str(DOUBLES), *pythons(), *paths]), "UV_CACHE_DIR": cache.stdout.strip()}
    return kept | nobody | quiet | programs


def pythons() -> list[str]:
    """Return where pyenv keeps interpreters, if it is there: its shims refuse those that nobody has chosen."""
    root = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    return sorted(str(path) for path in root.glob("versions/3.1[13].*/bin"))


def doubles(project: Path, home: Path) -> list[str]:
    """Make a repository for each action that is fetched; return the flags that put it in the action's place."""
    (home / "uv").mkdir()
    (home / "uv" / "uv").symlink_to(SCRIPTS / "uv")
    flags = []
    for name in sorted(name for name in used(list(workflows(project).values())) if not name.startswith("./")):
        action = name.partition("@")[0]
        inputs, script = ACTIONS[action]
        folder = home / action
        folder.mkdir(parents=True)
        given = {key: f"${{{{ inputs.{value} }}}}" for key, value in PASSED_ON.items() if value in inputs}
        step = {"shell": "bash", "env": given, "run": script.format(home=home, project=project)}
        declared = {key: {"description": key, "default": value} for key, value in inputs.items()}
        double = {"name": "double", "inputs": declared, "runs": {"using": "composite", "steps": [step]}}
        (folder / "action.yml").write_text(yaml.safe_dump(double), encoding="utf-8")
        commit(folder, home)
        flags += ["--local-repository", f"{name}={folder}"]
    return flags


def undeclared(project: Path) -> set[tuple[str, str]]:
    """Return the inputs that a workflow gives to an action and its double does not know: they would do nothing."""
    steps = [step for file in workflows(project).values() for step in steps_of(file)]
    fetched = [(step["uses"].partition("@")[0], step.get("with", {})) for step in steps if "@" in step.get("uses", "")]
    return {(action, name) for action, given in fetched for name in given.keys() - ACTIONS[action][0].keys()}


def steps_of(file: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the steps of a workflow's jobs, or of a composite action."""
    return [step for part in (*file.get("jobs", {}).values(), file.get("runs", {})) for step in part.get("steps", ())]


def act(project: Path, home: Path, event: str, payload: dict[str, Any] | None = None, *options: str,
        **variables: str) -> Ran:  # fmt: skip
    """Let act run what an event starts, one job at a time; return the conclusions. `gh` writes to `home/gh`.

    `variables`: what the runner has besides; `PATH` comes before its own.
    """
    known = stranger(home) | {"GH_DOUBLE": str(home / "gh")}
    path = os.pathsep.join([*([variables["PATH"]] if "PATH" in variables else []), known["PATH"]])
    home.mkdir(exist_ok=True)
    (home / "gh").mkdir(exist_ok=True)
    (home / "event.json").write_text(json.dumps(payload or {}), encoding="utf-8")
    offline = ("--action-offline-mode", "--no-cache-server", "--action-cache-path", str(home / "actions"))
    done = subprocess.run(
        [str(SCRIPTS / "act"), event, "--json", "--concurrent-jobs", "1", "--no-skip-checkout", *options]
        + ["--eventpath", str(home / "event.json"), "--secret", "GITHUB_TOKEN=the-token-of-this-run"]
        + ["--platform", "ubuntu-latest=-self-hosted", *offline, *doubles(project, home)],
        check=False,
        cwd=project,
        env=known | variables | {"PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    (home / "act.json").write_text(done.stdout, encoding="utf-8")
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    jobs = {line["jobID"]: line["jobResult"] for line in lines if "jobResult" in line}
    assert (done.returncode == 0) == (set(jobs.values()) <= {"success", "skipped"}), done.stdout[-3000:]
    summary = "\n".join(line["msg"] for line in lines if "Summary - " in line.get("msg", ""))
    return Ran(jobs, {job: printed(lines, job) for job in jobs}, summary)


def printed(lines: list[dict[str, Any]], job: str) -> str:
    """Return the last lines that the commands of a job printed, each after the job's name."""
    output = [line["msg"].rstrip() for line in lines if line.get("jobID") == job and line.get("raw_output")]
    return "\n".join(f"{job}: {line}" for line in output[-200:])


def calls(home: Path) -> list[dict[str, Any]]:
    """Return what was asked of GitHub."""
    path = home / "gh" / "calls.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
