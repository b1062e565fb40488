"""On the flights the monitor seldom cries wolf, whatever the window, and sees what moved where days are alike."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from running import SLUG, run, works

#: Draws contiguous windows of the reference period, a thousand rows each, as they are and with one column broken.
WINDOWS = f"""
import json
import numpy as np, pandas as pd
from pathlib import Path
from {SLUG} import schema
from {SLUG}.gates import drift as history, reference, verdict
from {SLUG}.monitoring import drift
contract, kept = schema.load(), reference.read(verdict.REFERENCE)
frame = pd.concat([pd.read_parquet(verdict.TRAIN), pd.read_parquet(verdict.TEST)], ignore_index=True)
day = frame[contract.time].dt.normalize().rank(method="dense").astype(int) - 1
inputs = {{name: one for name, one in kept.inputs.items() if name != contract.target}}
random = np.random.default_rng(1)

def window(length):
    start = random.integers(0, day.max() + 2 - length)
    rows = frame[(day >= start) & (day < start + length)]
    return rows.sample(min(1000, len(rows)), random_state=int(start)).reset_index(drop=True)

def alarms(rows, ordinary):
    found = history.of_inputs(rows, contract, contract.inputs)
    counts = {{name: inputs[name].bins.rows(values) for name, values in found.items()}}
    return [one.aspect for one in drift.judge(inputs, counts, ordinary) if one.alarm]

def seen(change, *names):
    ordinary = drift.usual(inputs, 4, 1000, 0.05)
    return float(np.mean([bool({{*names}} & {{*alarms(change(window(4)), ordinary)}}) for _ in range(40)]))

false = {{}}
for length in (1, 2, 4, 7, 14, 28):
    ordinary = drift.usual(inputs, length, 1000, 0.05)
    false[length] = float(np.mean([bool(alarms(window(length), ordinary)) for _ in range(60)]))
power = {{}}
for name in ("distance", "arrives", "plane_year"):
    spread = frame[name].std()
    power["shift of " + name] = seen(lambda rows: rows.assign(**{{name: rows[name] + spread / 2}}), name)
    power["unit of " + name] = seen(lambda rows: rows.assign(**{{name: rows[name] * 1.609}}), name)
for name in ("origin", "carrier"):
    top = frame[name].value_counts().index
    power["collapse of " + name] = seen(lambda rows: rows.assign(**{{name: rows[name].replace(top[1], top[0])}}), name)
for name in ("plane_year", "humid", "visib"):
    gone = lambda rows: rows[name].where(random.random(len(rows)) >= 0.1)
    power["nulls in " + name] = seen(lambda rows: rows.assign(**{{name: gone(rows)}}), name + " null")
print(json.dumps([false, power]))
"""


@pytest.fixture(scope="module")
def measured(started: Path) -> tuple[dict[str, float], dict[str, float]]:
    """Return the share of windows that alarm, by their days, and that of broken windows that do, by what was broken."""
    false, power = json.loads(works(run(started, "python", "-c", WINDOWS)))
    return false, power


def test_ordinary_windows_seldom_alarm(measured: tuple[dict[str, float], dict[str, float]]) -> None:
    """At most one in twenty of any size, storms and holidays included: all columns together, a thousand rows."""
    false, _ = measured
    assert list(false) == ["1", "2", "4", "7", "14", "28"]
    assert max(false.values()) <= 0.05


def test_what_moved_is_seen(measured: tuple[dict[str, float], dict[str, float]]) -> None:
    """Nine times of ten within four days: half a standard deviation, another unit, a category lost, a tenth null."""
    _, power = measured
    assert len(power) == 11
    assert {name: share for name, share in power.items() if share < 0.9} == {}
