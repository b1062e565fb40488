"""The loop closes on the table's own months: served, monitored, retrained, promoted or refused, in a scratch clone."""

from __future__ import annotations

import json
import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from killing import until
from running import SLUG, aliases, command, copy_of, one_line, run, set_param, start, works

#: What the first version of the clone's registry says of the rows of a month, by its own bundle, and the server's word.
SAME = f"""
import sys
import numpy as np, pandas as pd
from pathlib import Path
from {SLUG} import schema
from {SLUG}.loop import table
from {SLUG}.config import load
from {SLUG}.serving import version
month, out = sys.argv[1:]
known = table.load(load().ingest, schema.load(), Path(out, "table.parquet"))
rows = known.served(next(one for one in table.months(known, True, load().ingest)[1] if one.name == month))
said = pd.read_parquet(f".loop/scores/{{month}}.parquet").to_numpy()[:, 0]
np.testing.assert_array_equal(version.load(Path(out, "bundle")).score(rows), said)
print(len(said))
"""
#: Which gates may name a fault.
NAMES = {
    "broken sensor": {"drift"},
    "poisoned labels": {"quality", "drift", "baseline", "threshold", "calibration", "slices"},
    "tampered challenger": {"digest"},
    "killed trainer": {"repro"},
    "label outage": {"labels", "quarantine"},
}


def report(project: Path) -> dict[str, Any]:
    """Return the walk's report."""
    found: dict[str, Any] = json.loads((project / "reports/loop.json").read_text(encoding="utf-8"))
    return found


def at_work(project: Path) -> list[int]:
    """Return the processes that work below a project's scratch clone."""
    found = []
    for number in [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]:
        with suppress(OSError):  # it ended meanwhile
            if Path(f"/proc/{number}/cwd").resolve(strict=True).is_relative_to(project / ".loop"):
                found.append(number)
    return found


def test_a_quick_walk_survives_a_kill_and_touches_nothing_of_the_project(copy: Path, tmp_path: Path) -> None:
    """Killed in its first retraining it goes on, serves no month twice, and its scores are the champion's own."""
    before = aliases(copy)
    monitored = copy / ".loop/clone/reports/monitor.json"
    process = start(copy, "python", "-m", SLUG, "loop", "--quick")
    assert until(lambda: monitored.exists() and json.loads(monitored.read_text())["decision"] == "retrain", 200)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    left = at_work(copy)
    assert left  # the server, at least: nobody told it
    known = {path: path.stat().st_mtime_ns for path in (copy / ".loop/scores").iterdir()}
    assert known
    said = works(command(copy, "loop", "--quick"))
    assert "going on after 1 of 3 months" in said
    assert not at_work(copy)
    assert {path: path.stat().st_mtime_ns for path in known} == known

    found = report(copy)
    assert [month["month"] for month in found["months"]] == ["2013-09", "2013-10", "2013-11"]
    assert [month["decision"] in ("healthy", "watch", "retrain", "halted") for month in found["months"]] == [True] * 3
    first = found["months"][0]["policies"]
    assert first["gated"] == first["frozen"] == first["always"]  # one model, over HTTP and in the walk itself
    asked = [month for month in found["months"][:-1] if month["decision"] == "retrain"]
    assert asked
    assert all(month["outcome"] in ("promoted", "refused") for month in asked)
    assert found["staleness"]["curve"][0]["excess"] == 0
    assert "<svg" in (copy / "reports/loop.svg").read_text(encoding="utf-8")

    assert aliases(copy) == before
    assert not (copy / "predictions").exists()
    assert run(copy, "git", "status", "--porcelain", "--", ".", ":!.venv").stdout == ""
    clone = copy / ".loop/clone"
    works(command(clone, "export", "1", str(tmp_path / "bundle"), PATH=path_of(copy)))
    assert int(works(run(copy, "python", "-c", SAME, "2013-09", str(tmp_path)))) == found["months"][0]["rows"]

    again = works(command(copy, "loop", "--quick"))  # all is known
    assert "going on after 3 of 3 months" in again
    assert report(copy) == found
    set_param(copy, "seed", 7)
    assert "params.yaml is not committed" in one_line(command(copy, "loop", "--quick"))


def path_of(project: Path) -> str:
    """Return a PATH on which the project's environment comes first."""
    return os.pathsep.join([str(project / ".venv/bin"), os.environ["PATH"]])


@pytest.mark.slow
def test_the_year_closes_and_with_faults_each_is_stopped_by_the_gate_that_names_it(
    started: Path, tmp_path: Path
) -> None:
    """Nine months, clean and broken: promoted and refused, and every fault named; the figures are not judged here."""
    project = copy_of(started, tmp_path)
    works(command(project, "loop"))
    found = report(project)
    assert len(found["months"]) == 9
    assert {"promoted", "refused"} <= {month["outcome"] for month in found["months"]}
    assert len(found["staleness"]["curve"]) == 9
    shutil.rmtree(project / ".loop")
    works(command(project, "loop", "--faults"))
    struck = {one["fault"]: one for one in report(project)["struck"]}
    assert set(struck) == set(NAMES)
    for fault, one in struck.items():
        assert one["named_by"], fault
        assert set(one["named_by"]) <= NAMES[fault]
    assert not at_work(project)
