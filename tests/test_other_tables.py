"""The generated project on tables that are not the flights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from running import aliases, command, copy_of, run, works

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
    schema = {"task": "regression", "columns": {"patient": {"type": "int", "role": "key"}, **number}}
    schema["columns"]["target"] = {"type": "float", "role": "target"}  # type: ignore[index]
    (project / "schema.yaml").write_text(yaml.safe_dump(schema, sort_keys=False), encoding="utf-8")
    params = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    params["ingest"] = {"source": "rows_*.csv", "start": None, "end": None}
    params["validate"]["min_rows"] = 400
    params["split"] |= {"by": "hash", "test_share": 0.4}
    params["train"] |= {"estimator": "sklearn.linear_model.Ridge", "arguments": {"alpha": 2.0}, "encoding": "onehot"}
    params["evaluate"]["slices"] = []
    params["posttrain"]["directions"] = [{"column": "bmi", "low": 20.0, "high": 35.0, "expect": "up"}]
    params["posttrain"]["functionality"] = [{"given": {"bmi": 35.0, "bp": 110.0}, "above": 100.0}]
    params["gates"]["resample_by"] = "row"
    known = "a blood value that doctors know to be telling"
    params["gates"]["pretrain"]["target_leak"]["accept"] = {"s5": known}
    del params["gates"]["posttrain"]["slices"]
    params["gates"]["posttrain"]["threshold"] = {"metric": "mae", "at_most": 60.0}
    params["gates"]["posttrain"]["baseline"] = {"linear_margin": 5.0}
    params["gates"]["posttrain"]["calibration"] = {"at_most": 0.1}
    params["promote"] |= {"guardrails": {"mse": 500.0}, "min_rows": 100}
    (project / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    pipeline = project / "dvc.yaml"
    text = pipeline.read_text(encoding="utf-8").replace("demo/flights.parquet", "rows_1.csv\n      - rows_2.csv")
    pipeline.write_text(text, encoding="utf-8")
    (project / "tests/posttrain/test_slices.py").unlink()
    works(run(project, "git", "add", "-A"))
    works(run(project, "git", "commit", "-qm", "Our own table"))
    return project


def test_regression_from_csv_files_reaches_a_champion(diabetes: Path) -> None:
    """CSV glob, numeric target, hashed split, no time column, a linear model: every gate runs, a champion is made."""
    works(run(diabetes, "dvc", "repro"))
    gates = json.loads((diabetes / "reports/posttrain.json").read_text(encoding="utf-8"))["gates"]
    assert {gate["gate"]: gate["verdict"] for gate in gates} == dict.fromkeys(
        ("artefact", "baseline", "behaviour", "calibration", "latency", "refit", "threshold"), "pass"
    )
    works(command(diabetes, "promote"))
    assert set(aliases(diabetes)) == {"champion", "challenger"}
    assert {path.stem for path in (diabetes / "reports/plots").iterdir()} == {"calibration", "residuals"}
