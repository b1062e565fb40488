"""A project that is quick to run, ways to kill its processes, and what must hold afterwards."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml
from running import SLUG, run, start, works

WRITTEN = ("data", "model", "reports", "dvc.lock")
RUNS, STORE = ".dvc/cache/runs", ".mlflow"
KEPT = ("data", "model", STORE)
EMPTY_STORE = f"from {SLUG}.registry import tracking; tracking.experiment_id(tracking.client())"
#: What DVC writes in place, so that a kill may leave half of it, by what DVC then says.
TORN = {"dvc.lock": "dvc.lock", ".dvc/tmp/rwlock": ".dvc/tmp/rwlock", "join() argument must be": RUNS}
#: All but the environment, which here is a link, and so nothing that .gitignore knows.
ELSEWHERE = ("--", ".", ":!.venv")
#: Seconds in which an orphan must end.
ORPHAN = 2


def until(holds: Callable[[], object], seconds: float = 60) -> bool:
    """Whether something holds before time is up."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def shrink(tree: dict[str, Any]) -> None:
    """Change the parameters: four weeks, five trees, two gates."""
    tree["ingest"].update(start="2013-01-01", end="2013-01-29")
    tree["split"]["test_days"] = 8
    tree["train"]["folds"] = 2
    tree["train"]["arguments"]["max_iter"] = 5
    tree["evaluate"]["replicates"] = 200
    tree["gates"]["resample_by"] = "day"
    tree["gates"]["pretrain"] = {"row_accounting": {}}
    tree["gates"]["posttrain"] = {"threshold": {"metric": "brier", "at_most": 0.5}}


def repro(project: Path, *targets: str) -> bool:
    """Run `dvc repro` to its end. True when DVC had left half a file, and the runbook's way was taken."""
    done = run(project, "dvc", "repro", *targets)
    torn = [project / path for words, path in TORN.items() if done.returncode and words in done.stderr]
    for path in torn:
        if path.name == "dvc.lock":
            works(run(project, "git", "checkout", "-q", "dvc.lock"))
        else:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        done = run(project, "dvc", "repro", *targets)
    works(done)
    return bool(torn)


