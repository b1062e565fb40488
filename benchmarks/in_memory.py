"""Seconds that one `model.predict` takes for all rows of a table that is in memory, typed: what batch is held against.

Run in a project's folder with an exported bundle and a Parquet file; prints the rows and the seconds.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path

SLUG = "flight_delays"


def main(bundle: Path, table: Path) -> None:
    """Load everything, then measure."""
    sys.path.insert(0, "")
    artefact = importlib.import_module(f"{SLUG}.registry.artefact")
    model, record, schema = (importlib.import_module(f"{SLUG}.{name}") for name in ("model", "record", "schema"))
    contract = schema.load(bundle / "schema.yaml")
    fitted = artefact.load(bundle / "model.skops")
    frame = record.read_parquet(table)
    began = time.perf_counter()
    found = model.predict(fitted, frame, contract)
    print(json.dumps({"rows": len(found), "seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
