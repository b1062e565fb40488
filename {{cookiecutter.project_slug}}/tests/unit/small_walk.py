"""A walk over a small table: seven months of made-up rows, and a clone that only writes down what it is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from {{ cookiecutter.project_slug }} import config, record, schema
from {{ cookiecutter.project_slug }}.loop import scratch, table
from {{ cookiecutter.project_slug }}.loop.policies import Always
from {{ cookiecutter.project_slug }}.loop.table import Month, Table
from {{ cookiecutter.project_slug }}.loop.walk import Walk

from . import small_project

ROWS = small_project.rows(0, 200)


def contract(task: str = "binary") -> schema.Schema:
    """The contract of the small project, or of the same rows with a number as their target."""
    late = {"type": "float", "role": "target"} if task == "regression" else small_project.SCHEMA["columns"]["late"]
    columns = {**small_project.SCHEMA["columns"], "late": late}
    return schema.Schema.model_validate({"task": task, "columns": columns})


def params(**changes: Any) -> config.Params:
    """The parameters of the small project; keyword arguments replace blocks."""
    return config.Params.model_validate({**small_project.PARAMS, **changes})


def made(rows: pd.DataFrame = ROWS, task: str = "binary") -> Table:
    """A table of `rows`, all valid."""
    return Table(rows, rows, contract(task), "0" * 64)


def walk(folder: Path, faults: bool = False, count: int = 9) -> Walk:
    """A walk over `count` months from April on, in a clone below `folder`."""
    known = made()
    _, served = table.months(known, False, params().ingest)
    served = served[:count]
    always = Always(known, served, params(), table.schedule(served, known.contract) if faults else {})
    clone = Recorded(folder)
    (folder / "data").mkdir(parents=True)
    source = {"ingest__source": "rows.csv", "ingest__query": None}
    return Walk(clone, known, served, params(), always, source, "key", first="first")


class Recorded(scratch.Clone):
    """A clone whose commands answer what it holds: exit codes by command, reports by name (a list: one after another).

    `judged`: the registered models as each promotion found them.
    """

    said: list[tuple[Any, ...]]
    codes: dict[str, int]
    reports: dict[str, Any]
    red: list[str]
    judged: list[list[bytes]]

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        for name, value in (("said", []), ("codes", {}), ("reports", {}), ("red", []), ("judged", [])):
            object.__setattr__(self, name, value)

    def command(self, *arguments: str) -> scratch.Done:
        self.said.append(arguments)
        name = "promotion" if arguments[0] == "promote" else arguments[0]
        if name in self.reports:
            known = self.reports[name]
            record.write_json(
                self.folder / "reports" / f"{name}.json", known.pop(0) if isinstance(known, list) else known
            )
        if name == "promotion":
            self.judged.append([path.read_bytes() for path in self.folder.rglob("model.skops")])
        return scratch.Done(self.codes.get(arguments[0], 0), "it said so")

    def repro(self, kill: bool = False) -> tuple[list[str], str]:
        self.said.append(("repro", kill))
        return (["repro"], "killed") if kill else (self.red, ", ".join(self.red))

    def commit(self, message: str) -> None:
        self.said.append(("commit", message))

    def set_params(self, **changes: Any) -> None:
        self.said.append(("set", changes))


class Answers:
    """A server that says the same of every row, and by which champion."""

    def __init__(self) -> None:
        self.rows: list[pd.DataFrame] = []
        self.followed: list[str] = []

    def score(self, rows: pd.DataFrame, *_: Any) -> np.ndarray:
        self.rows.append(rows)
        return np.full(len(rows), 0.25)

    def follow(self, digest: str) -> None:
        self.followed.append(digest)

    def ask(self, method: str, path: str) -> tuple[int, dict[str, str]]:
        assert (method, path) == ("GET", "/version")
        return 200, {"version": "7"}


def seen(month: Month, decision: str = "retrain", alarms: tuple[str, ...] = (), **found: Any) -> dict[str, Any]:
    """A report of the monitor at the end of a month."""
    concerns = [{"gate": "drift", "said": f"drift in {', '.join(alarms)}", "asks": True}] if alarms else []
    return {
        "decision": decision, "reason": "as it was found", "until": str(month.end), "concerns": concerns,
        "windows": [{"alarms": [*alarms]}], **found,
    }  # fmt: skip
