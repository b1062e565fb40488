"""Everything that CI runs, by name."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "test"]


@nox.session(venv_backend="none")
def start(session: nox.Session) -> None:
    """Bake a project with default answers below the given folder and take it to its first champion."""
    if len(session.posargs) != 1:
        session.error("say where the project goes: nox -s start -- FOLDER")
    folder = Path(session.posargs[0]).expanduser().resolve()
    answers = json.loads(Path("cookiecutter.json").read_text(encoding="utf-8"))
    project = folder / answers["project_name"].lower().replace(" ", "_")
    if project.exists():
        session.error(f"{project} exists already: give another folder, or run nox -s start inside it")
    with tempfile.TemporaryDirectory() as scratch:
        template = committed(Path(scratch)) or Path.cwd()
        session.run(sys.executable, "-m", "cookiecutter", str(template), "--no-input", "-o", str(folder))
    with session.chdir(project):
        session.run(sys.executable, "-m", "nox", "-s", "start")
    print(f"your project: {project}")


def committed(scratch: Path) -> Path | None:
    """The template as of the last commit, without caches that lie in the working folder; None outside git."""
    archive = scratch / "template.tar"
    done = subprocess.run(["git", "archive", "-o", archive, "HEAD"], capture_output=True, check=False)
    if done.returncode:
        return None
    with tarfile.open(archive) as tar:
        tar.extractall(scratch / "template", filter="data")
    return scratch / "template"


def install(session: nox.Session) -> None:
    """The locked environment of the template's own tests."""
    session.install("--require-hashes", "-r", "requirements.lock")


@nox.session
def lint(session: nox.Session) -> None:
    """Style, format and types of the template's own Python."""
    install(session)
    own = ("benchmarks", "hooks", "tests", "noxfile.py")
    session.run("ruff", "check", *own)
    session.run("ruff", "format", "--check", *own)
    session.run("mypy", "hooks/pre_gen_project.py", "benchmarks/run.py", "tests")


@nox.session
def test(session: nox.Session) -> None:
    """All fast tests: answers, tree, rules, updates, and a project baked, run, broken and promoted."""
    install(session)
    # A file's tests stay in one process, and share the project that it makes; the longest file is among the first.
    two = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
    session.run("pytest", *two, *session.posargs, env={"PYTHONDONTWRITEBYTECODE": None})


@nox.session
def slow(session: nox.Session) -> None:
    """The slow tier: what is too long for every change."""
    install(session)
    session.run("pytest", "-m", "slow", *session.posargs, env={"PYTHONDONTWRITEBYTECODE": None})


@nox.session(venv_backend="none")
def bench(session: nox.Session) -> None:
    """Measure against a plain script, DVC and Cookiecutter; all but the loop, or the parts that are named."""
    session.run(sys.executable, "benchmarks/run.py", *session.posargs)


@nox.session(venv_backend="none")
def bump(session: nox.Session) -> None:
    """Bring all locks, the project's too, to what was released a week ago or before; `-- --upgrade`: to the newest."""
    newest = session.posargs or ["--upgrade", "--exclude-newer", "7 days"]
    with tempfile.TemporaryDirectory() as scratch:
        template = committed(Path(scratch)) or Path.cwd()
        session.run(sys.executable, "-m", "cookiecutter", str(template), "--no-input", "-o", scratch)
        (project,) = (path.parent for path in Path(scratch).glob("*/params.yaml") if path.parent != template)
        session.run(sys.executable, "-m", "nox", "-f", str(project / "noxfile.py"), "-s", "lock", "--", *newest)
        for path in project.glob("requirements*.lock"):
            shutil.copy(path, Path("{{cookiecutter.project_slug}}"))
    session.notify("lock", newest)


@nox.session(venv_backend="none")
def lock(session: nox.Session) -> None:
    """Resolve both requirements.in anew, mutmut's beside the project's lock: hashes, every platform, no address."""
    project = "{{cookiecutter.project_slug}}/requirements.lock"
    for folder, constraints in ((".", ()), ("tests/mutation", ("-c", project))):
        session.run(sys.executable, "-m", "uv", "pip", "compile", "-q", f"{folder}/requirements.in", *constraints,
                    "--universal", "--python-version", "3.11", "--generate-hashes", "--no-header", "--no-annotate",
                    "--no-emit-index-url", "-o", f"{folder}/requirements.lock", *session.posargs)  # fmt: skip
