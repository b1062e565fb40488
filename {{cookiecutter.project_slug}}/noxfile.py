"""Everything that CI runs, by name. One environment, `.venv`, made from the lock, serves every session."""

from __future__ import annotations

import configparser
import json
import os
import platform
import re
import secrets
import shutil
import sys
import tempfile
import time
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "unit"]

ROOT = Path(__file__).parent
PACKAGE = "{{ cookiecutter.project_slug }}"
BIN = ROOT / ".venv" / ("Scripts" if os.name == "nt" else "bin")
CRUFT, JUPYTER = "cruft==2.16.0", "jupyterlab==4.6.6"
DECIDES = "*/gates/*,*/monitoring/d*.py,*/stages/split.py,*/registry/promotion.py,*/registry/comparison.py"
#: Of the services in compose.yaml.
PASSWORDS = ("DATABASE_PASSWORD", "STORE_KEY", "STORE_SECRET", "SERVE_TOKEN", "LOG_KEY", "GRAFANA_PASSWORD")
LOCKS = {"requirements.lock": ("--group", "pipeline", "--group", "dev"), "requirements-serve.lock": ()}


def uv() -> str:
    """Where uv is: beside nox, or on the PATH."""
    try:
        from uv import find_uv_bin

        return find_uv_bin()
    except ImportError:
        return shutil.which("uv") or "uv"


def environment() -> dict[str, str | None]:
    """The variables that put `.venv` first; bytecode is written, since importing without it takes twice as long."""
    path = os.pathsep.join([str(BIN), os.environ.get("PATH", "")])
    return {
        "PATH": path,
        "VIRTUAL_ENV": str(ROOT / ".venv"),
        "PYTHONDONTWRITEBYTECODE": None,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "OMP_WAIT_POLICY": "PASSIVE",  # this and the next as WAITING in __main__.py
        "GOMP_SPINCOUNT": "1000",
    }


def install(session: nox.Session) -> None:
    """Bring `.venv` to what the lock says, hashes required."""
    with_uv = {"VIRTUAL_ENV": str(ROOT / ".venv"), "UV_NO_PROGRESS": "1"}
    session.run(uv(), "venv", "-q", "--allow-existing", "--python", sys.executable, ".venv", external=True, env=with_uv)
    session.run(uv(), "pip", "sync", "-q", "--require-hashes", "requirements.lock", external=True, env=with_uv)


def inside(session: nox.Session, *command: str, codes: tuple[int, ...] = (0,)) -> None:
    """Run a command of `.venv`."""
    program = shutil.which(command[0], path=str(BIN))
    if program is None:
        session.error(f"{command[0]} is not in .venv: add it to pyproject.toml and run nox -s lock")
    session.run(program, *command[1:], external=True, env=environment(), success_codes=list(codes))


@nox.session
def dev(session: nox.Session) -> None:
    """Make the environment `.venv` from requirements.lock."""
    install(session)
    session.log("enter it with: source .venv/bin/activate")


@nox.session
def lock(session: nox.Session) -> None:
    """Resolve pyproject.toml anew into both locks: hashes, every platform, no address."""
    for name, groups in LOCKS.items():
        constraint = () if groups else ("-c", "requirements.lock")
        session.run(uv(), "pip", "compile", "-q", "pyproject.toml", *groups, *constraint, "--universal",
                    "--python-version", "3.11", "--generate-hashes", "--no-header", "--no-annotate",
                    "--no-emit-index-url", "-o", name, *session.posargs, external=True)  # fmt: skip


@nox.session
def bump(session: nox.Session) -> None:
    """Bring both locks to what was released a week ago or before: what is broken or hostile is mostly found by then."""
    session.notify("lock", ["--upgrade", "--exclude-newer", "7 days"])


@nox.session
def lint(session: nox.Session) -> None:
    """Hold style and formatting, by the same hooks that run before a commit."""
    install(session)
    inside(session, "pre-commit", "run", "--all-files", "--show-diff-on-failure")


@nox.session
def types(session: nox.Session) -> None:
    """Check the package's types, strictly."""
    install(session)
    inside(session, "mypy")


@nox.session
def unit(session: nox.Session) -> None:
    """Run the unit tests; every branch of what decides must have been taken, and nine tenths of all."""
    install(session)
    session.log(f"on Python {platform.python_version()}")
    if session.posargs:
        inside(session, "pytest", *session.posargs)
        return
    inside(session, "pytest", "-n", "logical", "--cov", "--cov-report=")
    inside(session, "coverage", "report", "--fail-under=90")
    inside(session, "coverage", "report", "--fail-under=100", f"--include={DECIDES}")


