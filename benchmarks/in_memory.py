"""Seconds of a batch, from a file to files, and of one `model.predict` for all its rows in memory and typed.

Run in a project's folder with an exported bundle and a Parquet file; prints both. Loading has predicted golden rows, so
that neither is the first.
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
import time
from pathlib import Path

SLUG = "flight_delays"


def main(bundle: Path, table: Path) -> None:
    """Load everything, then measure."""
    sys.path.insert(0, "")
    batch, model, record, version = (
        importlib.import_module(f"{SLUG}.{name}") for name in ("serving.batch", "model", "record", "serving.version")
    )
    loaded = version.load(bundle)
    frame = record.read_parquet(table)
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, work in {
            "batch": lambda: batch.run(loaded, str(table), Path(folder, "out"), lambda rows: None),
            "memory": lambda: model.predict(loaded.fitted, frame, loaded.contract),
        }.items():
            began = time.perf_counter()
            work()
            seconds[name] = time.perf_counter() - began
    print(json.dumps(seconds))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
