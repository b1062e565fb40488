"""The monitor's verdict on windows of the reference period, ordinary and broken, and its seconds for a million rows.

In a project's folder and environment: `drift_ours.py windows OUT` leaves the windows in OUT for others to judge, with
`index.json`, which says of each what it is and whether the monitor alarms; `drift_ours.py million OUT` prints seconds.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

#: Days of a window; ordinary windows drawn of each, and broken ones of each kind and column.
LENGTHS, ORDINARY, BROKEN = (1, 7, 28), 50, 20
DAYS, ROWS = 7, 1000
SHIFTED, MERGED, NULLED = ("distance", "arrives", "plane_year"), ("origin", "carrier"), ("plane_year", "humid", "visib")
ALPHA = 0.05
sys.path.insert(0, "")


def module(name: str) -> Any:
    """A module of the project that this runs in."""
    return importlib.import_module(f"{Path.cwd().name}.{name}")


class Monitor:
    """The champion's reference, and the monitor's functions."""

    def __init__(self, aspects: dict[str, Any], contract: Any) -> None:
        """What is compared, by name."""
        self.aspects, self.contract = aspects, contract
        self.drift, self.history = module("monitoring.drift"), module("gates.drift")

    def alarms(self, rows: pd.DataFrame, days: int) -> list[str]:
        """What alarms in a window of so many days."""
        found = self.history.of_inputs(rows, self.contract, self.contract.inputs)
        counts = {name: self.aspects[name].bins.rows(values) for name, values in found.items()}
        ordinary = self.drift.usual(self.aspects, days, len(rows), ALPHA)
        return [one.aspect for one in self.drift.judge(self.aspects, counts, ordinary) if one.alarm]


def broken(rows: pd.DataFrame, whole: pd.DataFrame, kind: str, name: str, random: np.random.Generator) -> pd.DataFrame:
    """A window with one column broken."""
    values = rows[name]
    if kind == "half a standard deviation more":
        values = values + whole[name].std() / 2
    elif kind == "another unit (x 1.609)":
        values = values * 1.609
    elif kind == "a category lost to another":
        top = whole[name].value_counts().index
        values = values.replace(top[1], top[0])
    else:
        values = values.where(random.random(len(rows)) >= 0.1)
    return rows.assign(**{name: values})


CASES = [
    *(("half a standard deviation more", name) for name in SHIFTED),
    *(("another unit (x 1.609)", name) for name in SHIFTED),
    *(("a category lost to another", name) for name in MERGED),
    *(("a tenth null", name) for name in NULLED),
]


def windows(out: Path) -> None:
    """Draw, judge and leave the windows: contiguous days, at random places of the reference period."""
    reference, verdict = module("gates.reference"), module("gates.verdict")
    contract, kept = module("schema").load(), reference.read(verdict.REFERENCE)
    inputs = {name: one for name, one in kept.inputs.items() if name != contract.target}
    monitor = Monitor(inputs, contract)
    frame = pd.concat([pd.read_parquet(verdict.TRAIN), pd.read_parquet(verdict.TEST)], ignore_index=True)
    day = frame[contract.time].dt.normalize().rank(method="dense").astype(int) - 1
    random, index = np.random.default_rng(1), list[dict[str, Any]]()

    def window(days: int) -> pd.DataFrame:
        start = random.integers(0, day.max() + 2 - days)
        return frame[(day >= start) & (day < start + days)].reset_index(drop=True)

    def leave(rows: pd.DataFrame, **about: Any) -> None:
        name = f"{len(index)}.parquet"
        rows[contract.inputs].drop(columns=contract.time).to_parquet(out / name)
        index.append({"file": name, **about})

    for days in LENGTHS:
        for _ in range(ORDINARY):
            rows = window(days)
            leave(rows, kind="ordinary", days=days, ours=bool(monitor.alarms(rows, days)))
    for kind, name in CASES:
        for _ in range(BROKEN):
            rows = window(DAYS)
            rows = rows.sample(min(ROWS, len(rows)), random_state=int(random.integers(2**31))).reset_index(drop=True)
            rows = broken(rows, frame, kind, name, random)
            aspect = f"{name} null" if kind == "a tenth null" else name
            leave(rows, kind=kind, column=name, ours=aspect in monitor.alarms(rows, DAYS))
    frame[contract.inputs].drop(columns=contract.time).to_parquet(out / "reference.parquet")
    (out / "index.json").write_text(json.dumps(index), encoding="utf-8")


def million(out: Path) -> None:
    """Leave two tables of a million rows and thirty columns; print seconds for the reference, and for the window."""
    random, rows = np.random.default_rng(2), 1_000_000
    names = [f"number_{i}" for i in range(20)] + [f"category_{i}" for i in range(10)]

    def table() -> pd.DataFrame:
        numbers = {name: random.gamma(2, size=rows) for name in names[:20]}
        return pd.DataFrame(numbers | {name: random.choice([*"abcdefghijkl"], rows) for name in names[20:]})

    columns = {name: {"type": "float" if name in names[:20] else "category"} for name in names}
    contract = module("schema").Schema.model_validate(
        {"task": "binary", "columns": columns | {"y": {"type": "int", "role": "target", "values": [0, 1]}}}
    )
    reference, day, tables = module("gates.reference"), np.arange(rows) // 5000, [table(), table()]
    for name, one in zip(("reference", "window"), tables, strict=True):
        one.to_parquet(out / f"{name}.parquet")
    began = time.perf_counter()
    found = module("gates.drift").of_inputs(tables[0], contract, contract.inputs)
    aspects = {name: reference.aspect(values, day) for name, values in found.items()}
    built = time.perf_counter()
    Monitor(aspects, contract).alarms(tables[1], DAYS)
    print(json.dumps([built - began, time.perf_counter() - built]))


if __name__ == "__main__":
    {"windows": windows, "million": million}[sys.argv[1]](Path(sys.argv[2]))
