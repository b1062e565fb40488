"""Files to score, in pieces, as tables held against the contract: each row is as declared, or it is said why not.

A value means what it means to `ingest` and `validate`, whose libraries are not installed where a model only answers:
text is read as text, and `cast` gives the types.
"""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import record, schema
from ..errors import InputError
from ..stages import cast

if TYPE_CHECKING:
    import pandas as pd

#: Rows of a piece.
CHUNK = 100_000
#: The dtypes of a table that need no cast; an integer or boolean that may be null is a float64.
KINDS = {"category": "str", "datetime": "datetime64[us]", "float": "float64", "int": "int64", "bool": "bool"}


def kind(path: Path) -> str:
    """How a file is written: parquet, csv or jsonl; empty for any other."""
    name = path.name.removesuffix(".gz")
    found = name.rpartition(".")[2]
    return found if found in ("csv", "jsonl") or path.suffix == ".parquet" else ""


def inputs(source: str, out: Path) -> list[Path]:
    """The files that a file's name, a folder or a glob means, sorted; none below `out`. Raises InputError."""
    given = Path(source)
    if given.is_dir():
        found = [path for path in given.rglob("[!.]*") if kind(path)]
    elif given.is_file():
        found = [given]
    else:
        pattern = str(given.relative_to(given.anchor))
        found = [path for path in Path(given.anchor).glob(pattern) if path.name[0] != "."]
    found = sorted(path for path in found if path.is_file() and out.resolve() not in path.resolve().parents)
    if not found:
        raise InputError(f"no file matches {source}: give a file, a folder or a glob of .parquet, .csv or .jsonl")
    unknown = [path for path in found if not kind(path)]
    if unknown:
        raise InputError(f"cannot read {unknown[0]}: give .parquet, .csv or .jsonl (the latter also as .gz)")
    return found


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what reading a file raises into an InputError."""
    try:
        yield
    except (OSError, EOFError, ValueError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path} cannot be read: {said}; mend or remove it") from error


def columns(path: Path) -> list[str]:
    """The columns that a file has; of JSON lines those of its first chunk. Raises InputError."""
    if kind(path) == "parquet":
        with readable(path):
            from pyarrow import parquet

            return list(parquet.read_schema(path).names)
    first = next(raw_chunks(path, None), None)
    return [] if first is None else list(map(str, first))


def raw_chunks(path: Path, names: list[str] | None) -> Iterator[pd.DataFrame]:
    """A file in pieces of CHUNK rows, its index going on: of Parquet as typed, of text as text, as `ingest` reads them.

    Columns `names`, or all; one that a chunk of JSON lines lacks is null. Raises InputError.
    """
    import pandas as pd

    if kind(path) == "parquet":
        yield from record.chunks(path, names, CHUNK)
        return
    with readable(path), (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as stream:
        if kind(path) == "csv":
            header = stream.readline()
            comma = max(",;\t|", key=header.count)
            stream.seek(0)
            # All columns, no index_col: with either, pandas shifts or cuts rows that are longer than the header.
            found = pd.read_csv(stream, sep=comma, dtype="str", chunksize=CHUNK, keep_default_na=False, na_values=[""])
            for frame in found:
                if not isinstance(frame.index, pd.RangeIndex):
                    raise ValueError("its rows have more values than its header has names")
                yield frame if names is None else frame[names]
            return
        first = 0
        lines = (line for line in stream if line.strip())
        while rows := [as_text(json.loads(line, parse_float=str)) for line in itertools.islice(lines, CHUNK)]:
            frame = pd.DataFrame(rows, index=pd.RangeIndex(first, first + len(rows)), columns=names, dtype="str")
            first += len(rows)
            yield frame


def as_text(row: Any) -> dict[str, str | None]:
    """A JSON object with its values as text. Raises ValueError for anything else."""
    if not isinstance(row, dict):
        raise ValueError("a line is no JSON object")
    return {key: value if isinstance(value, str) or value is None else json.dumps(value) for key, value in row.items()}


def total(files: list[Path]) -> int | None:
    """Rows of all files, where each says so."""
    from pyarrow import parquet

    if {kind(path) for path in files} != {"parquet"}:
        return None
    counts = []
    for path in files:
        with readable(path):
            counts.append(int(parquet.read_metadata(path).num_rows))
    return sum(counts)


def checked(raw: pd.DataFrame, contract: schema.Schema, names: list[str]) -> tuple[pd.DataFrame, np.ndarray]:
    """Columns `names` of a chunk as declared, and why each row breaks the contract, in the words of the quarantine.

    A column that has the declared type already is not cast.
    """
    import pandas as pd

    why = np.full(len(raw), None, dtype=object)
    typed = {}
    for name in sorted(names):
        column, given = contract.columns[name], raw[name]
        whole = column.type in ("int", "bool") and column.nullable
        plain = not whole and given.dtype == KINDS[column.type]
        values = given if plain else cast.cast(given, column)
        if plain and column.type == "float":
            values = values.where(np.isfinite(values))
        null = values.isna().to_numpy()
        lost = null & given.notna().to_numpy()
        rules = {f"not of type {column.type}": lost, "null": null & ~lost & (not column.nullable)}
        if column.values is not None:
            rules = {"not an admitted value": ~null & ~values.isin(column.values).to_numpy(), **rules}
        if column.min is not None:
            rules = {f"below {column.min:g}": (values < column.min).fillna(False).to_numpy(bool), **rules}
        if column.max is not None:
            rules = {f"above {column.max:g}": (values > column.max).fillna(False).to_numpy(bool), **rules}
        for rule, broken in rules.items():
            for i in np.flatnonzero(broken):
                why[i] = f"{why[i]}; {name}: {rule}" if why[i] else f"{name}: {rule}"
        typed[name] = values
    return pd.DataFrame(typed, index=raw.index)[names], why
