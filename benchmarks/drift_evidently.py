"""What Evidently's default preset says of the windows that `drift_ours.py` left; in an environment of its own.

`drift_evidently.py windows OUT` prints for each window of `index.json` the columns that drift (of a broken window, only
the one that is broken is looked at) and whether the table does; `drift_evidently.py million OUT` prints the seconds of
one report.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path

import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset

warnings.filterwarnings("ignore")  # of what it is built on


def drifts(rows: pd.DataFrame, reference: pd.DataFrame, columns: list[str] | None) -> tuple[list[str], bool]:
    """Which of these columns (all, unless named) drift, and whether half of them do: its default for a table."""
    filled = [name for name in columns or rows if rows[name].notna().any()]  # it raises at an empty column
    count, *each = Report([DataDriftPreset(columns=filled)]).run(rows, reference).dict()["metrics"]
    limits = [(one["config"]["column"], one["config"]["threshold"], one) for one in each]
    found = [name for name, limit, one in limits
             if (one["value"] < limit if "p_value" in one["config"]["method"] else one["value"] >= limit)]  # fmt: skip
    if len(found) != count["value"]["count"]:
        raise SystemExit(f"Evidently counts {count['value']}, and we {found}")
    return found, count["value"]["share"] >= 0.5


def windows(out: Path) -> None:
    """Judge all windows."""
    reference = pd.read_parquet(out / "reference.parquet")
    index = json.loads((out / "index.json").read_text(encoding="utf-8"))
    found = [drifts(pd.read_parquet(out / one["file"]), reference, [one["column"]] if "column" in one else None)
             for one in index]  # fmt: skip
    print(json.dumps(found))


def million(out: Path) -> None:
    """One report about two tables that are in memory."""
    reference, rows = (pd.read_parquet(out / f"{name}.parquet") for name in ("reference", "window"))
    began = time.perf_counter()
    drifts(rows, reference, None)
    print(json.dumps(time.perf_counter() - began))


if __name__ == "__main__":
    {"windows": windows, "million": million}[sys.argv[1]](Path(sys.argv[2]))
