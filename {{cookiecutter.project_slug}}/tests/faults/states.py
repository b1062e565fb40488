"""Copies that faults start from, each made once: the project as it is, and the project with a history."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
from project import PACKAGE, Absent, Copy
from watch import SERVED


def base(root: Path, variables: dict[str, str]) -> Copy:
    """What git would commit here, with DVC's cache, so that stages which ran here need not run again; green."""
    listed = subprocess.run(["git", "ls-files", "-coz", "--exclude-standard"], capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if Path(name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(name, root / name)
    if Path(".dvc/cache").is_dir():
        shutil.copytree(".dvc/cache", root / ".dvc/cache", dirs_exist_ok=True)
    made = Copy(root, variables)
    made.git("init", "-q")
    made.commit()
    made.must("dvc repro")
    made.commit()
    return made


def weaker(tree: dict[str, Any], rows: int) -> None:
    """A recipe that passes every gate and is not as good as the one that ships: it learns too much by heart.

    Of an estimator that cannot, one that learns from fewer of the `rows`.
    """
    heart = {"learning_rate": 0.2, "max_iter": 200, "min_samples_leaf": 5}
    if set(heart) <= set(tree["train"]["arguments"]):
        tree["train"]["arguments"].update(heart)
    else:
        tree["split"]["max_train_rows"] = round(0.9 * rows)
        tree["train"]["folds"] += 1  # another recipe, and not the same on other rows


def rivals(made: Copy) -> None:
    """The project's model is champion; a weaker one lies in the workspace, green and committed."""
    made.must("promote")
    rows = json.loads((made.root / "reports/split.json").read_text(encoding="utf-8"))["rows"]["train"]
    made.settings(lambda tree: weaker(tree, rows))
    made.must("dvc repro")
    made.commit()


def rewritten(made: Copy) -> None:
    """The project's model is champion; a new recipe that changes no prediction lies in the workspace, green."""
    made.must("promote")
    with (made.root / PACKAGE / "features.py").open("a", encoding="utf-8") as stream:
        stream.write("\n# Reviewed: nothing to add.\n")
    made.must("dvc repro")
    made.commit()


def served(made: Copy) -> None:
    """The project's model is champion, and has answered its test rows."""
    made.must("promote")
    made.python(SERVED)


def small(made: Copy) -> None:
    """A champion on a short window that can move on, behind two gates: quick to retrain, many times."""
    if made.time is None or made.read()["ingest"]["end"] is None:
        raise Absent("no window that could move on: ingest.end is open, or no column has role time")
    end = pd.Timestamp(made.read()["ingest"]["end"]) - pd.Timedelta(days=10)
    start = end - pd.Timedelta(days=63)

    def change(tree: dict[str, Any]) -> None:
        tree["ingest"].update(start=str(start.date()), end=str(end.date()))
        tree["split"]["test_days"] = 21
        tree["train"]["folds"] = 2
        tree["gates"]["resample_by"] = "day"  # blocks of several would be too few
        tree["gates"]["pretrain"] = {"row_accounting": {}}
        tree["gates"]["posttrain"] = {"threshold": tree["gates"]["posttrain"]["threshold"]}

    made.settings(change)
    for path in made.root.glob("tests/p*train/test_*.py"):
        if path.stem not in ("test_row_accounting", "test_threshold"):
            path.unlink()
    made.must("dvc repro")
    made.commit()
    made.must("promote")


def first(made: Copy) -> None:
    """The project before its first run was committed: no earlier version of the data says what its past was."""
    shutil.rmtree(made.root / ".git")
    made.git("init", "-q")
    made.git("add", "-A", ":!reports")
    made.git("commit", "-q", "-m", "the first")


#: Those that take longest first.
BUILT_ON_BASE = {"small": small, "rivals": rivals, "rewritten": rewritten, "first": first, "served": served}
