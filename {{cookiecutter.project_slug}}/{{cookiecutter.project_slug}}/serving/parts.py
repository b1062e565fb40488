"""The files of the prediction log: how they are named, read, merged, deleted from and removed.

A server writes `<folder>/<day>/<hour>/<server>-<digest>-<n>-<n>.parquet` (UTC; `<server>` is new at each start, `<n>`
counts up) under a temporary name, so that a reader sees whole files only. When an hour is over its files become one
per server and model, `<server>-<digest>-<first>-<last>.parquet`, which stands for all files of that server and model in
its folder whose numbers lie within its own: from the moment it has its name readers pass those over, deleted or not,
so that no kill lets a row be read twice or missed. They go a while later, for readers that have listed them already.
Whoever merges, deletes or forgets holds a lock in the folder. Who adds a file needs none: its number is above all that
was merged.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import logging
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .. import record
from ..errors import InputError, StoreError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from pyarrow import parquet

ID, TIME, DIGEST, PREDICTED = "prediction.id", "prediction.time", "prediction.digest", "predicted"
HOUR = dt.timedelta(hours=1)
#: Seconds that a merged file's parts stay for those who read them, that an abandoned temporary file is left alone, and
#: that `forget` waits for a merge.
GRACE, ABANDONED, WAIT = 600, 60, 600
#: Seconds that a server may take to write what it holds.
SPARE = 1.0
#: Names of whole files; temporary ones begin with a dot.
FILES = f"[!.]*-{'[0-9]' * 8}-{'[0-9]' * 8}.parquet"
log = logging.getLogger(__name__)


def named(folder: Path, hour: dt.datetime, series: str, first: int, last: int | None = None) -> Path:
    """The file of a series (a server and a model) that stands for numbers `first` to `last`, or for `first` alone."""
    name = f"{series}-{first:08d}-{first if last is None else last:08d}.parquet"
    return folder / hour.strftime("%Y-%m-%d") / hour.strftime("%H") / name


def span(path: Path) -> tuple[str, int, int]:
    """The series of a file, and the first and last number that it stands for."""
    series, first, last = path.stem.rsplit("-", 2)
    return series, int(first), int(last)


def write(rows: pa.Table, path: Path) -> None:
    """Write a part. Raises StoreError."""
    from pyarrow import parquet

    record.write_atomically(path, lambda partial: parquet.write_table(rows, partial, compression="zstd"))


def hours(folder: Path) -> list[tuple[dt.datetime, Path]]:
    """The hours that have a folder, oldest first."""
    found = []
    for path in folder.glob("????-??-??/??"):
        with contextlib.suppress(ValueError):  # someone else's
            moment = dt.datetime.strptime(f"{path.parent.name} {path.name}", "%Y-%m-%d %H")
            found.append((moment.replace(tzinfo=dt.UTC), path))
    return sorted(found)


def listed(hour: Path) -> tuple[list[Path], dict[Path, Path]]:
    """An hour's files that hold its rows, in order, and those that another one replaces, with that one."""
    spans = {path: span(path) for path in hour.glob(FILES)}
    current: list[Path] = []
    replaced: dict[Path, Path] = {}
    for path in sorted(spans, key=lambda path: (*spans[path][:2], -spans[path][2])):
        series, _, last = spans[path]
        if current and spans[current[-1]][0] == series and last <= spans[current[-1]][2]:
            replaced[path] = current[-1]
        else:
            current.append(path)
    return current, replaced


@contextlib.contextmanager
def opened(path: Path) -> Iterator[parquet.ParquetFile]:
    """A file of the log, read in pieces. Raises InputError when it is gone by now, or damaged."""
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            yield file
    except FileNotFoundError:
        raise InputError(f"{path} was deleted while the prediction log was read: read it again") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no readable part (after a power cut?): restore or delete it") from error


def read(folder: Path, start: dt.datetime, end: dt.datetime, columns: Collection[str] | None = None, by: str = TIME
         ) -> Iterator[pd.DataFrame]:  # fmt: skip
    """The predictions with start <= time < end, hour by hour, in pieces; `by` says which column is the time.

    For `prediction.time` bounds are UTC where no zone is given; of another column, which has no zone, every hour is
    looked at. Of the columns all, or the time and those of `columns`, that a file has: files of older schemas have
    others, and those without the time are passed over. Raises InputError when a file is damaged, or was deleted after a
    merge because reading its hour took longer than GRACE.
    """
    import pyarrow.compute as pc

    if by == TIME:
        start, end = (bound if bound.tzinfo else bound.replace(tzinfo=dt.UTC) for bound in (start, end))
    for moment, hour in hours(folder):
        for path in listed(hour)[0] if by != TIME or start - HOUR < moment < end else []:
            with opened(path) as file:
                names = [name for name in file.schema_arrow.names if columns is None or name in {*columns, by}]
                for batch in file.iter_batches(batch_size=record.CHUNK, columns=names) if by in names else ():
                    times = batch.column(by)
                    kept = batch.filter(pc.and_(pc.greater_equal(times, start), pc.less(times, end)))
                    if kept.num_rows:
                        yield kept.to_pandas()


