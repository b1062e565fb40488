"""The prediction log as a server keeps it: each answered row, written by a thread a moment after its answer.

Nothing here delays or fails an answer. While the folder cannot be written rows wait, up to a bound; further ones are
dropped and counted. A killed server loses at most its last `serve.log.seconds`; nothing is synced to the disk, so a
power cut may cost more. How the files are named, read and deleted from is in `parts`.
"""

from __future__ import annotations

import datetime as dt
import hmac
import itertools
import logging
import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import config, schema
from ..errors import InputError
from ..stages import cast
from . import parts
from .parts import DIGEST, ID, PREDICTED, TIME

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

#: What may wait for the disk: rows, and bytes of those that could not be written so far.
ROWS, BYTES = 200_000, 256 * 10**6
log = logging.getLogger(__name__)


class Answer(NamedTuple):
    """One answered request: when (microseconds since 1970, UTC), by which model, and its rows."""

    time: int
    digest: str
    contract: schema.Schema
    ids: Sequence[str]
    rows: Sequence[Mapping[str, Any]]
    scores: np.ndarray

    @property
    def hour(self) -> dt.datetime:
        """The hour it belongs to."""
        return dt.datetime.fromtimestamp(self.time // 3_600_000_000 * 3600, dt.UTC)


class PredictionLog:
    """Takes answers from the event loop at once and writes them from a thread of its own."""

    def __init__(self, settings: config.Log, contract: schema.Schema) -> None:
        """Raises InputError when `private` cannot be kept, or an input has a name that the log gives itself."""
        self.settings, self.key = settings, os.environ.get("LOG_KEY", "").encode()
        unknown = sorted(set(settings.private) - set(contract.inputs))
        if unknown:
            raise InputError(f"serve.log.private: {unknown[0]} is no input of schema.yaml; mend its name or remove it")
        if "hash" in settings.private.values() and not self.key:
            raise InputError("serve.log.private: hash needs a secret in the environment variable LOG_KEY; set it")
        taken = sorted({ID, TIME, DIGEST, *contract.scores(PREDICTED)} & set(contract.inputs))
        if taken:
            raise InputError(f"the prediction log has a column {taken[0]} of its own: rename it in schema.yaml")
        self.failures = 0
        self._server, self._number = uuid.uuid4().hex[:16], itertools.count(1)
        self._answers: deque[Answer] = deque()
        self._held: deque[tuple[dt.datetime, str, pa.Table]] = deque()
        # Each counter is raised by one thread alone, so that none needs a lock.
        self._added = self._done = self._refused = self._lost = 0
        self._full = False
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._write, self._tend)]

    @property
    def waiting(self) -> int:
        """Rows that are not written yet."""
        return self._added - self._done

    @property
    def dropped(self) -> int:
        """Rows that never will be: there was no room to wait, or they do not fit their contract."""
        return self._refused + self._lost

    def start(self) -> None:
        """Begin to write, to merge finished hours and to remove old days."""
        import pandas  # noqa: F401  # here, since the first rows would wait for it
        import pyarrow.parquet  # noqa: F401  # for the same reason

        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Write what waits, and end."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self.waiting:
            log.error("%d predictions could not be written to %s and are lost", self.waiting, self.settings.folder)

    def add(self, digest: str, contract: schema.Schema, ids: Sequence[str], rows: Sequence[Mapping[str, Any]],
            scores: np.ndarray) -> None:  # fmt: skip
        """Take one answer's rows; scores (n,) or (n, K). Never waits: rows without room are dropped and counted."""
        if self._full or self._added - self._done + len(ids) > ROWS:
            self._refused += len(ids)
            return
        self._added += len(ids)
        self._answers.append(Answer(time.time_ns() // 1000, digest, contract, ids, rows, scores))

    def _write(self) -> None:
        while not self._stop.wait(self.settings.seconds):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        """Turn answers into tables, and write tables until one cannot be written: that one is tried again."""
        for (hour, digest, _), answers in self._taken().items():
            try:
                self._held.append((hour, digest, table(answers, self.settings.private, self.key)))
            except Exception as error:  # the thread must live on, whatever a row holds
                log.error("predictions do not fit the contract of %s: %s", digest[:12], type(error).__name__)
                lost = sum(len(answer.ids) for answer in answers)
                self._lost += lost
                self._done += lost
        while self._held:
            hour, digest, rows = self._held[0]
            path = parts.named(self.settings.folder, hour, f"{self._server}-{digest[:12]}", next(self._number))
            try:
                parts.write(rows, path)
            except Exception as error:  # whatever a disk raises: the thread must live on, and try again
                self.failures += 1
                log.warning("%d predictions wait: %s", self.waiting, error)
                break
            self._held.popleft()
            self._done += rows.num_rows
        self._full = sum(rows.nbytes for *_, rows in self._held) > BYTES

    def _taken(self) -> dict[tuple[dt.datetime, str, int], list[Answer]]:
        """The answers that wait, by what a file has in common."""
        found: dict[tuple[dt.datetime, str, int], list[Answer]] = {}
        for _ in range(len(self._answers)):
            answer = self._answers.popleft()
            found.setdefault((answer.hour, answer.digest, id(answer.contract)), []).append(answer)
        return found

    def _tend(self) -> None:
        """Tidy the folder at the start and each hour; a thread of its own, for a merge may outlast `seconds`."""
        tended = None
        while not self._stop.is_set():
            now = dt.datetime.now(dt.UTC)
            if tended != now.replace(minute=0, second=0, microsecond=0):
                tended = now.replace(minute=0, second=0, microsecond=0)
                try:
                    parts.tidy(self.settings.folder, self.settings.keep_days, now, self._stop.is_set)
                except (OSError, InputError) as error:
                    log.warning("the prediction log is not tidied this hour: %s", error)
            self._stop.wait(min(10.0, self.settings.seconds))


def table(answers: Sequence[Answer], private: Mapping[str, str], key: bytes) -> pa.Table:
    """The log's rows of answers under one contract: id, time, model, inputs as `cast.arrow` types them, what was said.

    A private input is left out (`drop`) or becomes the first 16 bytes, in hexadecimal, of HMAC-SHA256 under `key` of
    its text as Arrow writes a value of its type (`hash`); null stays null.
    """
    import numpy as np
    import pyarrow as pa

    contract, sizes = answers[0].contract, [len(answer.ids) for answer in answers]
    rows = [row for answer in answers for row in answer.rows]
    found: dict[str, Any] = {
        ID: pa.array([one for answer in answers for one in answer.ids], pa.large_string()),
        TIME: pa.array(np.repeat([answer.time for answer in answers], sizes), pa.timestamp("us", "UTC")),
        DIGEST: pa.array([answers[0].digest] * len(rows), pa.large_string()),
    }
    for field in cast.arrow(contract, contract.inputs):
        if private.get(field.name) != "drop":
            values = [row.get(field.name) for row in rows]
            if pa.types.is_floating(field.type):  # as which Arrow takes no integer above 2**53
                values = [None if value is None else float(value) for value in values]
            column = pa.array(values, field.type, from_pandas=True)
            hashed = private.get(field.name) == "hash"
            found[field.name] = keyed(column, key) if hashed else column
    scores = np.concatenate([np.reshape(answer.scores, (len(answer.ids), -1)) for answer in answers])
    found |= {name: scores[:, i].astype("float64") for i, name in enumerate(contract.scores(PREDICTED))}
    return pa.table(found)


def keyed(column: pa.Array, key: bytes) -> pa.Array:
    """The keyed hash of each value."""
    import pyarrow as pa

    texts = column.cast(pa.large_string()).to_pylist()
    hashes = [None if text is None else hmac.digest(key, text.encode(), "sha256")[:16].hex() for text in texts]
    return pa.array(hashes, pa.large_string())