@dataclass
class Small:
    """Such a project, the files that its run leaves, and how long a run of one stage takes, in seconds."""

    root: Path
    kept: Path
    expected: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def prepare(self) -> None:
        """Make it small, run it, keep what that left and an MLflow store without a run; then time one stage."""
        path = self.root / "params.yaml"
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        shrink(tree)
        path.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
        for path in self.root.glob("tests/p*train/test_*.py"):
            if path.stem not in ("test_row_accounting", "test_threshold"):
                path.unlink()
        works(run(self.root, "dvc", "repro"))
        works(run(self.root, "git", "add", "-A", *ELSEWHERE))
        works(run(self.root, "git", "commit", "-qm", "Small"))
        self.expected = self.contents()
        shutil.rmtree(self.root / STORE)
        works(run(self.root, "python", "-c", EMPTY_STORE))
        for name in KEPT:
            shutil.copytree(self.root / name, self.kept / name)
        self.reset("train")
        began = time.monotonic()
        ran = works(run(self.root, "dvc", "repro"))
        self.seconds = time.monotonic() - began
        assert ran.count("Running stage") == 1
        self.must_be_as_it_was(trainings=1)

    def contents(self) -> dict[str, str]:
        """The SHA-256 of each file that stages and DVC write into the folder."""
        found = [path for name in WRITTEN for path in [self.root / name, *(self.root / name).rglob("*")]]
        files = {str(path.relative_to(self.root)): path for path in found if path.is_file()}
        files.pop("reports/promotion.json", None)
        return {name: sha256(path.read_bytes()).hexdigest() for name, path in files.items()}

    def reset(self, stage: str | None) -> None:
        """Make it as the undisturbed run left it, without MLflow's runs and what DVC and the folder have of a stage."""
        self.undo()
        works(run(self.root, "git", "checkout", "-q", "."))
        for name in (*KEPT, RUNS):
            shutil.rmtree(self.root / name, ignore_errors=True)
        for name in KEPT:
            shutil.copytree(self.kept / name, self.root / name)
        if stage is None:
            return
        path = self.root / "dvc.lock"
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        for out in tree["stages"][stage]["outs"]:
            lost = self.root / out["path"]
            shutil.rmtree(lost) if lost.is_dir() else lost.unlink()
            out["md5"] = "0" * 32
        path.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")

    def extend(self, more: dict[str, str]) -> None:
        """Append to files of the project's code, by name."""
        for name, text in more.items():
            with (self.root / name).open("a", encoding="utf-8") as file:
                file.write(text)

    def undo(self) -> None:
        """Take such changes back, and what came of them."""
        works(run(self.root, "git", "checkout", "-q", "--", SLUG, "tests"))
        for name in ("there", "go"):
            (self.root / name).unlink(missing_ok=True)

    def must_be_as_it_was(self, trainings: int) -> None:
        """Assert that the files are those of the undisturbed run and no more, and so many runs in MLflow, all ended."""
        for path in self.root.glob("*/.*.tmp"):  # by which DVC finds out, beside an output, what links the disk knows
            path.unlink()
        assert self.contents() == self.expected
        assert run(self.root, "git", "status", "--porcelain", *ELSEWHERE).stdout == ""
        assert [path for path in self.root.rglob("*.partial") if path.is_file()] == []
        assert (
            rows(self.database, "SELECT status FROM runs WHERE lifecycle_stage = 'active'")
            == [("FINISHED",)] * trainings
        )

    @property
    def database(self) -> Path:
        """The project's MLflow store."""
        return self.root / STORE / "mlflow.db"

    def at_work(self, what: str = "") -> list[int]:
        """The living processes of this folder's stages, their gates' children included, or of those named so."""
        found = []
        for number in [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]:
            with suppress(OSError):  # it ended meanwhile, or only waits to be collected
                words = Path(f"/proc/{number}/cmdline").read_bytes().decode().split("\0")
                here = Path(f"/proc/{number}/cwd").resolve() == self.root
                line = "" if "-c" in words else " ".join(words)  # not the shell between dvc and its stage
                if here and what in line and (f" -m {SLUG} " in line or " --gate-stage=" in line):
                    found.append(number)
        return found

    def kill(self, kind: str, dice: random.Random) -> dict[str, bool]:
        """Start `dvc repro` and kill dvc, its stage, or both, most often while the stage is there.

        Whether there was something to kill, whether a stage was at work just then, and whether what was left ended
        late, as it does when it was killed before it began to watch.
        """
        dvc = start(self.root, "dvc", "repro")
        seconds = self.seconds * dice.random()
        if kind == "stage" or dice.random() < 0.7:
            until(lambda: self.at_work() or dvc.poll() is not None)
            seconds /= 2
        until(lambda: dvc.poll() is not None, seconds)
        stages, alive = self.at_work(f" -m {SLUG} "), dvc.poll() is None
        with suppress(ProcessLookupError):
            if kind == "group":
                os.killpg(dvc.pid, signal.SIGKILL)
            for number in {"group": [], "stage": stages, "dvc": [dvc.pid]}[kind]:
                os.kill(number, signal.SIGKILL)
        dvc.wait()
        late = not until(lambda: not self.at_work(), ORPHAN)
        assert until(lambda: not self.at_work())
        return {"hits": alive and (kind != "stage" or bool(stages)), "at_work": bool(stages), "late": late}


def rows(database: Path, query: str) -> list[tuple[Any, ...]]:
    """Rows of an MLflow store, which must be whole."""
    with closing(sqlite3.connect(database)) as store:
        assert store.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return store.execute(query).fetchall()


def kill_after(process: subprocess.Popen[str], seconds: float) -> bool:
    """Kill a process after so many seconds; whether it was still alive."""
    if until(lambda: process.poll() is not None, seconds):
        return False
    process.kill()
    process.wait()
    return True
