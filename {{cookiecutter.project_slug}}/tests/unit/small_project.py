"""A small project in a folder of its own, made in seconds: the package, ninety days of rows, a linear model.

`Project.repro` stands in for `dvc repro`: it writes the verdicts and `dvc.lock` itself and runs the stages that
train and evaluate. The first project of a session is built, the others are copies of it.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from {{ cookiecutter.project_slug }} import __main__ as command
from {{ cookiecutter.project_slug }} import config, record
from {{ cookiecutter.project_slug }}.gates import verdict
from {{ cookiecutter.project_slug }}.registry import promotion, tracking
from {{ cookiecutter.project_slug }}.serving import predict
from {{ cookiecutter.project_slug }}.stages import evaluate, train

HERE = Path(command.__file__).resolve().parents[1]
WEAK, GOOD = 0.001, 1.0
#: The bare and the crowned project, once built.
BUILT: list[Path] = []
SERVE: dict[str, Any] = {
    "max_rows": 50,
    "max_mb": 0.1,
    "max_seconds": 0.5,
    "max_requests": 3,
    "refresh_seconds": 0.05,
    "shadow": False,
    "log": {"folder": "predictions", "seconds": 0.1, "keep_days": 30, "private": {}},
}
MONITOR: dict[str, Any] = {
    "window_days": 7,
    "windows": 3,
    "alarms": 2,
    "alpha": 0.05,
    "min_rows": 20,
    "max_age_days": 1000,
    "quality": {"days": 28, "label_days": 1, "min_share": 0.5, "margin": 0.01},
    "cool_down_days": 3,
    "max_per_week": 1,
    "max_refused": 2,
}
PARAMS: dict[str, Any] = {
    "seed": 1,
    "ingest": {"source": "rows.csv", "query": None, "start": None, "end": None},
    "validate": {"min_rows": 10, "min_class_rows": 5},
    "split": {"by": "time", "test_days": 30, "test_share": 0.2, "max_train_rows": 1_000_000},
    "pretrain": {"smoke_rows": 50},
    "train": {
        "estimator": "sklearn.linear_model.LogisticRegression",
        "arguments": {"C": WEAK},
        "encoding": "onehot",
        "folds": 2,
        "cost": {"false_positive": 1, "false_negative": 1},
    },
    "evaluate": {"slices": [], "replicates": 200},
    "posttrain": {"directions": [], "functionality": [], "cases": 20},
    "gates": {"resample_by": "day", "confidence": 0.95, "pretrain": {"checked": {}}, "posttrain": {"checked": {}}},
    "promote": {"non_inferiority_margin": 0.02, "guardrails": {"auc": 0.1}, "min_rows": 100, "min_units": 10},
    "serve": SERVE,
    "monitor": MONITOR,
}
SCHEMA: dict[str, Any] = {
    "task": "binary",
    "columns": {
        "id": {"type": "int", "role": "key"},
        "when": {"type": "datetime", "role": "time"},
        "x": {"type": "float"},
        "z": {"type": "float"},
        "late": {"type": "int", "role": "target", "values": [0, 1]},
    },
}


def rows(first: int, end: int, per_day: int = 20) -> pd.DataFrame:
    """The rows of days first..end-1: the same whichever window asks for them."""
    ids = np.arange(first * per_day, end * per_day)
    rng = np.random.default_rng(0)
    x, z, u = rng.normal(size=(3, 200 * per_day))[:, ids]
    when = pd.Timestamp("2020-01-01") + pd.to_timedelta(ids // per_day, "D")
    return pd.DataFrame({"id": ids, "when": when, "x": x, "z": z, "late": (2 * x + z + u > 0).astype(int)})


class Project:
    """The project in the current folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def set(self, name: str, value: Any) -> None:
        """Change one dotted key of params.yaml."""
        tree = yaml.safe_load(Path("params.yaml").read_text())
        block = tree
        *parts, last = name.split(".")
        for part in parts:
            block = block[part]
        block[last] = value
        Path("params.yaml").write_text(yaml.safe_dump(tree))

    def window(self, first: int, middle: int, end: int) -> None:
        """Train rows of days first..middle-1, test rows of the days until end."""
        for name, frame in (("raw", rows(first, end)), ("train", rows(first, middle)), ("test", rows(middle, end))):
            record.write_parquet(frame, Path(f"data/{name}.parquet"))

    def judge(self, stage: str) -> None:
        """Write a green verdict."""
        gates = [{"gate": "checked", "verdict": "pass"}]
        inputs = verdict.inputs(stage, config.load())
        record.write_json(verdict.REPORTS[stage], {"verdict": "pass", "gates": gates, "inputs": inputs})

    def verdicts(self, found: dict[str, list[dict[str, Any]]]) -> None:
        """Write these gates as the verdicts of their stages, on what lies here."""
        for stage, gates in found.items():
            if stage == "validate":
                inputs = {"data": record.file_sha256(Path("data/raw.parquet")),
                          "schema": record.file_sha256(Path("schema.yaml"))}  # fmt: skip
            else:
                inputs = verdict.inputs(stage, config.load())
            red = any(gate["verdict"] != "pass" for gate in gates)
            report = {"stage": stage, "verdict": "fail" if red else "pass", "gates": gates, "inputs": inputs}
            record.write_json(Path(f"reports/{stage}.json"), report)
        self.lock()

    def lock(self) -> None:
        """Write dvc.lock for what lies here."""
        tree = yaml.safe_load(Path("params.yaml").read_text())
        paths = [*Path("data").glob("*.parquet"), *Path("model").iterdir(), *Path("reports").glob("*train.json")]
        hashed = [{"path": p.as_posix(), "md5": hashlib.md5(p.read_bytes()).hexdigest()} for p in paths]
        code = [*verdict.PACKAGE.rglob("*.py"), self.root / "schema.yaml"]
        deps = [
            {"path": p.relative_to(self.root).as_posix(), "md5": hashlib.md5(p.read_bytes()).hexdigest()} for p in code
        ]
        deps.append({"path": "tests/pretrain", "md5": "0.dir"})
        params = {"params.yaml": {"seed": tree["seed"], "train": tree["train"]}}
        stage = {"deps": deps, "outs": hashed, "params": params}
        Path("dvc.lock").write_text(yaml.safe_dump({"stages": {"all": stage, "bare": {"deps": []}}}))

    def repro(self, strength: float | None = None) -> None:
        """Train and evaluate, perhaps with another regularisation, with green verdicts and a fresh lock."""
        if strength is not None:
            self.set("train.arguments", {"C": strength})
        self.judge("pretrain")
        train.main()
        evaluate.main()
        self.judge("posttrain")
        self.lock()

    def commit(self) -> None:
        """Commit everything."""
        git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-qm", "work", "--allow-empty", "--no-verify"], check=True)

    def promote(self, dry_run: bool = False, reset: str | None = None, judged: bool = False
                ) -> tuple[int, dict[str, Any]]:  # fmt: skip
        """Exit code and report of `promote`."""
        code = promotion.main(dry_run, reset, judged=judged)
        return code, record.read_json(promotion.REPORT)

    def aliases(self) -> dict[str, str]:
        """Version number by alias."""
        found = tracking.client().get_registered_model(tracking.NAME).aliases
        return {name: str(version) for name, version in found.items()}


