"""Make a registered version again from its own commit, parameters, contract and data, and compare what it predicts.

All of it happens in a clone in a temporary folder, whose DVC reads this project's cache and remotes, so that nothing
here changes and a kill leaves nothing behind. The stages that run are those of the version's own `dvc.yaml`.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import record
from ..errors import InputError
from ..gates import verdict
from ..git import git
from . import lineage, versions

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.tracking import MlflowClient

REPORT = Path("reports/reproduce.json")
METRICS = Path("reports/evaluate.json")
#: From the snapshot on: `ingest` would ask the source, which may have changed.
STAGES = ("validate", "split", "pretrain", "train", "evaluate")
#: How far a prediction may lie from the recorded one on another machine.
TOLERANCE = 1e-9
#: Where reports are cut: figures that differ by 1e-12 may be cut to either side, one unit of the last digit apart.
DIGITS = 6


def clone(commit: str, folder: Path) -> Path:
    """This project at `commit` in `folder`, which need not be a whole repository. Raises InputError."""
    prefix = git("rev-parse", "--show-prefix")
    git("clone", "--quiet", "--shared", "--no-checkout", git("rev-parse", "--show-toplevel"), str(folder))
    try:
        git("checkout", "--quiet", commit, folder=folder)
    except InputError as error:
        raise InputError(f"commit {commit} is not in this repository: fetch it (git fetch --unshallow)") from error
    return folder / prefix


def environment() -> dict[str, str]:
    """The variables of a process in a clone: this Python first, and no registry of ours."""
    left_out = ("MLFLOW_TRACKING_URI", "PYTHONPATH", "DVC_ROOT")  # its trainings are no trainings of ours
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return kept | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])}


def dvc(folder: Path, *arguments: str, shown: bool = False) -> str:
    """What a DVC command prints in `folder`; with `shown` the user sees it instead. Raises InputError."""
    done = subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=folder, env=environment(), text=True,
                          check=False, stdout=None if shown else subprocess.PIPE,
                          stderr=None if shown else subprocess.PIPE)  # fmt: skip
    if done.returncode:
        said = ["what it said stands above"] if shown else (done.stderr or done.stdout).strip().splitlines()
        raise InputError(f"dvc {arguments[0]} failed: {(said or ['no reason given'])[0]}")
    return done.stdout or ""


def share_storage(folder: Path) -> None:
    """Let the clone's DVC read this project's cache and remotes, credentials included."""
    local = Path(".dvc/config.local")
    if local.is_file():
        shutil.copy(local, folder / local)
    dvc(folder, "cache", "dir", "--local", dvc(Path(), "cache", "dir").strip())
    for line in dvc(Path(), "remote", "list").splitlines():
        name, url = line.split(maxsplit=1)
        url = url.removesuffix("(default)").strip()
        if "://" not in url:  # a folder, which the configuration may name relative to itself
            dvc(folder, "remote", "modify", "--local", name, "url", url)


def fetch(folder: Path, number: str) -> None:
    """Bring the version's snapshot and its predictions into the clone. Raises InputError when nobody has them."""
    wanted = ("data/raw.parquet", str(verdict.PREDICTIONS))
    try:
        dvc(folder, "checkout", "--quiet", *wanted)
    except InputError:
        try:
            dvc(folder, "pull", "--quiet", *wanted)
        except InputError as error:
            raise InputError(f"the data of version {number} are neither in DVC's cache nor in a remote ({error}):"
                             " `dvc push` them where they still are") from error  # fmt: skip


def largest_difference(recorded: pd.DataFrame, made: pd.DataFrame) -> float:
    """The largest absolute difference between two tables' predictions; infinite where their rows are not the same."""
    model = {name: str(name).partition(".")[0] for name in recorded}
    columns = [name for name in recorded if model[name] == "predicted"]
    rest = [name for name in recorded if model[name] not in ("predicted", "dummy", "linear")]
    if list(recorded) != list(made) or not recorded[rest].equals(made[rest]):
        return float("inf")
    return float((recorded[columns] - made[columns]).abs().to_numpy().max())  # a NaN is no equal


def last_digit(*values: float) -> float:
    """One unit in the last of `DIGITS` digits of the value that is farthest from zero."""
    largest = max(map(abs, values))
    return float(10 ** (math.floor(math.log10(largest)) + 1 - DIGITS)) if largest else 0.0


def differing(recorded: dict[str, Any], made: dict[str, Any], prefix: str = "") -> list[str]:
    """The values that differ between two nested mappings, one line each: `key: recorded -> made`.

    Floats are the same within one unit of the last digit of the larger one.
    """
    found = []
    for key in sorted({*recorded, *made}):
        old, new = recorded.get(key), made.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            found += differing(old, new, f"{prefix}{key}.")
        elif isinstance(old, float) and isinstance(new, float) and abs(old - new) < 1.5 * last_digit(old, new):
            continue
        elif old != new:
            found.append(f"{prefix}{key}: {old} -> {new}")
    return found


def make_again(facts: dict[str, str], bundle: Path, folder: Path) -> dict[str, Any]:
    """Train the version anew in a clone below `folder`; what is the same and what is not."""
    project = clone(facts["git_commit"], folder)
    for name in ("params.yaml", "schema.yaml", "dvc.lock"):
        shutil.copy(bundle / name, project / name)
    share_storage(project)
    fetch(project, facts["version"])
    recorded = record.read_parquet(project / verdict.PREDICTIONS)
    dvc(project, "repro", "--force", "--single-item", *STAGES, shown=True)
    return {
        "largest_difference": largest_difference(recorded, record.read_parquet(project / verdict.PREDICTIONS)),
        "same_bytes": record.read_json(project / verdict.TRAINING)["digest"] == facts["digest"],
        "same_training_rows": record.file_sha256(project / verdict.TRAIN) == facts["train_sha256"],
        "metrics": differing(record.read_json(bundle / METRICS), record.read_json(project / METRICS)),
        "machine": differing(record.read_json(bundle / lineage.MACHINE), lineage.machine()),
    }


def told(report: dict[str, Any]) -> list[str]:
    """The report as lines: what came out, then what could explain it."""
    largest = report["largest_difference"]
    outcome = "equal" if report["equal"] else "NOT equal"
    bytes_ = "the same bytes" if report["same_bytes"] else "other bytes"
    lines = [f"version {report['version']} {outcome}: predictions differ by {largest:.3g} at most; model: {bytes_}"]
    if not report["same_training_rows"]:
        lines.append("training rows differ: the stages before training do not give what they gave")
    lines += [f"metric {line}" for line in report["metrics"]]
    lines += [f"machine {line}" for line in report["machine"]]
    if not report["equal"] and report["same_training_rows"] and not report["machine"]:
        lines.append("rows, Python, packages, BLAS and CPU are the same: look for randomness without the seed")
    return lines


def reproduce(client: MlflowClient, name: str) -> bool:
    """Reproduce the version that `name` (alias or number) means; write `reports/reproduce.json`, print, and tell
    whether its predictions are equal within `TOLERANCE` and its metrics within their last digit. Raises InputError.
    """
    version = versions.named(client, name)
    facts = {"version": str(version.version), **version.tags}
    with versions.bundle(client, version) as bundle, tempfile.TemporaryDirectory() as folder:
        report = make_again(facts, bundle, Path(folder, "project"))
    equal = report["largest_difference"] <= TOLERANCE and not report["metrics"]
    report = {"version": facts["version"], "digest": facts["digest"], "equal": equal, **report}
    record.write_json(REPORT, report)
    print("\n".join(told(report)))
    return equal
