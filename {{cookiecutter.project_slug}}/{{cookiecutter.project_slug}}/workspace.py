"""One stage at a time works in a folder, and none outlives the `dvc` that started it.

A killed `dvc` leaves its stage running, and the next `dvc repro` starts one beside it. So a stage that DVC started
ends when DVC does, and every stage holds a lock, which the operating system frees however its holder dies. The
watch takes a moment to notice and does not run in a process's first moments: the lock makes that harmless, since the
new stage waits, clears up, and only then reads and writes.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from .errors import InputError

LOCK = Path(".dvc/tmp/stage.lock")
HOLDER = LOCK.with_suffix(".txt")
#: The folders that stages write to.
OUTPUTS = ("data", "model", "reports")
#: Seconds between two looks at the parent.
PERIOD = 0.2


def end_with(process: int) -> None:
    """From now on end this process at once when that one is gone, as it may be already."""

    def watch() -> None:
        while alive(process):
            time.sleep(PERIOD)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def end_with_dvc() -> None:
    """End with the DVC that runs this stage, if one does; a stage run by hand may outlive its shell.

    DVC runs a stage through a shell, and some (Debian's sh, fish) stay between: DVC is the first above this process
    that does not carry the name of the stage.
    """
    import psutil

    stage = os.environ.get("DVC_STAGE")
    if stage is None:
        return
    for parent in psutil.Process().parents():
        with contextlib.suppress(psutil.Error):  # one that may not be read, or is gone, is taken for DVC
            if parent.environ().get("DVC_STAGE") == stage:
                continue
        end_with(parent.pid)
        return


def alive(process: int) -> bool:
    """Whether a process runs; one that ended and waits to be collected does not."""
    import psutil

    try:
        return bool(psutil.Process(process).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@contextlib.contextmanager
def exclusive(stage: str) -> Iterator[None]:
    """This folder for one stage alone, cleared of what killed ones left; waits, and says for whom, while another works.

    There is no time limit: an orphan ends by itself within a second, a stage run by hand when it is done. Raises
    InputError when the lock cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(LOCK)
    try:
        LOCK.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(f"{stage}: waiting for {holder()}, which is at work in this folder", file=sys.stderr, flush=True)
            lock.acquire()
        HOLDER.write_text(f"{stage} (process {os.getpid()})", encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {LOCK}: {error.strerror}; check the folder") from error
    try:
        clear()
        yield
    finally:
        lock.release()


def holder() -> str:
    """Who holds the lock, by stage and process."""
    with contextlib.suppress(OSError):
        return HOLDER.read_text(encoding="utf-8") or "another stage"
    return "another stage"


def clear() -> None:
    """Remove the temporary files of killed stages, which DVC and git would take for outputs."""
    for folder in OUTPUTS:
        for path in Path(folder).rglob(".*.partial"):
            writer = path.name.split(".")[-2]
            if not (writer.isdigit() and alive(int(writer))):  # `promote` may be writing its report
                path.unlink(missing_ok=True)
