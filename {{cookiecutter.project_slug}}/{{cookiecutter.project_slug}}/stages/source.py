"""What `ingest.source` names, as a table that DuckDB reads: files here or on S3, or what a database answers.

No extension of DuckDB is fetched: S3 is read through fsspec, databases through SQLAlchemy. Credentials come from the
environment (AWS_*, PGPASSWORD, ~/.pgpass), since `params.yaml` is in git.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from .. import config
from ..errors import InputError
from .database import PATIENCE, address, download, is_database

if TYPE_CHECKING:
    import duckdb

#: What reads a file, by its ending; .gz and .zst may follow the endings of text.
FORMATS = {".parquet": "parquet", ".csv": "csv", ".jsonl": "json", ".ndjson": "json", ".json": "json"}
PACKED = (".gz", ".zst")
#: An object a line.
LINES = "format = 'newline_delimited', records = true"
#: What DuckDB may hold in memory; sorting more than that goes to disk.
MEMORY = "1GB"


@contextmanager
def engine(folder: Path, **settings: Any) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """DuckDB within MEMORY that fetches nothing, and a folder below `folder` for what spills; gone afterwards."""
    import duckdb

    with tempfile.TemporaryDirectory(prefix=".spill.", dir=folder) as spill:
        fixed = {"autoinstall_known_extensions": "false", "memory_limit": MEMORY, "temp_directory": spill}
        connection = duckdb.connect(config={**fixed, **settings})
        try:
            yield connection, Path(spill)
        finally:
            connection.close()


@contextmanager
def one_line(source: str) -> Iterator[None]:
    """Turn whatever reading `source` raises into one line."""
    import duckdb

    failures: tuple[type[Exception], ...] = (duckdb.Error, OSError)
    if is_database(source):
        from sqlalchemy.exc import SQLAlchemyError

        failures += (SQLAlchemyError,)
    elif source.startswith("s3://"):
        from botocore.exceptions import BotoCoreError

        failures += (BotoCoreError,)
    try:
        yield
    except failures as error:
        said = str(getattr(error, "orig", None) or error).strip() or type(error).__name__
        raise InputError(f"{source} cannot be read: {said.splitlines()[0]}") from error


def quoted(text: str) -> str:
    """`text` as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def table(params: config.Ingest, connection: duckdb.DuckDBPyConnection, folder: Path) -> str:
    """The DuckDB table function that reads the source; a database's answer lies below `folder` then.

    Raises InputError. Parquet as typed, all else as text: `schema.yaml` gives the types.
    """
    if is_database(params.source):
        if not params.query:
            raise InputError("ingest.query: a database needs one, as SELECT id, time FROM rows; add it to params.yaml")
        url, answer = address(params.source), folder / "answer.parquet"
        with one_line(params.source):
            download(params, url, answer)
        return f"read_parquet({quoted(str(answer))})"
    if params.query is not None:
        raise InputError(f"ingest.query is for databases, and {params.source} is none: set it to null")
    remote = params.source.startswith("s3://")
    with one_line(params.source):
        names = remote_files(params.source, connection) if remote else source_files(params.source)
        return reader(names, connection)


def source_files(source: str, root: Path = Path()) -> list[str]:
    """The files that a path or glob names, sorted. Raises InputError for none, or an empty or truncated one."""
    pattern = Path(source)
    if pattern.is_absolute():
        root, pattern = Path(pattern.anchor), pattern.relative_to(pattern.anchor)
    sizes = {str(path): path.stat().st_size for path in root.glob(str(pattern)) if path.is_file()}
    return readable(source, sizes)


def remote_files(source: str, connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The objects that an s3:// path or glob names, sorted; DuckDB reads them through fsspec from here on.

    Region, credentials and endpoint are those of the AWS_* variables or of ~/.aws. Raises InputError.
    """
    import fsspec

    patience = {"connect_timeout": PATIENCE, "read_timeout": 6 * PATIENCE, "retries": {"max_attempts": 2}}
    files = fsspec.filesystem("s3", default_block_size=2**23, use_listings_cache=False, config_kwargs=patience)
    connection.register_filesystem(files)
    found = files.glob(source, detail=True)
    sizes = {f"s3://{name}": int(entry["size"]) for name, entry in found.items() if entry["type"] == "file"}
    return readable(source, sizes)


def readable(source: str, sizes: dict[str, int]) -> list[str]:
    """The names in `sizes` (bytes by name), sorted. Raises InputError for none and for an empty file."""
    if not sizes:
        raise InputError(f"ingest.source: no file matches {source}; mend it in params.yaml")
    for name, size in sorted(sizes.items()):
        if size == 0:
            raise InputError(f"{name} is empty: give a file with rows, or leave it out of ingest.source")
    return sorted(sizes)


def reader(names: list[str], connection: duckdb.DuckDBPyConnection) -> str:
    """The DuckDB table function that reads `names`, files of one kind. Raises InputError."""
    endings = {name: PurePosixPath(name).suffixes for name in names}
    packed = {name for name, found in endings.items() if found and found[-1] in PACKED}
    kinds = {"".join(found[-2:] if name in packed else found[-1:]) for name, found in endings.items()}
    formats = {FORMATS.get(kind.removesuffix(".gz").removesuffix(".zst"), "") for kind in kinds}
    if len(formats) != 1 or "" in formats or (packed and formats == {"parquet"}):
        given = ", ".join(sorted(kinds))
        known = ".parquet, .csv or .jsonl (also .csv.gz, .jsonl.zst)"
        raise InputError(f"ingest.source: cannot read {given}; give {known}, one kind")
    for name in packed:
        if name.endswith(".zst"):
            require_whole(name)
    listed, kind = "[" + ", ".join(quoted(name) for name in names) + "]", formats.pop()
    if kind == "csv":
        return f"read_csv({listed}, union_by_name = true, header = true, sample_size = -1, all_varchar = true)"
    if kind == "parquet":
        return f"read_parquet({listed}, union_by_name = true)"
    found: dict[str, None] = {}
    for name in names:  # one by one: together DuckDB would hold a buffer of 32 MB for each
        with one_line(name):
            described = connection.execute(
                f"DESCRIBE SELECT * FROM read_json({quoted(name)}, {LINES}, sample_size = -1)"
            )
            found |= dict.fromkeys(row[0] for row in described.fetchall())
    columns = ", ".join(f"{quoted(name)}: 'VARCHAR'" for name in found)
    return f"read_json({listed}, {LINES}, columns = {{{columns}}})"


def require_whole(name: str) -> None:
    """Raise InputError for a cut .zst file: DuckDB would take what is there for all of it."""
    import fsspec
    import pyarrow as pa

    try:
        with fsspec.open(name) as packed, pa.CompressedInputStream(packed, "zstd") as stream:
            while stream.read(2**20):
                pass
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error}") from error
