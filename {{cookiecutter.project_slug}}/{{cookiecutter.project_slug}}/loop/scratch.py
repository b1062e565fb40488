"""The scratch clone in which a walk happens, and the processes that it starts there.

The clone has its own git history, registry and prediction log; DVC's cache is the project's. Every process is the
leader of a group and is written down, so that the next walk ends what a killed one left.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from .. import config, document, record
from ..errors import InputError
from ..gates import report
from ..git import git
from ..registry import bundles, reproduce, tracking

HOME = Path(".loop")
CHILDREN, SAID = HOME / "children", HOME / "said.txt"
#: The author of the clone's commits, which hooks and keys of the user do not concern.
AUTHOR = ("-c", "user.name=loop", "-c", "user.email=loop@localhost", "-c", "commit.gpgsign=false")
#: What closes when a training is killed.
KILLED = "repro"
#: Seconds that a process gets to end, and between two looks at one that is to be killed.
PATIENCE, MOMENT = 40, 0.02


class Done(NamedTuple):
    """How a command ended, and what it printed last."""

    code: int
    said: str


def end(process: subprocess.Popen[str], how: signal.Signals = signal.SIGKILL) -> None:
    """End a process and all of its group; those that outlast `PATIENCE` are killed."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def end_left(home: Path = HOME) -> None:
    """Kill what a killed walk left at work: processes that were written down and still work below `home`."""
    import psutil

    for path in (home / CHILDREN.name).glob("*"):
        with contextlib.suppress(psutil.Error, ProcessLookupError, ValueError):
            process = psutil.Process(int(path.name))
            if Path(process.cwd()).is_relative_to(home.resolve()):
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(PATIENCE)
        path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Clone:
    """The project's folder in the clone."""

    folder: Path

    @contextlib.contextmanager
    def started(self, said: Path, *command: str) -> Iterator[subprocess.Popen[str]]:
        """A process in the clone, a Python module, ended with the context; what it prints is appended to `said`."""
        left_out = ("SERVE_TOKEN", "PYTHONDONTWRITEBYTECODE")  # as none asks for a token; half the time of an import
        environment = {k: v for k, v in reproduce.environment().items() if k not in left_out}
        CHILDREN.mkdir(parents=True, exist_ok=True)
        with said.open("a", encoding="utf-8") as out:
            process = subprocess.Popen([sys.executable, "-m", *command], cwd=self.folder, env=environment, text=True,
                                       stdout=out, stderr=out, start_new_session=True)  # fmt: skip
        (CHILDREN / str(process.pid)).touch()
        try:
            yield process
        finally:
            end(process, signal.SIGTERM)
            (CHILDREN / str(process.pid)).unlink(missing_ok=True)

    def run(self, *command: str, kill_when: Callable[[], bool] = bool) -> Done:
        """Run a Python module to its end, or until `kill_when` says so: then it is killed with all it started."""
        before = SAID.stat().st_size if SAID.is_file() else 0
        with self.started(SAID, *command) as process:
            while process.poll() is None:
                if kill_when():
                    end(process)
                time.sleep(MOMENT)
            code = process.returncode
        with SAID.open("rb") as stream:
            stream.seek(before)
            lines = stream.read().decode(errors="replace").strip().splitlines()
        return Done(code, lines[-1] if lines else "no reason given")

    def command(self, *arguments: str) -> Done:
        """Run one of the project's own commands."""
        return self.run(tracking.NAME, *arguments)

    def set_params(self, **changes: Any) -> None:
        """Change dotted keys (with `__` for the dot) of the clone's `params.yaml`; comments stay."""
        document.change(self.folder / config.PATH, **changes)

    def read(self, name: str) -> dict[str, Any] | None:
        """`reports/<name>.json` of the clone, or None."""
        path = self.folder / "reports" / f"{name}.json"
        return record.read_json(path) if path.is_file() else None

    def written(self) -> dict[str, int]:
        """When each report with gates was written (ns), by its name."""
        paths = {name: self.folder / path for name, path in report.REPORTS.items()}
        return {name: path.stat().st_mtime_ns for name, path in paths.items() if path.is_file()}

    def repro(self, kill: bool = False) -> tuple[list[str], str]:
        """Run the pipeline, or `kill` it midway; the gates that closed (`repro` when it was killed), and why.

        Raises InputError when it fails without a red gate. A report that was not written now speaks of another window.
        """
        before, since, split = self.written(), time.time_ns(), self.folder / "reports" / "split.json"

        def midway() -> bool:
            return kill and split.is_file() and split.stat().st_mtime_ns > since

        done = self.run("dvc", "repro", "--quiet", kill_when=midway)
        if done.code < 0:
            return [KILLED], "`dvc repro` was killed"
        fresh = [name for name, moment in self.written().items() if moment != before.get(name)]
        found = [gate for name in fresh for gate in (self.read(name) or {})["gates"]]
        red = {gate["gate"]: gate["reason"] for gate in found if gate["verdict"] != "pass"}
        if done.code and not red:
            raise InputError(f"`dvc repro` failed: {done.said}; all that it said is in {SAID}")
        return list(red), "; ".join(f"{gate}: {reason}" for gate, reason in red.items())

    def commit(self, message: str) -> None:
        """Commit everything that git does not ignore, if anything changed."""
        git("add", "--all", folder=self.folder)
        if git("status", "--porcelain", folder=self.folder):
            git(*AUTHOR, "commit", "--quiet", "--no-verify", "-m", message, folder=self.folder)


def make(commit: str) -> Clone:
    """A new clone of this project at `commit`, in place of what an earlier walk left. Raises InputError."""
    for path in HOME.glob("*"):
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != "lock":
            path.unlink()
    clone = Clone(reproduce.clone(commit, HOME / "clone"))
    reproduce.share_storage(clone.folder)
    ours = shutil.ignore_patterns(*bundles.NOT_OF_THE_MODEL)(
        "reports", [path.name for path in Path("reports").glob("*.*")]
    )
    for path in [*Path().glob("dvc.lock"), *Path("reports").glob("*.*")]:
        if path.name not in ours:  # what this project's own registry and log said is not for the clone
            (clone.folder / path).parent.mkdir(exist_ok=True)
            shutil.copy(path, clone.folder / path)
    clone.run("dvc", "checkout", "--quiet")  # of what this project has run; DVC runs what is not there or differs
    return clone


def found() -> Clone:
    """The clone that is there."""
    return Clone(HOME / "clone" / git("rev-parse", "--show-prefix"))
