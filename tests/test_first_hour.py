"""The first hour: the notebook runs on what the pipeline left, and keeps nothing; the container of an editor."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from running import run, works

LOOK = "notebooks/look.ipynb"


def cells(notebook: str) -> list[dict[str, Any]]:
    """Return the cells of code of a notebook."""
    found = [cell for cell in json.loads(notebook)["cells"] if cell["cell_type"] == "code"]
    assert found
    return found


def test_the_notebook_shows_snapshot_predictions_and_champion(copy: Path) -> None:
    """Run as `nox -s notebook` opens it: two tables, and the numbers that the pipeline gave for the first test rows."""
    execute = ("--", "nbconvert", "--to", "notebook", "--execute", "--output", "out.ipynb", LOOK)
    works(run(copy, sys.executable, "-m", "nox", "-s", "notebook", *execute))
    ran = cells((copy / "notebooks/out.ipynb").read_text(encoding="utf-8"))
    shown = [one["data"] for cell in ran for one in cell["outputs"] if one["output_type"] == "execute_result"]
    assert ["text/html" in one for one in shown] == [True, True, False]
    rows, predictions = ("".join(one["text/html"]) for one in shown[:2])
    assert "scheduled" in rows
    assert "predicted" in predictions
    told = re.findall(r"\d\.\d+", "".join(shown[2]["text/plain"]))[1::2]  # the second class
    script = "import pandas as p; print(*p.read_parquet('data/predictions.parquet')['predicted'].head())"
    expected = [float(value) for value in works(run(copy, "python", "-c", script)).split()]
    assert [float(value) for value in told] == pytest.approx(expected, abs=1e-7)


def test_a_notebook_with_outputs_is_not_committed(copy: Path) -> None:
    """The hook names it; the one that ships is clean."""
    hook = ("pre-commit", "run", "notebooks", "--files", LOOK)
    assert "Passed" in works(run(copy, *hook))
    text = (copy / LOOK).read_text(encoding="utf-8")
    for clean, kept in (('"outputs": []', '"outputs": [\n    "rows"\n   ]'), ("null", "3")):
        assert clean in text
        (copy / LOOK).write_text(text.replace(clean, kept, 1), encoding="utf-8")
        refused = run(copy, *hook)
        assert refused.returncode == 1
        assert f"{LOOK}:" in refused.stdout


def test_an_editors_container_begins_as_the_readme_does(copy: Path) -> None:
    """The same tools by the same command, in a fixed image; what it starts makes the environment that it points at."""
    settings = json.loads((copy / ".devcontainer/devcontainer.json").read_text(encoding="utf-8"))
    assert re.fullmatch(r"[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}", settings["image"])
    first = (copy / "README.md").read_text(encoding="utf-8").split("```sh\n", 1)[1].split("\n```", 1)[0]
    command = settings["postCreateCommand"]
    # A folder that a host made with its own Python is of no use in there.
    assert command == first.replace("venv .tools", "venv --clear .tools").replace("nox -s start", "nox -s dev")
    (copy / ".venv").unlink()
    shutil.rmtree(copy / ".tools", ignore_errors=True)
    works(run(copy, "bash", "-euc", command))
    interpreter = settings["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"]
    works(run(copy, str(copy / interpreter), "-c", "import dvc, mlflow, sklearn"))