def in_process(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
    """What the child that predicts would do, without starting it."""
    said = StringIO()
    with redirect_stderr(said):
        code = predict.main(command[3:])
    return subprocess.CompletedProcess(command, code, "", said.getvalue())


def stand_in(root: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Make `root` the project whose commands run in this process; nothing of the shell's settings counts."""
    for name in ("MLFLOW_TRACKING_URI", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG", "GIT_DIR"):
        monkeypatch.delenv(name, raising=False)
    # MLflow remembers where a run's files are, and the copies of a project share their runs.
    if known := sys.modules.get("mlflow.tracking._tracking_service.utils"):
        known._artifact_repos_cache.clear()
    monkeypatch.chdir(root)
    package = root / verdict.PACKAGE.name
    monkeypatch.setattr(verdict, "PACKAGE", package)
    monkeypatch.setattr(command, "PACKAGE", package)
    monkeypatch.setattr(train, "FEATURES", package / "features.py")
    monkeypatch.setattr(promotion, "subprocess", SimpleNamespace(run=in_process))
    return Project(root)


def build(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write, commit and train the weak model."""
    shutil.copytree(verdict.PACKAGE, root / verdict.PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    project = stand_in(root, monkeypatch)
    for stage in ("pretrain", "posttrain"):
        Path("tests", stage).mkdir(parents=True)
        Path("tests", stage, "test_gate.py").write_text("")
    for name in ("requirements.lock", "requirements-serve.lock", "dvc.yaml"):
        Path(name).write_text("{}\n")
    Path(".gitignore").write_text("/.mlflow/\n/data/\n/model/\n/reports/\n__pycache__/\n")
    Path("params.yaml").write_text(yaml.safe_dump(PARAMS))
    Path("schema.yaml").write_text(yaml.safe_dump(SCHEMA, sort_keys=False))
    subprocess.run(["git", "init", "-q"], check=True)
    project.window(0, 60, 90)
    project.commit()
    project.repro()


def make(root: Path, monkeypatch: pytest.MonkeyPatch, crowned: bool = True) -> Project:
    """A project at `root` whose weak model is trained and, when `crowned`, champion.

    What was built lies in the module: a process forked from one that built it copies it and builds nothing. It lies
    in a folder of its own, since pytest clears those of earlier sessions while such a process still runs.
    """
    if not BUILT:
        folder, owner = Path(tempfile.mkdtemp(prefix="small_")), os.getpid()
        atexit.register(lambda: shutil.rmtree(folder, ignore_errors=True) if os.getpid() == owner else None)
        bare, ready = folder / "bare", folder / "crowned"
        original = verdict.PACKAGE
        build(bare, monkeypatch)
        shutil.copytree(bare, ready, symlinks=True)
        monkeypatch.setattr(verdict, "PACKAGE", original)
        assert stand_in(ready, monkeypatch).promote()[0] == 0
        BUILT.extend((bare, ready))
    shutil.copytree(BUILT[crowned], root, symlinks=True)
    return stand_in(root, monkeypatch)


def child(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command line of the project at `cwd`, in a process of its own."""
    line = [sys.executable, "-m", verdict.PACKAGE.name, *arguments]
    return subprocess.run(line, cwd=cwd, capture_output=True, text=True, check=False)
