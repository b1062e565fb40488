"""What stages write down: JSON, Parquet and content hashes, the same bytes for the same content.

Every write goes to a temporary file beside the target and is renamed onto it, so that a reader (or a kill)
sees the old content or the new, never half of it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InputError, StoreError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

#: Rows read at once, and rows of a row group: what a stage holds in memory does not grow with the table.
CHUNK = 250_000
ROW_GROUP = 100_000


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path next to `path` for a file or folder, renamed onto `path` at the end, and removed if that is not reached.

    Raises StoreError when the folder cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        os.replace(partial, path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StoreError(f"cannot write {path}: {reason}; check the folder and the disk") from error
    finally:
        try:
            shutil.rmtree(partial) if partial.is_dir() else partial.unlink(missing_ok=True)
        except OSError:
            pass  # the folder itself cannot be entered: the error above already says so


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file next to `path`, then rename it onto `path`. Raises StoreError."""
    with replacing(path) as partial:
        write(partial)


def rounded(value: Any) -> Any:
    """`value` with every float cut to six significant digits and non-finite numbers as None."""
    if isinstance(value, dict):
        return {str(key): rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    if hasattr(value, "item"):  # NumPy scalars
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8, its lines ended as they are. Raises StoreError."""
    write_atomically(path, lambda partial: partial.write_text(text, encoding="utf-8", newline="\n"))


def write_json(path: Path, data: dict[str, Any], indent: int | None = 2) -> None:
    """Write `data` as JSON, indented unless it is for no reader, floats to six significant digits."""
    write_text(path, json.dumps(rounded(data), indent=indent, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; InputError when it is missing or not one."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} is missing: run `dvc repro`") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not readable JSON ({error}): run `dvc repro`") from error
    if not isinstance(data, dict):
        raise InputError(f"{path} does not hold a JSON object: run `dvc repro`")
    return data


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Write `frame` without its index; a given frame always gives the same bytes."""
    write_atomically(path, lambda partial: frame.to_parquet(partial, index=False, compression="zstd"))


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what reading the table at `path` raises into an InputError."""
    if not path.is_file():
        raise InputError(f"{path} is missing: run `dvc repro`")
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} is not a readable Parquet table: run `dvc repro`") from error


def read_parquet(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Read a table that an earlier stage wrote; InputError when it is missing or damaged."""
    import pandas as pd

    with readable(path):
        return pd.read_parquet(path, columns=columns)


def columns(path: Path) -> list[str]:
    """Names of the columns of the table at `path`. Raises InputError when it is missing or damaged."""
    from pyarrow import parquet

    with readable(path):
        return list(parquet.read_schema(path).names)


def chunks(path: Path, columns: list[str] | None = None, rows: int | None = None) -> Iterator[pd.DataFrame]:
    """The table at `path` in pieces of at most `rows` (CHUNK) rows, in order, its index going on from piece to piece.

    A column of integers stays one where a piece has a null (pandas' Int64), so that no piece's values depend on another
    row. Raises InputError when the file is missing or damaged.
    """
    import pandas as pd
    import pyarrow as pa
    from pyarrow import parquet

    nullable = {pa.type_for_alias(f"int{bits}"): getattr(pd, f"Int{bits}Dtype")() for bits in (8, 16, 32, 64)}
    first = 0
    with readable(path), parquet.ParquetFile(path) as table:
        for batch in table.iter_batches(batch_size=rows or CHUNK, columns=columns):
            kinds = {batch.schema.field(i).type for i in range(batch.num_columns) if batch.column(i).null_count}
            frame = batch.to_pandas(types_mapper={k: v for k, v in nullable.items() if k in kinds}.get)
            yield frame.set_axis(pd.RangeIndex(first, first + len(frame)))
            first += len(frame)


@contextmanager
def parquet_writer(path: Path, kinds: pa.Schema) -> Iterator[Callable[[pd.DataFrame], None]]:
    """A function that appends rows to the table at `path`, which is there, whole, at the end only.

    Row groups have ROW_GROUP rows however the rows come, so that equal rows give equal bytes. Raises StoreError.
    """
    import pyarrow as pa
    from pyarrow import parquet

    waiting: list[pa.Table] = []

    with replacing(path) as partial, parquet.ParquetWriter(partial, kinds, compression="zstd") as writer:

        def append(frame: pd.DataFrame) -> None:
            waiting.append(pa.Table.from_pandas(frame, schema=kinds, preserve_index=False))
            held = pa.concat_tables(waiting).combine_chunks()
            full = held.num_rows - held.num_rows % ROW_GROUP
            if full:
                writer.write_table(held.slice(0, full), row_group_size=ROW_GROUP)
            waiting[:] = [held.slice(full)]

        yield append
        for rest in waiting:
            if rest.num_rows:
                writer.write_table(rest.combine_chunks())


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        raise InputError(f"{path} is missing: run `dvc repro`") from None


def tree_sha256(files: Iterable[Path], root: Path) -> str:
    """SHA-256 over names (relative to `root`) and contents of `files`, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path.relative_to(root).as_posix()}\0{file_sha256(path)}\n".encode())
    return digest.hexdigest()


def value_sha256(value: Any) -> str:
    """SHA-256 of a JSON-like value, independent of the order of its keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
