"""Predict the test rows with the model and both baselines; write predictions, metrics, plots and the reference."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .. import config, model, record, schema
from ..errors import InputError
from ..gates import intervals, metrics, reference, verdict
from ..registry import artefact
from . import split

if TYPE_CHECKING:
    import pandas as pd

REPORT = Path("reports/evaluate.json")
PLOTS = Path("reports/plots")
#: Points kept of a curve: what a plot can show.
POINTS = 200


def predict(train: pd.DataFrame, test: pd.DataFrame, contract: schema.Schema, params: config.Params, fitted: object
            ) -> pd.DataFrame:  # fmt: skip
    """One row per test row: key, time, slices, `actual`, `predicted`, and each baseline's prediction."""
    kept = dict.fromkeys([*contract.key, *filter(None, [contract.time, contract.group]), *params.evaluate.slices])
    absent = [name for name in kept if name not in test]
    if absent:
        raise InputError(f"evaluate.slices: {', '.join(absent)} is no column of the test rows: mend params.yaml")
    frame = test[list(kept)].copy()
    frame["actual"] = contract.encode_target(test[contract.target]).to_numpy()
    frame[contract.scores("predicted")] = columns(model.predict(fitted, test, contract))
    for name in model.BASELINES[contract.task]:
        baseline = model.fit(model.baseline(name, params.train, contract, params.seed), train, contract)
        frame[contract.scores(name)] = columns(model.predict(baseline, test, contract))
    return frame


def columns(predicted: np.ndarray) -> np.ndarray:
    """Predictions as a table's columns: (n, 1), or (n, K)."""
    return predicted.reshape(len(predicted), -1)


def thin(table: pd.DataFrame) -> pd.DataFrame:
    """At most `POINTS` rows of a curve, first and last among them."""
    keep = np.unique(np.linspace(0, len(table) - 1, min(POINTS, len(table))).round().astype(int))
    return table.iloc[keep]


def bins(actual: np.ndarray, predicted: np.ndarray, count: int = 10) -> pd.DataFrame:
    """Mean prediction and mean outcome in bins of equal size, by prediction: the calibration curve."""
    import pandas as pd

    order = pd.Series(predicted).rank(method="first")
    bin_ = pd.qcut(order, min(count, len(order)), labels=False)
    table = pd.DataFrame({"predicted": predicted, "actual": actual}).groupby(bin_.to_numpy()).mean()
    return table.reset_index(drop=True)


def plots(predictions: pd.DataFrame, blocks: np.ndarray, contract: schema.Schema, threshold: float
          ) -> dict[str, pd.DataFrame]:  # fmt: skip
    """The tables that `dvc plots` draws. Curves exist for binary tasks, confusion for classes.

    Of more than two classes, calibration and residuals are those of the class that was chosen.
    """
    import pandas as pd
    from sklearn.metrics import precision_recall_curve, roc_curve

    y, p = predictions["actual"].to_numpy(), metrics.scores(predictions, "predicted", contract)
    said, came = (p.max(axis=1), (p.argmax(axis=1) == y) * 1.0) if contract.task == "multiclass" else (p, y)
    residual = pd.DataFrame({"unit": blocks, "residual": came - said}).groupby("unit", as_index=False).mean()
    tables = {"calibration": bins(came, said), "residuals": thin(residual)}
    if contract.task == "binary":
        fpr, tpr, _ = roc_curve(y, p)
        precision, recall, _ = precision_recall_curve(y, p)
        tables["roc"] = thin(pd.DataFrame({"false_positive_rate": fpr, "true_positive_rate": tpr}))
        tables["precision_recall"] = thin(pd.DataFrame({"recall": recall, "precision": precision}))
    if contract.classes:
        names = np.array([str(value) for value in contract.classes])
        chosen = p.argmax(axis=1) if contract.task == "multiclass" else (p >= threshold) * 1
        tables["confusion"] = pd.DataFrame({"actual": names[y.astype(int)], "predicted": names[chosen]})
    return tables


def main() -> None:
    """Write the predictions, the reference, `reports/evaluate.json` and `reports/plots`. Raises InputError."""
    params, contract = config.load(), schema.load()
    train, test = record.read_parquet(split.TRAIN), record.read_parquet(split.TEST)
    training = record.read_json(verdict.TRAINING)
    fitted = artefact.load(verdict.MODEL, training["digest"])
    predictions = predict(train, test, contract, params, fitted)
    blocks = intervals.units(test, contract, params.gates.resample_by)
    threshold = training["threshold"] if training["threshold"] is not None else float("nan")
    actual = predictions["actual"].to_numpy()
    report: dict[str, object] = {"rows": len(test), "units": len(np.unique(blocks))}
    costs = params.train.cost.false_positive, params.train.cost.false_negative
    for name in ("predicted", *model.BASELINES[contract.task]):
        found = metrics.per_row(contract.task, actual, metrics.scores(predictions, name, contract), threshold, *costs)
        label = "model" if name == "predicted" else name
        report[label] = metrics.summary(found, blocks, params.gates.confidence, params.evaluate.replicates)
    record.write_parquet(predictions, verdict.PREDICTIONS)
    record.write_json(REPORT, report)
    kept = reference.build(train, test, predictions, contract, params.serve.log.private)
    record.write_json(verdict.REFERENCE, kept, indent=None)
    # A plot that is drawn no more would stay in the folder, which is an output.
    shutil.rmtree(PLOTS, ignore_errors=True)
    for name, table in plots(predictions, blocks, contract, threshold).items():
        text = record.rounded(table.to_dict("list"))
        write_csv(PLOTS / f"{name}.csv", text)


def write_csv(path: Path, columns: dict[str, list[object]]) -> None:
    """Write equally long columns as CSV."""
    import csv

    def write(partial: Path) -> None:
        with partial.open("w", encoding="utf-8", newline="") as stream:
            rows = csv.writer(stream, lineterminator="\n")
            rows.writerow(columns)
            rows.writerows(zip(*columns.values(), strict=True))

    record.write_atomically(path, write)
