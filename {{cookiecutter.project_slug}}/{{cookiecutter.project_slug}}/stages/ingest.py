"""Snapshot the source's rows inside the window into `data/raw.parquet`; that file's hash is the data version.

The report holds a fingerprint of each day's rows, by which the gate `history` finds days that changed since.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from .. import config, record, schema
from ..errors import InputError, NoRows, StoreError
from .database import is_database
from .source import engine, one_line, quoted, table

if TYPE_CHECKING:
    import duckdb

OUT = Path("data/raw.parquet")
REPORT = Path("reports/ingest.json")
#: The key of rows without a readable time.
NO_DAY = "no time"


def identifier(name: str) -> str:
    """`name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def window(params: config.Ingest, contract: schema.Schema) -> str:
    """The SQL condition that keeps start <= time < end; rows without a time are kept for `validate` to judge.

    One bound at least must be set. Raises InputError when no column is the time.
    """
    if contract.time is None:
        raise InputError("ingest.start/end need a column with role: time in schema.yaml; set both to null")
    column = f"try_cast({identifier(contract.time)} AS TIMESTAMP)"
    bounds = [
        f"{column} {sign} TIMESTAMP {quoted(str(bound))}"
        for sign, bound in ((">=", params.start), ("<", params.end))
        if bound is not None
    ]
    return f"({' AND '.join(bounds)}) IS NOT FALSE"


def snapshot(params: config.Ingest, contract: schema.Schema, out: Path) -> int:
    """Copy the window's rows to `out` and return how many there are. Raises InputError.

    One thread: DuckDB's Parquet bytes depend on the number of threads. Files keep their order; the rows of a database
    have none, and are sorted.
    """
    with record.replacing(out) as partial, engine(out.parent, threads=1) as (connection, folder):
        query = f"SELECT * FROM {table(params, connection, folder)}"
        with one_line(params.source):
            columns = [row[0] for row in connection.execute(f"DESCRIBE {query}").fetchall()]
            if params.start or params.end:
                condition = window(params, contract)
                if contract.time not in columns:
                    raise InputError(f"column {contract.time} is missing from {params.source}: it is the time column")
                query += f" WHERE {condition}"
            if is_database(params.source):
                query += " ORDER BY ALL"
            rows = copy(connection, query, partial)
        if rows == 0:
            between = f" between {params.start} and {params.end}" if params.start or params.end else ""
            raise NoRows(f"{params.source} holds no rows{between}: move ingest.start/end or give rows")
    return rows


def copy(connection: duckdb.DuckDBPyConnection, query: str, out: Path) -> int:
    """Write a query's rows to `out`; how many. Raises StoreError where writing fails, duckdb.Error for all else."""
    import duckdb

    try:
        copied = connection.execute(
            f"COPY ({query}) TO {quoted(str(out))} (FORMAT parquet, COMPRESSION zstd)"
        ).fetchone()
    except duckdb.IOException as error:
        why = re.search(rf'{re.escape(out.name)}\W*: ([^"\n]+)', str(error))
        if why is None:
            raise
        raise StoreError(f"cannot write {out.parent}: {why[1]}; check the folder and the disk") from error
    return int(copied[0]) if copied else 0


def as_text(name: str, kind: str) -> str:
    """SQL for a column's values as text, null as a character that no text holds.

    The same for a value whichever way the file types it: 5, 5.0 and "5" are one number, a day and its midnight one
    time. What is not of the declared type stays as it is written.
    """
    column = identifier(name)
    plain = f"regexp_replace({column}::VARCHAR, '\\.0+$', '')"
    typed = {
        "float": f"try_cast({column} AS DOUBLE)::VARCHAR, ",
        "datetime": f"try_cast({column} AS TIMESTAMP)::VARCHAR, ",
    }
    return f"coalesce({typed.get(kind, '')}{plain}, chr(30))"


def fingerprints(path: Path, contract: schema.Schema) -> tuple[dict[str, str], str]:
    """Rows and content of each calendar day, and a hash of what that covers: the declared columns found there.

    A day's entry is "ROWS HASH": the sum of its rows' MD5 numbers modulo 2**64, so that neither the order of rows nor
    the number of threads matters and equal rows do not cancel. MD5 of the values as text, since DuckDB's own `hash`
    may change with its version. Days are empty without a time column. Raises InputError.
    """
    with engine(path.parent) as (connection, _), one_line(str(path)):
        connection.execute("SET TimeZone = 'UTC'")
        described = connection.execute(f"DESCRIBE SELECT * FROM read_parquet({quoted(str(path))})").fetchall()
        kinds = {row[0] for row in described}
        covered = [[name, column.type] for name, column in contract.columns.items() if name in kinds]
        if contract.time is None or contract.time not in kinds:
            return {}, record.value_sha256(covered)
        values = ", ".join(as_text(name, kind) for name, kind in covered)
        found = connection.execute(
            f"SELECT try_cast({identifier(contract.time)} AS TIMESTAMP)::DATE::VARCHAR AS day, count(*),"
            f" sum(md5_number_lower(concat_ws(chr(31), {values}))::HUGEINT)"
            f" FROM read_parquet({quoted(str(path))}) GROUP BY day ORDER BY day NULLS LAST"
        ).fetchall()
    days = {day or NO_DAY: f"{rows} {int(total) % 2**64:016x}" for day, rows, total in found}
    return days, record.value_sha256(covered)


def main() -> None:
    """Read `params.yaml` and `schema.yaml`, write the snapshot and `reports/ingest.json`."""
    params, contract = config.load().ingest, schema.load()
    rows = snapshot(params, contract, OUT)
    days, covered = fingerprints(OUT, contract)
    record.write_json(
        REPORT,
        {"source": params.source, "start": str(params.start), "end": str(params.end), "rows": rows,
         "covered": covered, "days": days},
    )  # fmt: skip
