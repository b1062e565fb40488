"""Score files of any size: `python -m <package> batch IN OUT`, with the numbers that the server would give.

IN is read in chunks, each of which becomes a part of OUT under a temporary name that is then renamed; `manifest.json`
is written after it and says which parts there are. So a kill leaves whole parts only, and the same command goes on
after the last one. While a chunk is scored the next one is read and the last one written.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import record, schema
from ..errors import InputError
from ..stages import cast
from . import tables
from .version import Version

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

MANIFEST = "manifest.json"


class Piece(NamedTuple):
    """A chunk that was read: its file, columns of the contract as declared (index: position in the file), and of each
    row why it cannot be scored, or None.
    """

    path: Path
    typed: pd.DataFrame
    why: np.ndarray


def pieces(files: list[Path], contract: schema.Schema, names: list[str], done: int) -> Iterator[Piece]:
    """The chunks of all files, in order, after the first `done`."""
    found = ((path, raw) for path in files for raw in tables.raw_chunks(path, names))
    for path, raw in itertools.islice(found, done, None):
        yield Piece(path, *tables.checked(raw, contract, names))


def score(version: Version, piece: Piece) -> np.ndarray:
    """What the version says of the good rows, in their order; a row without a finite answer becomes a bad one."""
    import pandas as pd

    contract, good = version.contract, pd.isna(piece.why)
    rows = piece.typed[contract.inputs] if good.all() else piece.typed.loc[good, contract.inputs]
    whole = [name for name in contract.features("int", "bool") if not contract.columns[name].nullable]
    rows = rows.astype({name: tables.KINDS[contract.columns[name].type] for name in whole})
    found = version.score(rows) if len(rows) else np.empty((0, len(contract.scores("predicted"))))
    finite = np.isfinite(found.reshape(-1, len(contract.scores("predicted")))).all(axis=1)
    piece.why[np.flatnonzero(good)[~finite]] = "gives no finite score"
    return found[finite]


def answers(version: Version, piece: Piece, found: np.ndarray, keyed: bool) -> pa.Table:
    """A part: what names each row, `predicted`, `decision` and `broken`; `found` are the answers to its good rows."""
    import pandas as pd
    import pyarrow as pa

    contract, bad = version.contract, pd.notna(piece.why)
    if keyed:
        kinds = cast.arrow(contract, contract.key)
        table = pa.Table.from_pandas(piece.typed[contract.key], schema=kinds, preserve_index=False)
    else:
        table = pa.table({"file": [str(piece.path)] * len(bad), "row": piece.typed.index.to_numpy()})
    places = np.where(bad, 0, np.cumsum(~bad) - 1)  # of each row's answer among those of the good ones

    def spread(values: Any) -> pa.Array:
        """Values of the good rows for all, null for the bad ones."""
        return pa.array(values).take(pa.array(places, mask=bad))

    names = contract.scores("predicted")
    for name, values in zip(names, found.reshape(-1, len(names)).T, strict=True):
        table = table.append_column(name, spread(values))
    chosen = version.chosen(found)
    if chosen is not None:
        table = table.append_column("decision", pa.array(contract.classes).take(spread(chosen)))
    return table.append_column("broken", pa.array(piece.why, pa.large_string()))


def job(version: Version, files: list[Path]) -> dict[str, Any]:
    """What a manifest must agree with for its parts to count."""
    listed = [{"name": str(path), "size": path.stat().st_size, "mtime": path.stat().st_mtime_ns} for path in files]
    contract = record.value_sha256(version.contract.model_dump(mode="json"))
    return {"model": version.digest, "contract": contract, "threshold": record.rounded(version.threshold),
            "rows_of_a_part": tables.CHUNK, "inputs": listed}  # fmt: skip


def manifest(out: Path, wanted: dict[str, Any]) -> dict[str, Any]:
    """What was done of this job in `out`. Raises InputError when `out` holds anything else."""
    if not (out / MANIFEST).is_file():
        if out.is_file() or [path for path in out.glob("*") if not path.name.endswith(".partial")]:
            raise InputError(f"{out} is there and holds no {MANIFEST}: give another OUT")
        return {**wanted, "parts": [], "finished": False}
    found = record.read_json(out / MANIFEST)
    changed = [name for name in wanted if found.get(name) != wanted[name]]
    if changed:
        raise InputError(f"{out} was begun with another {changed[0]}: give another OUT or delete this one")
    return found


def run(version: Version, source: str, out: Path, advance: Callable[[int], object]) -> dict[str, Any]:
    """Score what is left to do and return the manifest; `advance` is told of rows. Raises InputError, StoreError."""
    from pyarrow import parquet

    files, contract = tables.inputs(source, out), version.contract
    held = {path: tables.columns(path) for path in files}
    for path, found in held.items():
        missing = [name for name in contract.inputs if name not in found]
        if missing:
            raise InputError(f"{path} has no column {missing[0]}, which the model reads: add it")
    keyed = bool(contract.key) and all(set(contract.key) <= set(found) for found in held.values())
    done = manifest(out, job(version, files))
    advance(sum(part["rows"] for part in done["parts"]))

    def finish(piece: Piece, found: np.ndarray) -> None:
        path, table = out / f"part-{len(done['parts']):05d}.parquet", answers(version, piece, found, keyed)
        record.write_atomically(path, lambda partial: parquet.write_table(table, partial, compression="zstd"))
        broken = table.num_rows - table["broken"].null_count
        done["parts"].append({"name": path.name, "rows": table.num_rows, "broken": broken})
        record.write_json(out / MANIFEST, done)
        advance(table.num_rows)

    if not done["finished"]:
        for left in out.glob(".*.partial"):  # by a kill
            left.unlink()
        record.write_json(out / MANIFEST, done)
        names = [*(contract.key if keyed else []), *contract.inputs]
        overlapped(pieces(files, contract, names, len(done["parts"])), lambda piece: score(version, piece), finish)
        done["finished"] = True
        record.write_json(out / MANIFEST, done)
    return done


def overlapped(found: Iterator[Piece], score: Callable[[Piece], np.ndarray],
               finish: Callable[[Piece, np.ndarray], None]) -> None:  # fmt: skip
    """Score each piece while the next is read and the last finished; three are in memory at most."""
    with ThreadPoolExecutor(1) as reading, ThreadPoolExecutor(1) as writing:
        last: Future[None] = writing.submit(lambda: None)
        ahead: Future[Piece | None] = reading.submit(next, found, None)
        while (piece := ahead.result()) is not None:
            ahead = reading.submit(next, found, None)
            scores = score(piece)
            last.result()
            last = writing.submit(finish, piece, scores)
        last.result()


def main(source: str, out: Path, version: Version) -> int:
    """Score with a progress bar, where someone looks on, and say what was done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    with Progress("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console,
                  disable=not console.is_terminal) as progress:  # fmt: skip
        task = progress.add_task("rows", total=tables.total(tables.inputs(source, out)))
        before = (out / MANIFEST).is_file() and record.read_json(out / MANIFEST)["finished"]
        done = run(version, source, out, lambda rows: progress.advance(task, rows))
    rows, broken = (sum(part[name] for part in done["parts"]) for name in ("rows", "broken"))
    said = "was finished before" if before else f"holds the predictions of {version.digest[:12]}"
    print(f"{out} {said}: {rows} rows, {broken} of them broken")
    return 0