@nox.session
def pretrain(session: nox.Session) -> None:
    """Run the pipeline as far as the gates before training."""
    install(session)
    inside(session, "dvc", "repro", "pretrain")


@nox.session
def pull(session: nox.Session) -> None:
    """Fetch what DVC's remote has of this commit and of stages like its own, where a remote is set."""
    install(session)
    config = configparser.ConfigParser()
    config.read(".dvc/config", encoding="utf-8")
    if config.has_option("core", "remote"):
        inside(session, "dvc", "pull", "--run-cache", "--allow-missing")
    else:
        session.log("no remote is set: nothing to fetch (nox -s remote)")


@nox.session
def repro(session: nox.Session) -> None:
    """Run the whole pipeline."""
    install(session)
    inside(session, "dvc", "repro", *session.posargs)


@nox.session
def gates(session: nox.Session) -> None:
    """Judge anew, with all gates, what the pipeline made: a report may have been edited, and committed to DVC so."""
    install(session)
    inside(session, "dvc", "repro", "--force", "--single-item", "pretrain", "posttrain")


@nox.session
def faults(session: nox.Session) -> None:
    """Break a copy in every known way and show which gate closes."""
    install(session)
    inside(session, "python", "tests/faults/run.py", *session.posargs)


@nox.session
def promote(session: nox.Session) -> None:
    """Register this workspace's model and judge it; the decision is in reports/promotion.json."""
    install(session)
    inside(session, "python", "-m", PACKAGE, "promote", *session.posargs, codes=(0, 3))


@nox.session
def monitor(session: nox.Session) -> None:
    """Compare the prediction log with the champion's reference; the decision is in reports/monitor.json."""
    install(session)
    inside(session, "python", "-m", PACKAGE, "monitor", *session.posargs, codes=(0, 3))


@nox.session
def window(session: nox.Session) -> None:
    """Let newer rows in, as a retraining begins: `-- 2013-10-01` is the window's new end."""
    install(session)
    inside(session, "python", "-m", PACKAGE, "window", *session.posargs)


@nox.session
def bundle(session: nox.Session) -> None:
    """Write the champion's bundle, or that of `-- VERSION`, to the folder `bundle`, for `docker build .` to take."""
    install(session)
    shutil.rmtree("bundle", ignore_errors=True)
    inside(session, "python", "-m", PACKAGE, "export", *(session.posargs or ["champion"]), "bundle")


@nox.session
def sbom(session: nox.Session) -> None:
    """List the libraries of the image, with their versions and licences, in sbom.json (CycloneDX)."""
    install(session)
    with tempfile.TemporaryDirectory() as scratch:
        there = {"VIRTUAL_ENV": scratch, "UV_NO_PROGRESS": "1"}
        session.run(uv(), "venv", "-q", "--allow-existing", "--python", sys.executable, scratch, external=True)
        lock = ("--require-hashes", "requirements-serve.lock")
        session.run(uv(), "pip", "sync", "-q", *lock, external=True, env=there)
        inside(session, "cyclonedx-py", "environment", "--output-reproducible", "--pyproject", "pyproject.toml",
               "--output-file", "sbom.json", scratch)  # fmt: skip