@contextlib.contextmanager
def exclusive(folder: Path, wait: float) -> Iterator[None]:
    """The folder's files for one that changes them; StoreError after `wait` seconds."""
    from filelock import FileLock, Timeout

    try:
        lock = FileLock(folder / ".lock").acquire(timeout=wait)
    except Timeout:
        raise StoreError(f"{folder} is being merged or deleted from: wait for it to end") from None
    except OSError as error:
        raise StoreError(f"cannot write {folder}: {error.strerror}; check the folder") from error
    with lock:
        yield


def rewrite(sources: list[Path], target: Path, ids: Collection[str] = (), stopped: Callable[[], bool] = bool) -> None:
    """Write the rows of `sources`, in order, but for those of `ids`, to `target`, which may be one of them.

    Raises StoreError, and changes nothing, when `stopped` says so or the disk does; InputError for a damaged source.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import parquet

    def schema_of(path: Path) -> pa.Schema:
        with opened(path) as file:
            return file.schema_arrow

    kinds = pa.unify_schemas([schema_of(path) for path in sources], promote_options="permissive")
    waiting = [kinds.empty_table()]
    with record.replacing(target) as partial, parquet.ParquetWriter(partial, kinds, compression="zstd") as writer:

        def flush() -> None:
            writer.write_table(pa.concat_tables(waiting, promote_options="permissive").combine_chunks())
            waiting[:] = [kinds.empty_table()]

        for source in sources:
            if stopped():
                raise StoreError(f"{target} is left for another time")
            with opened(source) as file:
                for batch in file.iter_batches(batch_size=record.ROW_GROUP):
                    gone = pc.is_in(batch.column(ID), pa.array(ids, pa.large_string()))
                    waiting.append(pa.Table.from_batches([batch.filter(pc.invert(gone))]))
                    if sum(rows.num_rows for rows in waiting) >= record.ROW_GROUP:
                        flush()
        flush()


def merge(hour: Path, stopped: Callable[[], bool]) -> None:
    """Give each series of a finished hour one file. Raises StoreError or InputError.

    The folder is listed twice: a server that is late may add two files while it is listed once, of which only the
    second is seen. All below a number that was seen the first time are there the second time.
    """
    newest: dict[str, int] = {}
    for series, _, last in map(span, hour.glob(FILES)):
        newest[series] = max(last, newest.get(series, 0))
    for series, files in itertools.groupby(listed(hour)[0], key=lambda path: span(path)[0]):
        found = [path for path in files if span(path)[2] <= newest.get(series, 0)]
        if len(found) > 1:
            name = f"{series}-{span(found[0])[1]:08d}-{span(found[-1])[2]:08d}.parquet"
            rewrite(found, hour / name, stopped=stopped)


def clear(hour: Path) -> None:
    """Delete what a merged file replaced a while ago, and temporary files that a killed process left."""
    now = time.time()
    gone = [path for path, by in listed(hour)[1].items() if now - by.stat().st_mtime > GRACE]
    for path in gone + [path for path in hour.glob(".*.partial") if now - path.stat().st_mtime > ABANDONED]:
        path.unlink(missing_ok=True)


def tidy(folder: Path, keep_days: int, now: dt.datetime, stopped: Callable[[], bool] = bool) -> None:
    """Merge finished hours and remove days older than `keep_days`. Raises StoreError when another process is at it."""
    found = hours(folder)
    with exclusive(folder, 0) if found else contextlib.nullcontext():
        for moment, hour in found:
            if moment.date() < now.date() - dt.timedelta(days=keep_days):
                shutil.rmtree(hour)
                with contextlib.suppress(OSError):  # it has other hours
                    hour.parent.rmdir()
            elif moment + HOUR <= now and not stopped():
                try:
                    clear(hour)
                    merge(hour, stopped)
                except (InputError, OSError, TypeError, ValueError) as error:  # the other hours need not wait for it
                    log.warning("%s is not merged: %s", hour, error)


def forget(folder: Path, ids: Collection[str], seconds: float) -> int:
    """Delete the predictions of these ids, also while servers run; how many there were.

    First it waits for rows that a server still holds, which are written within `seconds` unless its disk is full: then
    call it again later. Each file is replaced as a whole; after a kill call it again. Raises InputError.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    found, wanted = 0, pa.array(ids, pa.large_string())
    time.sleep(seconds + SPARE)
    here = hours(folder)
    with exclusive(folder, WAIT) if here else contextlib.nullcontext():
        for _, hour in here:
            clear(hour)
            current, replaced = listed(hour)
            for path in [*current, *replaced]:
                with opened(path) as file:
                    columns = (batch.column(0) for batch in file.iter_batches(columns=[ID]))
                    rows = sum(pc.sum(pc.is_in(column, wanted)).as_py() or 0 for column in columns)
                if rows:
                    rewrite([path], path, ids)
                    found += rows if path in current else 0
    return found
