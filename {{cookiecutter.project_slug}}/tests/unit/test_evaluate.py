"""Predictions, metrics and plots of the test rows, for the model and for both baselines."""

from __future__ import annotations

import csv
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.project_slug }} import model, record
from {{ cookiecutter.project_slug }}.errors import GateClosed, InputError
from {{ cookiecutter.project_slug }}.gates import verdict
from {{ cookiecutter.project_slug }}.registry import artefact
from {{ cookiecutter.project_slug }}.stages import evaluate, split, train

Make = Callable[..., Any]


@pytest.fixture
def evaluated(project: Any, rows_of: Make) -> Callable[..., Any]:
    """A project with a fitted model, evaluated."""

    def make(task: str, **changes: Any) -> Any:
        contract = project.schema(task)
        ridge = {"train": {"estimator": "sklearn.linear_model.Ridge"}} if task == "regression" else {}
        params = project.params(**ridge, **changes)
        frame = rows_of(400)
        parts = frame[frame["when"] < "2024-01-08"], frame[frame["when"] >= "2024-01-08"]
        for path, part in zip((split.TRAIN, split.TEST), parts, strict=True):
            record.write_parquet(part[[*contract.inputs, "id", "who", contract.target]], path)
        fitted = model.fit(model.build(params.train, contract, params.seed), parts[0], contract)
        artefact.dump(fitted, verdict.MODEL)
        threshold = 0.3 if task == "binary" else None
        digest = artefact.digest(verdict.MODEL, train.FEATURES)
        record.write_json(verdict.TRAINING, {"digest": digest, "threshold": threshold})
        evaluate.main()
        return project

    return make