@nox.session
def up(session: nox.Session) -> None:
    """Start all of compose.yaml on this machine; passwords are made once, in .env."""
    path = Path(".env")
    known = path.read_text(encoding="utf-8") if path.exists() else ""
    missing = [name for name in PASSWORDS if not re.search(rf"^{name}=.", known, re.MULTILINE)]
    made = "".join(f"{name}={secrets.token_urlsafe(24)}\n" for name in missing)
    path.touch(mode=0o600)
    with path.open("a", encoding="utf-8") as file:
        file.write("\n" * (known[-1:] not in ("", "\n")) + made)
    equal = {"BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}  # else a build of the same is another image, and restarts
    session.run("docker", "compose", "up", "--build", "--detach", "--wait", *session.posargs, external=True, env=equal)
    session.log("to promote into it: export MLFLOW_TRACKING_URI=http://127.0.0.1:5000")


@nox.session
def down(session: nox.Session) -> None:
    """Stop all of compose.yaml; what is in its volumes stays, unless `-- --volumes` is there."""
    session.run("docker", "compose", "down", *session.posargs, external=True)


@nox.session
def report(session: nox.Session) -> None:
    """Show what lies here as one page; `-- --against COMMIT` also what changed since a commit."""
    install(session)
    inside(session, "python", "-m", PACKAGE, "report", *session.posargs)


@nox.session
def notebook(session: nox.Session) -> None:
    """Open notebooks/look.ipynb in a browser; or `-- ARGUMENTS` for `jupyter`, which is not in the lock."""
    install(session)
    session.run(uv(), "run", "--quiet", "--no-project", "--with", JUPYTER, "jupyter",
                *(session.posargs or ["lab", "notebooks/look.ipynb"]), external=True,
                env=environment() | {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"})  # fmt: skip


@nox.session
def remote(session: nox.Session) -> None:
    """Make infra/dvc.config the configuration of DVC."""
    shutil.copyfile("infra/dvc.config", ".dvc/config")
    session.log("now: git commit .dvc/config, then dvc push")


@nox.session
def start(session: nox.Session) -> None:
    """From a fresh folder to a first champion: environment, git, pipeline, promotion."""
    seconds: dict[str, float] = {}
    for name, step in {
        "environment": install,
        "repository": repository,
        "pipeline": lambda s: inside(s, "dvc", "repro"),
        "record": record,
        "promotion": lambda s: inside(s, "python", "-m", PACKAGE, "promote", codes=(0, 3)),
    }.items():
        began = time.monotonic()
        step(session)
        seconds[name] = time.monotonic() - began
    print("\ngates")
    for stage in ("validate", "pretrain", "posttrain"):
        for gate in json.loads(Path(f"reports/{stage}.json").read_text(encoding="utf-8"))["gates"]:
            print(f"  {gate['verdict']:<5} {stage:<10} {gate['gate']:<15} {gate['reason']}")
    print("\nchampion", flush=True)
    inside(session, "python", "-m", PACKAGE, "lineage", "champion")
    print("\nseconds: " + ", ".join(f"{name} {spent:.0f}" for name, spent in seconds.items()))
    print("next:    source .venv/bin/activate, change params.yaml, dvc repro, nox -s promote; all in README.md")


@nox.session
def settings(session: nox.Session) -> None:
    """Say how the repository's settings on GitHub differ from what the workflows rely on; `-- --apply` sets them."""
    session.run(sys.executable, ".github/settings.py", *session.posargs)


@nox.session
def update(session: nox.Session) -> None:
    """Follow the template to its newest version; red where its changes meet ours, which cruft calls a success."""
    if not Path(".cruft.json").exists():
        session.error(f"this project does not know its template: uvx --from {CRUFT} cruft link TEMPLATE, then commit")
    if git(session, "status", "--porcelain"):
        session.error("there are changes that are not committed: commit them first, or they mix with the template's")
    session.run(uv(), "tool", "run", "--quiet", "--from", CRUFT, "cruft", "update", "--skip-apply-ask",
                *session.posargs, external=True)  # fmt: skip
    unmerged = [line.split("\t")[1] for line in git(session, "ls-files", "--unmerged")]
    marked = git(session, "grep", "-lE", "^(<<<<<<<|>>>>>>>)( |$)")
    rejected = git(session, "ls-files", "--others", "--", "*.rej")
    if met := sorted({*unmerged, *marked, *rejected}):
        session.error(f"the template's changes meet yours in {', '.join(met)}: settle each, then git add; or go back by"
                      " git reset --hard")  # fmt: skip
    session.log("nothing is committed yet: nox -s lint types unit, dvc repro, then git commit")


def git(session: nox.Session, *arguments: str) -> list[str]:
    """The lines that git prints; none where it finds nothing."""
    said = session.run("git", *arguments, external=True, silent=True, success_codes=[0, 1])
    return str(said or "").splitlines()


def repository(session: nox.Session) -> None:
    """A git repository with a first commit, where there is none yet."""
    if not Path(".git").exists():
        session.run("git", "init", "-q", external=True)
    if session.run("git", "rev-parse", "-q", "--verify", "HEAD", external=True, silent=True, success_codes=[0, 1]):
        return
    commit(session, "Start from the template", ".")


def record(session: nox.Session) -> None:
    """Commit what the first run wrote, where it wrote something new."""
    if session.run("git", "status", "--porcelain", "dvc.lock", "reports", external=True, silent=True):
        commit(session, "Record the first run", "dvc.lock", "reports")


def commit(session: nox.Session, message: str, *paths: str) -> None:
    """Commit paths, under a name that says so where git knows no author."""
    known = session.run("git", "config", "user.email", external=True, silent=True, success_codes=[0, 1])
    author = () if known else ("-c", "user.name=nobody", "-c", "user.email=nobody@localhost")
    session.run("git", "add", *paths, external=True)
    session.run("git", *author, "commit", "-q", "-m", message, "--", *paths, external=True)
