"""The faults: what goes wrong, how a team gets there, and the gate that must close.

Each `harm` changes a copy of the project and nothing else. They speak of roles in `schema.yaml`, not of one
table's columns, so that they stay true when the table is yours. A fault that finds nothing to break raises.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import yaml

PACKAGE = "{{ cookiecutter.project_slug }}"


@dataclass(frozen=True)
class Fault:
    """One way to go wrong. `gate`: the one that must be among those that close."""

    name: str
    cause: str
    gate: str
    harm: Callable[[Path], None]


def edit(path: Path, old: str, new: str) -> None:
    """Replace `old` in a file; ValueError when it is not there, since a fault that changes nothing proves nothing."""
    text = path.read_text(encoding="utf-8")
    if old not in text:
        raise ValueError(f"{path.name} no longer holds {old!r}: mend the fault")
    path.write_text(text.replace(old, new), encoding="utf-8")


def settings(root: Path, name: str, change: Callable[[dict], None]) -> None:
    """Change a YAML file as a mapping."""
    path = root / name
    tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(tree)
    path.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")


def columns(root: Path, role: str, kind: str = "") -> list[str]:
    """Names of the columns of a role (and type)."""
    declared = yaml.safe_load((root / "schema.yaml").read_text(encoding="utf-8"))["columns"]
    return [n for n, c in declared.items() if c.get("role", "feature") == role and kind in ("", c["type"])]


def bounded(root: Path) -> str:
    """A numeric feature with an upper bound above zero."""
    declared = yaml.safe_load((root / "schema.yaml").read_text(encoding="utf-8"))["columns"]
    return next(n for n in columns(root, "feature", "float") if declared[n].get("max", 0) > 0)


def source(root: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """Change the source's table."""
    path = root / yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))["ingest"]["source"]
    if path.suffix == ".parquet":
        change(pd.read_parquet(path)).to_parquet(path, index=False)
    else:
        change(pd.read_csv(path)).to_csv(path, index=False)


def drop_column(root: Path) -> None:
    """Lose a feature."""
    name = bounded(root)
    source(root, lambda table: table.drop(columns=name))


def change_unit(root: Path) -> None:
    """Give a twentieth of one column in thousandths."""
    name = bounded(root)

    def change(table: pd.DataFrame) -> pd.DataFrame:
        table[name] = table[name].astype("float64")
        table.loc[table.index % 20 == 0, name] += 1.0
        table.loc[table.index % 20 == 0, name] *= 100_000.0
        return table

    source(root, change)


def drop_rows(root: Path) -> None:
    """Drop incomplete rows while splitting."""
    edit(root / PACKAGE / "stages/split.py", "    record.write_parquet(train, TRAIN)",
         "    train = train.dropna()\n    record.write_parquet(train, TRAIN)")  # fmt: skip


def train_on_everything(root: Path) -> None:
    """Leave the test rows in the training rows."""
    edit(root / PACKAGE / "stages/split.py", "frame.loc[~test, kept], ", "frame[kept], ")


def admit_outcome(root: Path) -> None:
    """Make a feature of what is known only afterwards."""
    name = columns(root, "outcome", "float")[-1]

    def change(tree: dict) -> None:
        del tree["columns"][name]["role"]

    settings(root, "schema.yaml", change)


def freeze_learning(root: Path) -> None:
    """Leave a debugging learning rate in the parameters."""

    def change(tree: dict) -> None:
        tree["train"]["arguments"]["learning_rate"] = 1e-6

    settings(root, "params.yaml", change)


def overconfident(root: Path) -> None:
    """Grow one tree until every training row is certain."""

    def change(tree: dict) -> None:
        tree["train"] |= {"estimator": "sklearn.tree.DecisionTreeClassifier", "arguments": {}}

    settings(root, "params.yaml", change)


def stop_early(root: Path) -> None:
    """Ship the quick settings of a trial run."""

    def change(tree: dict) -> None:
        tree["train"]["arguments"] |= {"max_iter": 6, "learning_rate": 0.05}

    settings(root, "params.yaml", change)


def break_slice(root: Path) -> None:
    """Override one slice's answers with a constant that used to be right."""
    params = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))
    name = params["evaluate"]["slices"][0]
    line = '    frame["predicted"] = model.predict(fitted, test, contract)\n'
    override = f'    first = frame["{name}"] == frame["{name}"].iloc[0]\n    frame.loc[first, "predicted"] = 0.55\n'
    edit(root / PACKAGE / "stages/evaluate.py", line, line + override)


def wrong_direction(root: Path) -> None:
    """Believe the opposite of what an expert would."""

    def change(tree: dict) -> None:
        for direction in tree["posttrain"]["directions"]:
            direction["low"], direction["high"] = direction["high"], direction["low"]

    settings(root, "params.yaml", change)


def delete_gate(root: Path) -> None:
    """Delete a gate's test that was in the way."""
    (root / "tests/pretrain/test_target_leak.py").unlink()


def skip_gate(root: Path) -> None:
    """Skip a gate's test for now."""
    edit(root / "tests/pretrain/test_split_leak.py", "@pytest.mark.gate", "@pytest.mark.skip\n@pytest.mark.gate")


def empty_gate(root: Path) -> None:
    """Empty a gate's test."""
    path = root / "tests/pretrain/test_quarantine.py"
    head = path.read_text(encoding="utf-8").split("    report = ")[0]
    path.write_text(head + '    gate.threshold("max_rate")\n', encoding="utf-8")


FAULTS = (
    Fault("a column is dropped", "the source was rebuilt without it", "schema", drop_column),
    Fault("a unit changes", "one feed switched to thousandths", "quarantine", change_unit),
    Fault("rows vanish between stages", "dropna() in a stage", "row_accounting", drop_rows),
    Fault("test rows in training", "the mask was lost in a refactoring", "split_leak", train_on_everything),
    Fault("an outcome as a feature", "its role was deleted from schema.yaml", "target_leak", admit_outcome),
    Fault("nothing is learned", "a debugging learning rate was left in", "smoke_train", freeze_learning),
    Fault("over-confident answers", "an unpruned tree, certain of every answer", "threshold", overconfident),
    Fault("worse than linear", "a trial run's settings were shipped", "baseline", stop_early),
    Fault("one slice is broken", "a hard-coded override", "slices", break_slice),
    Fault("wrong direction", "the effect has the wrong sign", "behaviour", wrong_direction),
    Fault("a gate is deleted", "its test was in the way", "target_leak", delete_gate),
    Fault("a gate is skipped", "for now", "split_leak", skip_gate),
    Fault("a gate is emptied", "it judges nothing", "quarantine", empty_gate),
)
