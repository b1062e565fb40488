"""Batch scoring at size: killed at any moment it goes on to the same bytes, and ten million rows take little memory."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest
from killing import until
from running import SLUG, command, copy_of, run, start, works
from test_scale import BOUND, MILLION, PEAK

KILLS = [5, pytest.param(50, marks=pytest.mark.slow)]
#: The valid rows of the sample again and again, with new keys; in one of a thousand a rule is broken.
MAKE = """
import sys
import numpy as np, pyarrow as pa
from pyarrow import parquet
sample, rows = parquet.read_table("data/valid.parquet"), int(sys.argv[1])
with parquet.ParquetWriter("rows.parquet", sample.schema) as writer:
    for first in range(0, rows, len(sample)):
        ids = np.arange(first, min(first + len(sample), rows))
        part = sample.slice(0, len(ids)).set_column(0, "id", pa.array(ids))
        wind = np.where(ids % 1000 == 5, 999.0, 10.0)
        writer.write_table(part.set_column(part.schema.get_field_index("wind_speed"), "wind_speed", pa.array(wind)))
"""
BROKEN = """
import pandas as pd, sys
found = pd.concat(pd.read_parquet(path) for path in sys.argv[1:])
bad = found[found["broken"].notna()]
assert list(found["id"]) == list(range(len(found)))
assert set(bad["broken"]) == {"wind_speed: above 120"} and bad["predicted"].isna().all()
assert (bad["id"] % 1000 == 5).all() and found["predicted"].notna().sum() == len(found) - len(bad)
print(len(bad))
"""


@pytest.fixture
def project(started: Path, tmp_path: Path) -> Path:
    """Return a project whose champion lies in the folder `bundle`."""
    made = copy_of(started, tmp_path)
    works(command(made, "export", "champion", "bundle"))
    return made


def files(out: Path) -> dict[str, bytes]:
    """Return what a job has written so far, by name; not what a kill left of a file."""
    return {path.name: path.read_bytes() for path in out.glob("*") if path.name[0] != "."}


@pytest.mark.parametrize("kills", KILLS)
def test_a_killed_job_goes_on_to_the_bytes_of_an_undisturbed_one(project: Path, kills: int) -> None:
    """Whatever the moment, each part that is there is whole and right, and is not written again."""
    works(run(project, "python", "-c", MAKE, str(MILLION // 2)))
    line = ("python", "-m", SLUG, "batch", "rows.parquet")
    works(run(project, *line, "expected", "--bundle", "bundle"))
    expected = files(project / "expected")
    assert len(expected) == 6
    parts = [str(project / "expected" / name) for name in sorted(expected) if name.startswith("part")]
    assert works(run(project, "python", "-c", BROKEN, *parts)).strip() == "500"
    rng, unfinished = random.Random(kills), 0
    for number in range(kills):
        out = project / f"out{number}"
        job = start(project, *line, out.name, "--bundle", "bundle")
        assert until((out / rng.choice(["manifest.json", "part-00000.parquet", "part-00001.parquet"])).exists)
        time.sleep(rng.uniform(0, 0.3))
        os.killpg(job.pid, signal.SIGKILL)
        job.wait()
        left = files(out)
        held = json.loads(left.pop("manifest.json"))
        unfinished += not held["finished"]
        assert left.items() <= expected.items()
        assert len(held["parts"]) <= len(left) <= len(held["parts"]) + 1
        times = {part["name"]: (out / part["name"]).stat().st_mtime_ns for part in held["parts"]}
        works(run(project, *line, out.name, "--bundle", "bundle"))
        assert files(out) == expected
        assert {name: (out / name).stat().st_mtime_ns for name in times} == times
        assert list(out.glob(".*")) == []
    assert unfinished


@pytest.mark.slow
def test_ten_million_rows_take_hardly_more_memory_than_one_million(project: Path) -> None:
    """Well below BOUND gigabytes, and not twice as much for ten times the rows."""
    peaks = {}
    for rows in (MILLION, 10 * MILLION):
        works(run(project, "python", "-c", MAKE, str(rows)))
        line = ("python", "-m", SLUG, "batch", "rows.parquet", f"out{rows}", "--bundle", "bundle")
        done = works(run(project, "python", "-c", PEAK, *line))
        seconds, peak = map(float, done.split())
        peaks[rows] = peak / 2**20
        print(f"\n{rows} rows: {seconds:.1f} s, {peaks[rows]:.2f} GB")
        parts = json.loads((project / f"out{rows}/manifest.json").read_text(encoding="utf-8"))["parts"]
        assert [sum(part[name] for part in parts) for name in ("rows", "broken")] == [rows, rows // 1000]
    assert max(peaks.values()) < BOUND
    assert peaks[10 * MILLION] < 2 * peaks[MILLION]
