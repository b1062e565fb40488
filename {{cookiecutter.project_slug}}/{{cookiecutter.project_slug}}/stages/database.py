"""A database's answer to `ingest.query`, streamed: no driver but SQLAlchemy's, no value but as text."""

from __future__ import annotations

import datetime as dt
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import config
from ..errors import InputError

if TYPE_CHECKING:
    from sqlalchemy import URL

#: Rows in memory at once.
CHUNK = 20_000
#: Seconds until a server counts as unreachable.
PATIENCE = 10


def is_database(source: str) -> bool:
    """Whether rows come from a query: any URL but S3's."""
    return "://" in source and not source.startswith("s3://")


def address(source: str) -> URL:
    """The database's address. Raises InputError for one with a password, or of a database that nothing here speaks to.

    A bare postgresql:// is spoken by psycopg 3.
    """
    import sqlalchemy

    try:
        url = sqlalchemy.make_url(source)
        if url.password is not None or "password" in url.query:
            raise InputError(
                "ingest.source holds a password, and params.yaml is in git: put it in PGPASSWORD or ~/.pgpass"
            )
        if url.drivername in ("postgres", "postgresql"):
            url = url.set(drivername="postgresql+psycopg")
        url.get_dialect()
    except (sqlalchemy.exc.ArgumentError, ValueError) as error:
        kind = source.partition("://")[0]
        raise InputError(f"ingest.source: {kind}:// is neither S3 nor a database known here: mend it") from error
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        raise InputError(f"ingest.source: there is no database {url.database}; mend it in params.yaml")
    return url


def bounds(params: config.Ingest, names: set[str], as_words: bool) -> dict[str, Any]:
    """The window's bounds that a query asks for by name. Raises InputError for another name, and for an open bound.

    As words where the database keeps times as text: a day alone sorts before each time of that day.
    """
    known: dict[str, dt.datetime | None] = {"start": params.start, "end": params.end}
    if names - set(known):
        asked = ", ".join(f":{name}" for name in sorted(names - set(known)))
        raise InputError(f"ingest.query asks for {asked}: only :start and :end are known (a plain colon is \\:)")
    for name in sorted(names):
        if known[name] is None:
            raise InputError(f"ingest.query asks for :{name}, and ingest.{name} is null: set it")
    if as_words:
        return {name: str(known[name]).removesuffix(" 00:00:00") for name in names}
    return {name: known[name] for name in names}


def download(params: config.Ingest, url: URL, out: Path) -> None:
    """Stream the rows of `ingest.query` into `out`, every value as text. Raises InputError and SQLAlchemy's errors."""
    import pyarrow as pa
    import sqlalchemy
    from pyarrow import parquet

    os.environ.setdefault("PGCONNECT_TIMEOUT", str(PATIENCE))
    query = sqlalchemy.text(str(params.query))
    given = bounds(params, set(query.compile().params), url.get_backend_name() == "sqlite")
    database = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with database.connect().execution_options(stream_results=True, max_row_buffer=CHUNK) as connection:
        result = connection.execute(query, given)
        names = list(result.keys())
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"ingest.query gives the column {', '.join(twice)} twice: rename one with AS")
        kinds = pa.schema([(name, pa.string()) for name in names])
        with parquet.ParquetWriter(out, kinds) as writer:
            for rows in result.partitions(CHUNK):
                columns = ([as_text(value) for value in column] for column in zip(*rows, strict=True))
                writer.write_table(pa.Table.from_arrays([pa.array(c, pa.string()) for c in columns], schema=kinds))


def as_text(value: Any) -> str | None:
    """A database's value as text: times by ISO 8601 (with a zone: in UTC), decimals exact, null and NaN as None."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dt.datetime):
        return (value.astimezone(dt.UTC) if value.tzinfo else value).isoformat(" ")
    if isinstance(value, (float, Decimal)) and value != value:
        return None
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    if isinstance(value, (bytes, memoryview)):
        return bytes(value).hex()
    return str(value)
