"""A copy of the project that may be broken: edit its files by what they mean, and run its commands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from ruamel.yaml import YAML

PACKAGE = "{{ cookiecutter.project_slug }}"
GIT = ("git", "-c", "user.name=faults", "-c", "user.email=faults@localhost", "-c", "gc.auto=0")
CLOSED = re.compile(r"gate closed: (.+?): (.*)")


class Unharmed(ValueError):
    """A fault no longer fits the code that it breaks: it would prove nothing, so it must be mended."""


class Absent(Exception):
    """This table or its settings have nothing that the fault breaks: another one has to trip its gate."""


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it said."""

    code: int
    text: str

    @property
    def closed(self) -> list[str]:
        """The gates that the command named on its lines `gate closed: NAME, NAME: reason`."""
        return [name for found in CLOSED.findall(self.text) for name in found[0].split(", ")]

    @property
    def said(self) -> str:
        """The reason of the first gate that closed, else the last line."""
        found = CLOSED.search(self.text)
        return found[2] if found else (self.text.strip().splitlines() or ["nothing"])[-1]


@dataclass
class Copy:
    """A copy of the project in `root`, whose commands see `variables`."""

    root: Path
    variables: dict[str, str] = field(default_factory=dict)

    def clone(self, root: Path) -> Copy:
        """The same again elsewhere: no file is shared, so that no harm reaches the original."""
        shutil.copytree(self.root, root, symlinks=True)
        return Copy(root, dict(self.variables))

    def run(self, command: str) -> Outcome:
        """Run `dvc ...` or a command of the package."""
        words = command.split()
        module = ["python", "-m", *(words if words[0] == "dvc" else [PACKAGE, *words])]
        done = subprocess.run(module, cwd=self.root, env=self.variables, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
        return Outcome(done.returncode, done.stdout)

    def must(self, *commands: str) -> None:
        """Run what has to succeed. Raises RuntimeError with what was said when it does not."""
        for command in commands:
            done = self.run(command)
            if done.code:
                closed = f" ({', '.join(done.closed)} closed)" if done.closed else ""
                raise RuntimeError(f"{command} should have passed{closed}:\n{done.text[-2500:]}")

    def python(self, program: str) -> None:
        """Run a program in the copy's folder. Raises RuntimeError with what it said when it fails."""
        done = subprocess.run(["python", "-c", program], cwd=self.root, env=self.variables, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
        if done.returncode:
            raise RuntimeError(done.stdout)

    def git(self, *words: str) -> None:
        """Run git."""
        subprocess.run([*GIT, *words], cwd=self.root, env=self.variables, check=True)

    def commit(self) -> None:
        """Commit all that git does not ignore."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "as it is")

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace `old` in a file. Raises Unharmed when it is not there."""
        path = self.root / name
        text = path.read_text(encoding="utf-8")
        if old not in text:
            raise Unharmed(f"{name} no longer holds {old!r}: mend the fault")
        path.write_text(text.replace(old, new), encoding="utf-8")

    def code(self, name: str, old: str, new: str) -> None:
        """Replace `old` in a module of the package."""
        self.edit(f"{PACKAGE}/{name}", old, new)

    def read(self, name: str = "params.yaml") -> dict[str, Any]:
        """A YAML file as a mapping, read as the package does: `no` is a word."""
        tree: dict[str, Any] = YAML(typ="safe").load((self.root / name).read_text(encoding="utf-8"))
        return tree

    def settings(self, change: Callable[[dict[str, Any]], object], name: str = "params.yaml") -> None:
        """Change a YAML file as a mapping. Raises Unharmed when nothing changed."""
        tree, before = self.read(name), self.read(name)
        change(tree)
        if tree == before:
            raise Unharmed(f"{name} is as it was: mend the fault")
        (self.root / name).write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")

    @property
    def declared(self) -> dict[str, dict[str, Any]]:
        """The columns of `schema.yaml`."""
        columns: dict[str, dict[str, Any]] = self.read("schema.yaml")["columns"]
        return columns

    def columns(self, role: str, *kinds: str, nullable: bool | None = None) -> list[str]:
        """Names of the columns of a role, of some types, that may or may not be null. Raises Absent for none."""
        found = [
            name
            for name, column in self.declared.items()
            if column.get("role", "feature") == role
            and (not kinds or column["type"] in kinds)
            and nullable in (None, column.get("nullable", False))
        ]
        if not found:
            raise Absent(f"schema.yaml has no {role} column of type {' or '.join(kinds) or 'any'}")
        return found

    def bounded(self) -> str:
        """A numeric feature with an upper bound above zero that may not be null."""
        for name in self.columns("feature", "float", "int", nullable=False):
            if self.declared[name].get("max", 0) > 0:
                return name
        raise Absent("schema.yaml bounds no numeric feature")

    def number(self) -> str:
        """A numeric feature that may not be null: the one of `bounded`, if there is any."""
        try:
            return self.bounded()
        except Absent:
            return self.columns("feature", "float", "int", nullable=False)[0]

    def split_by_time(self) -> None:
        """Raises Absent unless the newest rows are the test rows."""
        if self.read()["split"]["by"] != "time":
            raise Absent("the split is not by time, so new rows are on either side of it")

    def source(self, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
        """Change the table that `ingest.source` names; of several files the first holds all of it then.

        Raises Absent when there is none, or when it is as it was.
        """
        paths = sorted(self.root.glob(self.read()["ingest"]["source"]))
        if not paths:
            raise Absent("ingest.source names no file here")
        parquet = paths[0].suffix == ".parquet"
        before = pd.concat([pd.read_parquet(p) if parquet else pd.read_csv(p) for p in paths], ignore_index=True)
        after = change(before.copy()).reset_index(drop=True)
        if after.equals(before):
            raise Absent(f"{paths[0].name} has nothing of that kind")
        for path, part in zip(paths, [after, *[after.iloc[:0]] * (len(paths) - 1)], strict=True):
            write_as(path, part, before) if parquet else part.to_csv(path, index=False)

    @property
    def time(self) -> str | None:
        """The time column, if any."""
        return next((name for name, column in self.declared.items() if column.get("role") == "time"), None)

    def window(self, table: pd.DataFrame) -> pd.Series:
        """True for the rows that `ingest` takes."""
        bounds, time = self.read()["ingest"], self.time
        inside = pd.Series(True, index=table.index)
        if time:
            times = pd.to_datetime(table[time])
            inside &= times >= pd.Timestamp(bounds["start"]) if bounds["start"] else True
            inside &= times < pd.Timestamp(bounds["end"]) if bounds["end"] else True
        return inside

    def newest(self, table: pd.DataFrame, share: float) -> pd.Series:
        """True for the newest share of the window's rows: by time, or by position where there is no time."""
        inside, time = self.window(table), self.time
        order = pd.to_datetime(table[time]) if time else pd.Series(range(len(table)), index=table.index)
        return inside & (order >= order[inside].quantile(1 - share))


@dataclass(frozen=True)
class Fault:
    """One way to go wrong: how a team gets there, the gate that must close, the harm, and what is run after it.

    `start`: the prepared copy that is harmed (states.py). `run`: the command that must fail, saying which gate closed.
    """

    name: str
    cause: str
    gate: str
    harm: Callable[[Copy], object]
    run: str = "dvc repro"
    start: str = "base"


def write_as(path: Path, after: pd.DataFrame, before: pd.DataFrame) -> None:
    """Write `after` over the Parquet file of `before`; columns that pandas types as before keep their type there."""
    import pyarrow as pa
    from pyarrow import parquet

    kinds, table = parquet.read_schema(path), pa.Table.from_pandas(after, preserve_index=False)
    for number, name in enumerate(table.column_names):
        if name in before and before[name].dtype == after[name].dtype:
            kind = kinds.field(name).type
            table = table.set_column(number, pa.field(name, kind), table[name].cast(kind, safe=False))
    parquet.write_table(table, path)


def environment(program: Path | None) -> dict[str, str]:
    """One thread each, several copies at a time; a store and pytest options of nobody but the copy."""
    mine = ("MLFLOW_TRACKING_URI", "PYTHONDONTWRITEBYTECODE", "PYTEST_ADDOPTS", "PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if name not in mine}
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_LOGGING_LEVEL": "CRITICAL", "DVC_NO_ANALYTICS": "1",
             "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false", "OMP_NUM_THREADS": "1"}  # fmt: skip
    path = os.pathsep.join([*([str(program)] if program else []), os.environ.get("PATH", "")])
    return {**kept, **quiet, "PATH": path}
