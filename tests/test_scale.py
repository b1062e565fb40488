"""Ten million rows pass from the source to the split in bounded memory, and in time that grows as they do."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import yaml
from running import SLUG, copy_of, run, set_param, works

MILLION = 1_000_000
STAGES = ("ingest", "validate", "split")
#: Gigabytes that a stage may take.
BOUND = 4.0
#: How many times as long ten times the rows may take; with work that grows as their square it would be a hundred.
GROWTH = 16
COLUMNS = {
    "order_id": {"type": "int", "role": "key"},
    "placed": {"type": "datetime", "role": "time"},
    "customer": {"type": "category"},
    "country": {"type": "category", "nullable": True},
    "items": {"type": "int", "min": 1, "max": 9},
    "weight": {"type": "float", "min": 0},
    "price": {"type": "float", "nullable": True},
    "paid": {"type": "bool"},
    "refund": {"type": "float", "nullable": True, "role": "outcome"},
    "returned": {"type": "int", "role": "target", "values": [0, 1]},
}
#: One weight in a thousand breaks a rule, and the last row repeats the first one's key.
MAKE = """
import duckdb, sys
rows = int(sys.argv[1])
duckdb.connect(config={"threads": 1}).execute(f'''COPY (
    SELECT CASE WHEN i = {rows - 1} THEN 0 ELSE i * 7 END AS order_id,
      TIMESTAMP '2020-01-01' + to_seconds(i * 366 * 86400 // {rows}) AS placed,
      'customer ' || (hash(i) % 200000) AS customer,
      CASE WHEN i % 11 > 0 THEN 'land ' || (hash(i + 1) % 60) END AS country,
      1 + hash(i + 2) % 9 AS items, CASE WHEN i % 1000 = 5 THEN -1 ELSE (hash(i + 3) % 100000) / 1000 END AS weight,
      CASE WHEN i % 13 > 0 THEN (hash(i + 4) % 1000000) / 100 END AS price, i % 3 = 0 AS paid,
      CASE WHEN i % 5 = 0 THEN 1.5 END AS refund, (hash(i + 5) % 7 = 0)::INT AS returned
    FROM range({rows}) AS t(i)) TO 'rows.parquet' (FORMAT parquet, COMPRESSION zstd)''')
"""
#: Run a stage and print its seconds and its peak resident memory in KB.
PEAK = """
import resource, subprocess, sys, time
began = time.monotonic()
code = subprocess.run(sys.argv[1:], stdout=sys.stderr).returncode
print(time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def measured(project: Path, rows: int) -> dict[str, tuple[float, float]]:
    """Seconds and gigabytes of each stage on a table of so many rows."""
    works(run(project, "python", "-c", MAKE, str(rows)))
    found = {}
    for stage in STAGES:
        done = works(run(project, "python", "-c", PEAK, "python", "-m", SLUG, stage))
        seconds, peak = map(float, done.split())
        found[stage] = (round(seconds, 1), round(peak / 2**20, 2))
    return found


@pytest.mark.slow
def test_ten_million_rows_take_time_in_proportion_and_no_more_memory_than_is_there(
    started: Path, tmp_path: Path
) -> None:
    """Each stage stays under BOUND; the training rows are a sample, and the reports say of how many."""
    project = copy_of(started, tmp_path, "demo", ".mlflow", "data", "reports")
    text = yaml.safe_dump({"task": "binary", "columns": COLUMNS}, sort_keys=False)
    (project / "schema.yaml").write_text(text, encoding="utf-8")
    set_param(project, "ingest", {"source": "rows.parquet", "query": None, "start": "2020-01-01", "end": "2021-01-01"})
    began = time.monotonic()
    one, ten = measured(project, MILLION), measured(project, 10 * MILLION)
    print(f"\n1 million (seconds, GB): {one}\n10 million: {ten}\nin all {time.monotonic() - began:.0f} s")
    assert [stage for stage in STAGES if max(one[stage][1], ten[stage][1]) >= BOUND] == []
    assert [stage for stage in STAGES if ten[stage][0] > GROWTH * one[stage][0]] == []
    reports = {stage: json.loads((project / f"reports/{stage}.json").read_text(encoding="utf-8")) for stage in STAGES}
    assert reports["ingest"]["rows"] == 10 * MILLION
    bad = 10 * MILLION // 1000 + 2
    assert reports["validate"]["rows"] == {"read": 10 * MILLION, "valid": 10 * MILLION - bad, "quarantined": bad}
    rules = [(rule["column"], rule["rule"], rule["rows"]) for rule in reports["validate"]["rules"]]
    assert rules == [("weight", "below 0", bad - 2), ("order_id", "duplicate key", 2)]
    rows, sampled = reports["split"]["rows"], reports["split"]["sampled"]
    assert rows["train"] == sampled["rows"] == MILLION
    assert sampled["of"] + rows["test"] == 10 * MILLION - bad
    count = "import sys; from pyarrow import parquet as p; print(*(p.read_metadata(f).num_rows for f in sys.argv[1:]))"
    held = works(run(project, "python", "-c", count, "data/train.parquet", "data/test.parquet"))
    assert held.split() == [str(rows["train"]), str(rows["test"])]
