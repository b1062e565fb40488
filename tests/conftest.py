"""Fixtures of the template's tests: its export, once, and a way to bake it."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from baking import ROOT, export, settings
from cookiecutter.main import cookiecutter  # type: ignore[import-untyped]
from running import copy_of, free_port, run, set_param, works

pytest_plugins = ["engine", "nodes", "stores"]
Bake = Callable[..., Path]
pytest.register_assert_rewrite("killing")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the switches that rewrite tests/tree/*.txt, and the README's table of promises with its figures."""
    parser.addoption("--write-tree", action="store_true", help="rewrite tests/tree/*.txt")
    parser.addoption("--write-table", action="store_true", help="rewrite tests/simulation/result.json and its table")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was proven: each file of tests that ran, how many of its tests passed, and what it is about."""
    ran: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    for outcome, reports in terminalreporter.stats.items():
        for report in reports:
            if getattr(report, "when", "") == "call" or outcome == "error":
                name = report.nodeid.partition("::")[0]
                ran[name] += 1
                passed[name] += outcome == "passed"
    terminalreporter.section("what was proven")
    for name in sorted(ran):
        about = (ast.get_docstring(ast.parse((ROOT / name).read_text(encoding="utf-8"))) or "").splitlines()[0]
        terminalreporter.write_line(f"{passed[name]:>4} of {ran[name]:<4} {Path(name).stem:<24} {about}")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the template as a commit of the working tree would hold it; not to be changed."""
    return export(tmp_path_factory.mktemp("export"))


@pytest.fixture(scope="session")
def bake(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Bake:
    """Return a function from answers to a new project's folder; it raises when one is refused."""
    config = settings(tmp_path_factory.mktemp("home"))

    def bake(folder: Path | None = None, again: bool = False, **answers: str) -> Path:
        project = cookiecutter(
            str(template),
            no_input=True,
            extra_context=answers,
            output_dir=str(folder or tmp_path_factory.mktemp("bake")),
            config_file=str(config),
            overwrite_if_exists=again,
        )
        return Path(project)

    return bake


@pytest.fixture(scope="session")
def project(bake: Bake) -> Path:
    """Return a project of the default answers; not to be changed."""
    return bake()


@pytest.fixture(scope="session")
def started(bake: Bake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a default project after its README's first command; not to be changed."""
    project = bake(tmp_path_factory.mktemp("started"))
    readme = (project / "README.md").read_text(encoding="utf-8")
    first = readme.split("```sh\n", 1)[1].split("```", 1)[0]
    assert "nox -s start" in first
    works(run(project, "bash", "-euc", first))
    return project


@pytest.fixture
def copy(started: Path, tmp_path: Path) -> Path:
    """Return a copy to work on; its environment is the original's."""
    return copy_of(started, tmp_path)


@pytest.fixture(scope="session")
def changed(started: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return a project with another model than its champion, and what its pipeline said while the server was dead."""
    project = copy_of(started, tmp_path_factory.mktemp("changed"))
    set_param(project, "train.arguments.max_iter", 90)
    done = run(project, "dvc", "repro", MLFLOW_TRACKING_URI=f"http://127.0.0.1:{free_port()}")
    works(done)
    return project, done.stderr
