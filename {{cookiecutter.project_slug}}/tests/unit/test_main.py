"""The command line: exit codes, and one line when something is wrong."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from {{ cookiecutter.project_slug }} import __main__ as command
from {{ cookiecutter.project_slug }} import record, workspace
from {{ cookiecutter.project_slug }}.errors import GateClosed
from {{ cookiecutter.project_slug }}.registry import tracking
from {{ cookiecutter.project_slug }}.stages import split

from . import small_project


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project whose weak model is champion, as version 1."""
    return small_project.make(tmp_path / "p", monkeypatch)


def test_registry_commands_and_their_exit_codes(project, capsys):
    assert command.main(["rollback"]) == 1
    assert capsys.readouterr().err.startswith("rollback: there is no previous champion")
    project.repro(small_project.GOOD)
    assert command.main(["register"]) == 0
    assert capsys.readouterr().out.startswith("version 2: digest ")
    assert command.main(["promote"]) == 0
    assert command.main(["rollback"]) == 0
    assert capsys.readouterr().out.endswith("champion is version 1 again; previous is version 2\n")
    project.repro(small_project.WEAK / 2)
    assert command.main(["promote", "--dry-run"]) == 3


def test_lineage_as_text_and_as_json(project, capsys):
    assert command.main(["lineage"]) == 0
    assert "git_commit" in capsys.readouterr().out
    assert command.main(["lineage", "champion", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["version"], found["model"]) == ("1", tracking.NAME)
    assert command.main(["lineage", "previous"]) == 1


def test_a_stage_runs_and_a_missing_input_is_one_line(project, capsys):
    assert command.main(["train"]) == 0
    Path("data/train.parquet").unlink()
    assert command.main(["evaluate"]) == 1
    assert capsys.readouterr().err == "evaluate: data/train.parquet is missing: run `dvc repro`\n"


def test_threads_are_set_before_a_command_and_a_shell_may_choose_how_they_wait(monkeypatch):
    seen = {}
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", *command.BLAS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GOMP_SPINCOUNT", "5")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "8")
    monkeypatch.setattr(command, "run", lambda _: seen.update(os.environ) or 0)
    assert command.main(["rollback"]) == 0
    assert (seen["GOMP_SPINCOUNT"], seen["OMP_WAIT_POLICY"]) == ("5", "PASSIVE")
    assert {seen[name] for name in command.BLAS} == {"1"}


def test_a_stage_ends_with_dvc_and_has_the_folder_to_itself(project, monkeypatch):
    held = []
    monkeypatch.setattr(workspace, "end_with_dvc", lambda: held.append("watched"))
    monkeypatch.setattr(split, "main", lambda: held.append(workspace.holder()))
    assert command.main(["split"]) == 0
    assert command.main(["rollback"]) == 1  # no stage
    assert held == ["watched", f"split (process {os.getpid()})"]


def test_a_red_gate_is_on_the_page_that_a_person_reads(project, monkeypatch, capsys):
    gate = {"gate": "schema", "reason": "column x is missing"}

    def stage_of(verdict: str) -> SimpleNamespace:
        def main() -> None:
            record.write_json(Path("reports/validate.json"), {"gates": [{**gate, "verdict": verdict}]})
            if verdict != "pass":
                raise GateClosed(["schema"], gate["reason"])

        return SimpleNamespace(main=main)

    for verdict, code in (("fail", 1), ("pass", 0)):
        monkeypatch.setattr(command.importlib, "import_module", lambda *_, verdict=verdict: stage_of(verdict))
        assert command.main(["validate"]) == code
        page = Path("reports/gates.md").read_text()
        assert ("**schema** (validate, fail): column x is missing" in page) == (verdict == "fail")
    assert capsys.readouterr().err == "validate: gate closed: schema: column x is missing\n"


def test_an_unreachable_store_is_one_line(project, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert command.main(["promote"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("promote: MLflow store http://127.0.0.1:9 cannot be used")
    assert said.count("\n") == 1


def test_the_code_of_another_folder_and_a_folder_without_git_are_refused(project, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command.main(["split"]) == 1
    assert "change into the project's folder" in capsys.readouterr().err
    monkeypatch.chdir(project.root)
    shutil.rmtree(".git")
    assert command.main(["split"]) == 1
    assert capsys.readouterr().err == "split: this folder is not in a git repository: run `git init` first\n"
    assert command.main(["monitor"]) == 1  # which a container runs
    assert "git" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), FileNotFoundError(2, "No usable temporary directory found")],
)
def test_a_full_disk_is_one_line(project, monkeypatch, capsys, error):
    monkeypatch.setattr(split, "main", raising(error))
    assert command.main(["split"]) == 1
    assert capsys.readouterr().err == f"split: {error.strerror}: make room, then run it again\n"


def test_another_error_of_the_system_is_a_bug(project, monkeypatch):
    monkeypatch.setattr(split, "main", raising(ConnectionResetError(104, "reset")))
    with pytest.raises(ConnectionResetError):
        command.main(["split"])


def raising(error: Exception) -> Callable[[], None]:
    """A stage that raises."""

    def main() -> None:
        raise error

    return main


def test_a_missing_library_names_the_environment(project, monkeypatch, capsys):
    def missing() -> None:
        raise ModuleNotFoundError("No module named 'duckdb'", name="duckdb")

    monkeypatch.setattr(split, "main", missing)
    assert command.main(["split"]) == 1
    assert capsys.readouterr().err == f"split: duckdb is not installed here: {command.ENVIRONMENT}\n"


def test_a_missing_module_of_the_package_is_a_bug(project, monkeypatch):
    def missing() -> None:
        raise ModuleNotFoundError("No module named ...", name=f"{tracking.NAME}.gone")

    monkeypatch.setattr(split, "main", missing)
    with pytest.raises(ModuleNotFoundError):
        command.main(["split"])


def test_an_unknown_command_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as caught:
        command.main(["no-such-command"])
    assert caught.value.code == 2


def test_help_needs_no_heavy_import(tmp_path):
    heavy = "{'mlflow', 'pandas', 'sklearn', 'numpy', 'pydantic'}"
    name = command.PACKAGE.name
    code = f"import sys, {name}.__main__ as m; m.parser(); print({heavy} & set(sys.modules))"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}
    environment["PYTHONPATH"] = str(command.PACKAGE.parent)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "set()\n"
