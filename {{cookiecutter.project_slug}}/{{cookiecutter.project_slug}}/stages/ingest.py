"""Snapshot the source's rows inside the window into `data/raw.parquet`; that file's hash is the data version."""

from __future__ import annotations

from pathlib import Path

from .. import config, record, schema
from ..errors import InputError

OUT = Path("data/raw.parquet")
REPORT = Path("reports/ingest.json")


def source_files(source: str, root: Path = Path()) -> list[Path]:
    """The files that a path or glob names, sorted. Raises InputError for none, or an empty one."""
    pattern = Path(source)
    if pattern.is_absolute():
        root, pattern = Path(pattern.anchor), pattern.relative_to(pattern.anchor)
    files = sorted(path for path in root.glob(str(pattern)) if path.is_file())
    if not files:
        raise InputError(f"ingest.source: no file matches {source}; mend it in params.yaml")
    for path in files:
        if path.stat().st_size == 0:
            raise InputError(f"{path} is empty: give a file with rows, or leave it out of ingest.source")
    return files


def reader(files: list[Path]) -> str:
    """The DuckDB table function that reads `files`: Parquet as typed, CSV all columns as text."""
    kinds = {"".join(path.suffixes[-2:] if path.suffix in (".gz", ".zst") else [path.suffix]) for path in files}
    names = "[" + ", ".join(quoted(str(path)) for path in files) + "]"
    if kinds == {".parquet"}:
        return f"read_parquet({names}, union_by_name = true)"
    if all(kind.startswith(".csv") for kind in kinds):
        return f"read_csv({names}, union_by_name = true, header = true, sample_size = -1, all_varchar = true)"
    found = ", ".join(sorted(kinds))
    raise InputError(f"ingest.source: cannot read {found}; give .parquet or .csv (also .csv.gz, .csv.zst), one kind")


def quoted(text: str) -> str:
    """`text` as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def window(params: config.Ingest, contract: schema.Schema) -> str:
    """The SQL condition that keeps start <= time < end; rows without a time are kept for `validate` to judge.

    One bound at least must be set. Raises InputError when no column is the time.
    """
    if contract.time is None:
        raise InputError("ingest.start/end need a column with role: time in schema.yaml; set both to null")
    column = f'try_cast("{contract.time}" AS TIMESTAMP)'
    bounds = [
        f"{column} {sign} TIMESTAMP {quoted(str(bound))}"
        for sign, bound in ((">=", params.start), ("<", params.end))
        if bound is not None
    ]
    return f"({' AND '.join(bounds)}) IS NOT FALSE"


def snapshot(params: config.Ingest, contract: schema.Schema, out: Path) -> int:
    """Copy the window's rows to `out` and return how many there are. Raises InputError.

    One thread: DuckDB's Parquet bytes depend on the number of threads.
    """
    import duckdb

    query = f"SELECT * FROM {reader(source_files(params.source))}"
    connection = duckdb.connect(config={"threads": 1, "autoinstall_known_extensions": "false"})
    try:
        columns = [row[0] for row in connection.execute(f"DESCRIBE {query}").fetchall()]
        if params.start or params.end:
            condition = window(params, contract)
            if contract.time not in columns:
                raise InputError(f"column {contract.time} is missing from {params.source}: it is the time column")
            query += f" WHERE {condition}"
        copy = "COPY ({}) TO {} (FORMAT parquet, COMPRESSION zstd)"
        record.write_atomically(out, lambda partial: connection.execute(copy.format(query, quoted(str(partial)))))
        counted = connection.execute(f"SELECT count(*) FROM read_parquet({quoted(str(out))})").fetchone()
    except duckdb.Error as error:
        raise InputError(f"{params.source} cannot be read: {str(error).splitlines()[0]}") from error
    finally:
        connection.close()
    rows = int(counted[0]) if counted else 0
    if rows == 0:
        out.unlink()
        between = f" between {params.start} and {params.end}" if params.start or params.end else ""
        raise InputError(f"{params.source} holds no rows{between}: move ingest.start/end or give rows")
    return rows


def main() -> None:
    """Read `params.yaml` and `schema.yaml`, write the snapshot and `reports/ingest.json`."""
    params = config.load().ingest
    rows = snapshot(params, schema.load(), OUT)
    record.write_json(
        REPORT,
        {"source": params.source, "start": str(params.start), "end": str(params.end), "rows": rows},
    )
