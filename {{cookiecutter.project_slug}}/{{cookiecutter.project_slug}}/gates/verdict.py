"""A verdict is content, not existence: who may read a report, and what must hold for it to count.

A report counts when it says `pass`, when each gate in it passed, when the gates in it are those that
`params.yaml` declares, and when the hashes of data, parameters, model and gate code in it are those of the
files that lie there now. A report that was committed red, left over or copied does not. One in which each `fail` was
edited, and which DVC was told to take for its own, does: that is why the workflows judge anew (`nox -s gates`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .. import config, record, schema
from ..errors import GateClosed

PACKAGE = Path(__file__).resolve().parent.parent
TRAIN = Path("data/train.parquet")
TEST = Path("data/test.parquet")
PREDICTIONS = Path("data/predictions.parquet")
MODEL = Path("model/model.skops")
TRAINING = Path("model/training.json")
GOLDEN = Path("model/golden.parquet")
REFERENCE = Path("model/reference.json")
#: The data and model files that each stage's gates judge.
JUDGED: dict[str, tuple[Path, ...]] = {
    "pretrain": (TRAIN, TEST),
    "posttrain": (TRAIN, TEST, PREDICTIONS, MODEL, TRAINING, GOLDEN, REFERENCE),
}
REPORTS = {stage: Path(f"reports/{stage}.json") for stage in JUDGED}
#: Keys of `params.yaml` that each stage reads itself, as `dvc.yaml` lists them: a verdict's `params` hash covers
#: these. What upstream stages read shows in the hashes of the files they wrote.
STAGE_PARAMS: dict[str, tuple[str, ...]] = {
    "ingest": ("ingest",),
    "validate": ("validate",),
    "split": ("seed", "split"),
    "pretrain": ("seed", "split", "pretrain", "train", "gates.resample_by", "gates.pretrain"),
    "train": ("seed", "split", "train", "gates.resample_by", "gates.confidence", "serve.log.private"),
    "evaluate": ("seed", "train", "evaluate", "gates.resample_by", "gates.confidence", "serve.log.private"),
    "posttrain": (
        "seed", "train", "evaluate", "posttrain", "gates.resample_by", "gates.confidence", "gates.posttrain",
    ),
}  # fmt: skip


def stage_params(params: config.Params, stage: str) -> dict[str, Any]:
    """What of `params.yaml` a stage's result depends on, by dotted key; the same keys stand in `dvc.yaml`."""
    tree = params.model_dump(mode="json", by_alias=True)
    chosen = {}
    for key in STAGE_PARAMS[stage]:
        value: Any = tree
        for part in key.split("."):
            value = value[part]
        chosen[key] = value
    return chosen


def gate_code(stage: str) -> list[Path]:
    """The files that decide: the stage's tests, the gates, the team's features and model; posttrain: what serves."""
    tests = Path("tests", stage)
    package = [*PACKAGE.glob("gates/*.py"), PACKAGE / "features.py", PACKAGE / "model.py"]
    package += PACKAGE.glob("serving/*.py") if stage == "posttrain" else ()
    return [*tests.rglob("*.py"), *(path.relative_to(Path.cwd().resolve()) for path in package)]


def inputs(stage: str, params: config.Params) -> dict[str, Any]:
    """Hashes of everything a verdict of `stage` depends on. Raises InputError when a file is missing."""
    hashes: dict[str, Any] = {path.stem: record.file_sha256(path) for path in JUDGED[stage]}
    hashes["schema"] = record.file_sha256(schema.PATH)
    hashes["params"] = record.value_sha256(stage_params(params, stage))
    hashes["gates"] = record.tree_sha256(gate_code(stage), Path())
    return hashes


def declared(stage: str, params: config.Params) -> set[str]:
    """Names of the gates that must run in `stage`."""
    return set(params.gates.pretrain if stage == "pretrain" else params.gates.posttrain)


def require(stage: str, params: config.Params) -> dict[str, Any]:
    """The stage's report, if it counts. Raises GateClosed, saying why it does not and what to do."""
    path = REPORTS[stage]
    report = record.read_json(path)
    gates = report.get("gates", [])
    closed = [str(gate.get("gate")) for gate in gates if gate.get("verdict") != "pass"]
    if report.get("verdict") != "pass" or closed:
        names = ", ".join(closed) or "verdict"
        raise GateClosed(["verdict"], f"{path} is red ({names}): mend what it names and run `dvc repro`")
    if {gate.get("gate") for gate in gates} != declared(stage, params):
        raise GateClosed(["verdict"], f"{path} does not hold the gates that params.yaml declares: run `dvc repro`")
    now, then = inputs(stage, params), report.get("inputs", {})
    changed = sorted(name for name in now if now[name] != then.get(name))
    if changed:
        raise GateClosed(
            ["verdict"], f"{path} is a verdict on something else ({', '.join(changed)} differ): run `dvc repro`"
        )
    return report