def plot(name: str) -> list[dict[str, str]]:
    """The rows of a plot's table."""
    with (evaluate.PLOTS / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_classifier_is_evaluated(evaluated: Callable[..., Any]) -> None:
    """Metrics are those of the predictions that were written; the model beats knowing nothing."""
    report = evaluated("binary").report("evaluate")
    rows = record.read_parquet(verdict.PREDICTIONS)
    test = record.read_parquet(split.TEST)
    assert list(rows) == ["id", "when", "who", "place", "actual", "predicted", "dummy", "linear"]
    assert rows["actual"].tolist() == test["late"].tolist()
    assert report["rows"] == len(test)
    assert report["units"] == 3
    for label, column in (("model", "predicted"), ("dummy", "dummy"), ("linear", "linear")):
        brier = ((rows[column] - rows["actual"]) ** 2).mean()
        assert report[label]["brier"]["value"] == pytest.approx(brier, rel=1e-5)
    assert report["model"]["brier"]["value"] < report["dummy"]["brier"]["value"]
    assert report["dummy"]["auc"]["value"] == 0.5
    wrong_yes = ((rows["predicted"] >= 0.3) & (rows["actual"] == 0)).mean()
    wrong_no = ((rows["predicted"] < 0.3) & (rows["actual"] == 1)).mean()
    assert report["model"]["cost"]["value"] == pytest.approx(wrong_yes + 3 * wrong_no, rel=1e-5)


def test_a_classifiers_plots_can_be_drawn(evaluated: Callable[..., Any]) -> None:
    """Curves run from corner to corner; confusion counts every row by the target's own values."""
    evaluated("binary")
    rows = record.read_parquet(verdict.PREDICTIONS)
    assert {path.stem for path in evaluate.PLOTS.iterdir()} == {
        "calibration", "residuals", "roc", "precision_recall", "confusion",
    }  # fmt: skip
    roc = [(float(row["false_positive_rate"]), float(row["true_positive_rate"])) for row in plot("roc")]
    assert (roc[0], roc[-1]) == ((0.0, 0.0), (1.0, 1.0))
    assert float(plot("precision_recall")[0]["recall"]) == 1.0
    confusion = plot("confusion")
    assert len(confusion) == len(rows)
    chosen = sum(row["predicted"] == "1" for row in confusion)
    assert chosen == (rows["predicted"] >= 0.3).sum()
    calibration = plot("calibration")
    assert len(calibration) == 10
    assert np.mean([float(row["actual"]) for row in calibration]) == pytest.approx(rows["actual"].mean(), abs=0.02)
    assert len(plot("residuals")) == 3


def test_several_classes_are_evaluated(evaluated: Callable[..., Any]) -> None:
    """A column of scores per class and model; confusion names classes, calibration is that of the chosen one."""
    report = evaluated("multiclass").report("evaluate")
    rows = record.read_parquet(verdict.PREDICTIONS)
    assert list(rows)[5:] == [f"{name}.{k}" for name in ("predicted", "dummy", "linear") for k in range(3)]
    p = rows[["predicted.0", "predicted.1", "predicted.2"]].to_numpy()
    assert set(report["model"]) == {"brier", "log_loss", "auc", "accuracy"}
    assert report["model"]["accuracy"]["value"] == pytest.approx((p.argmax(1) == rows["actual"]).mean(), rel=1e-5)
    assert report["model"]["brier"]["value"] < report["dummy"]["brier"]["value"]
    assert {path.stem for path in evaluate.PLOTS.iterdir()} == {"calibration", "residuals", "confusion"}
    names = np.array(["short", "long", "middle"])
    assert [row["predicted"] for row in plot("confusion")] == names[p.argmax(1)].tolist()
    assert np.mean([float(row["predicted"]) for row in plot("calibration")]) == pytest.approx(p.max(1).mean(), abs=0.02)


def test_a_regression_is_evaluated(evaluated: Callable[..., Any]) -> None:
    """In the target's unit; curves and confusion exist for binary tasks only."""
    report = evaluated("regression").report("evaluate")
    rows = record.read_parquet(verdict.PREDICTIONS)
    assert set(report["model"]) == {"mae", "mse", "bias"}
    assert report["model"]["mae"]["value"] == pytest.approx((rows["predicted"] - rows["actual"]).abs().mean(), rel=1e-5)
    assert report["model"]["mae"]["high"] < report["dummy"]["mae"]["low"]
    assert {path.stem for path in evaluate.PLOTS.iterdir()} == {"calibration", "residuals"}


def test_slices_and_roles_are_kept_once(rows_of: Make, contract_of: Make, params_of: Make) -> None:
    """A slice that is also the group; a contract without time and group."""
    frame, contract = rows_of(), contract_of()
    fitted = model.fit(model.build(params_of().train, contract, 7), frame, contract)
    found = evaluate.predict(frame, frame, contract, params_of(evaluate={"slices": ["who", "place"]}), fitted)
    assert list(found)[:4] == ["id", "when", "who", "place"]
    bare = contract_of(when=..., who=...)
    fitted = model.fit(model.build(params_of().train, bare, 7), frame, bare)
    found = evaluate.predict(frame, frame, bare, params_of(evaluate={"slices": []}), fitted)
    assert list(found) == ["id", "actual", "predicted", "dummy", "linear"]


@pytest.mark.parametrize("column", ["nowhere", "delay"])
def test_a_slice_that_is_no_column_is_named(evaluated: Callable[..., Any], column: str) -> None:
    """An outcome column is none, either: it ended at the split."""
    with pytest.raises(InputError, match=f"evaluate.slices: {column} is no column"):
        evaluated("binary", evaluate={"slices": [column]})


def test_another_model_file_is_refused(evaluated: Callable[..., Any]) -> None:
    """The digest that training recorded is what is evaluated."""
    evaluated("binary")
    record.write_json(verdict.TRAINING, {"digest": "0" * 64, "threshold": 0.5})
    with pytest.raises(GateClosed, match="are not the model recorded as 000000000000"):
        evaluate.main()


def test_curves_are_thinned_from_end_to_end() -> None:
    """Few points stay as they are; of many, first and last stay."""
    short, long = pd.DataFrame({"x": range(5)}), pd.DataFrame({"x": range(10_000)})
    assert evaluate.thin(short)["x"].tolist() == [0, 1, 2, 3, 4]
    thinned = evaluate.thin(long)["x"]
    assert len(thinned) == evaluate.POINTS
    assert (thinned.iloc[0], thinned.iloc[-1]) == (0, 9999)


def test_bins_have_equal_sizes_also_for_equal_predictions() -> None:
    """Ties are divided, and fewer rows than bins are one bin each."""
    y = np.array([0.0, 1.0] * 50)
    assert evaluate.bins(y, np.full(100, 0.3))["predicted"].tolist() == pytest.approx([0.3] * 10)
    assert evaluate.bins(y[:4], np.array([0.1, 0.2, 0.3, 0.4]))["actual"].tolist() == [0.0, 1.0, 0.0, 1.0]
