"""The prediction log on a disk that is full for a while: answers go on, and what waited is written."""

from __future__ import annotations

import json
from pathlib import Path

from disks import small_disk
from killing import until
from running import SLUG, run, said, start, works

#: Logs a row a millisecond for a second, says how that went, and goes on until all is written or 20 s are over.
SERVER = f"""
import json, pathlib, sys, time
import numpy as np
from {SLUG} import config, schema
from {SLUG}.serving import log
folder, signs = map(pathlib.Path, sys.argv[1:])
contract = schema.load()
made = log.PredictionLog(config.Log(folder=folder, seconds=0.1, keep_days=9, private=dict()), contract)
made.start()
slowest = 0.0
for number in range(1000):
    began = time.perf_counter()
    made.add("ab" * 32, contract, [str(number)], [dict(origin="EWR")], np.array([0.5]))
    slowest = max(slowest, time.perf_counter() - began)
    time.sleep(0.001)
full = dict(failures=made.failures, waiting=made.waiting, dropped=made.dropped, slowest=slowest)
(signs / "full").touch()
end = time.monotonic() + 20
while made.waiting and time.monotonic() < end:
    time.sleep(0.1)
made.close()
print(json.dumps([full, dict(waiting=made.waiting, dropped=made.dropped)]))
"""
READ = f"""
import datetime as dt, pathlib, sys
from {SLUG}.serving import parts
found = parts.read(pathlib.Path(sys.argv[1]), dt.datetime(2000, 1, 1), dt.datetime(2100, 1, 1))
print(sorted(int(one) for frame in found for one in frame[parts.ID]) == list(range(1000)))
"""


def test_a_full_disk_delays_no_answer_and_loses_none(started: Path, tmp_path: Path) -> None:
    """While it is full nothing is written and nothing dropped; without a mount of its own it stays full."""
    with small_disk(tmp_path / "disk", "2m") as disk:
        log = disk.folder / "log"
        with disk.left(100) as limit:
            server = start(started, *limit, "python", "-c", SERVER, str(log), str(tmp_path))
            assert until((tmp_path / "full").exists)
            assert list(log.rglob("*.parquet")) == []
        assert server.wait(60) == 0
        full, after = json.loads(said(server).splitlines()[-1])
        assert full["failures"] > 3
        assert (full["waiting"], full["dropped"]) == (1000, 0)
        assert full["slowest"] < 0.5
        assert after == {"waiting": 0 if disk.mounted else 1000, "dropped": 0}
        if disk.mounted:
            assert works(run(started, "python", "-c", READ, str(log))) == "True\n"
