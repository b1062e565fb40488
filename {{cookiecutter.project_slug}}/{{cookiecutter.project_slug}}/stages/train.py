"""Fit the pipeline on the training rows, behind the pre-train verdict.

Inner folds give out-of-fold predictions, from which the cross-validated metrics and, for a binary task, the
decision threshold come; the model itself is then fitted on all training rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import config, model, record, schema
from ..errors import InputError
from ..gates import intervals, metrics, verdict
from ..registry import artefact, golden, journal
from . import split

if TYPE_CHECKING:
    import pandas as pd

FEATURES = Path(__file__).resolve().parent.parent / "features.py"


def folds(frame: pd.DataFrame, contract: schema.Schema, params: config.Params
          ) -> Iterator[tuple[np.ndarray, np.ndarray]]:  # fmt: skip
    """Row positions (fit, held out) of each inner fold, in the manner of the outer split.

    time: each block of days is predicted from the days before it. group: entities stay together. Otherwise:
    random, stratified by class for a binary target.
    """
    from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold, TimeSeriesSplit

    count, by = params.train.folds, params.split.by
    if by == "time":
        blocks = intervals.units(frame, contract, "day")
        days = np.unique(blocks)
        for before, after in TimeSeriesSplit(min(count, len(days) - 1)).split(days):
            yield np.flatnonzero(np.isin(blocks, days[before])), np.flatnonzero(np.isin(blocks, days[after]))
    elif by == "group":
        yield from GroupKFold(count).split(frame, groups=frame[str(contract.group)])
    elif contract.classes:
        target = contract.encode_target(frame[contract.target])
        yield from StratifiedKFold(count, shuffle=True, random_state=params.seed).split(frame, target)
    else:
        yield from KFold(count, shuffle=True, random_state=params.seed).split(frame)


def out_of_fold(frame: pd.DataFrame, contract: schema.Schema, params: config.Params) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the rows some fold held out, and their predictions; both of shape (m,)."""
    held, predicted = [], []
    try:
        pairs = list(folds(frame, contract, params))
    except ValueError as error:
        raise InputError(f"train.folds: {params.train.folds} folds cannot be made of the {len(frame)} training rows:"
                         f" {error}") from error  # fmt: skip
    for fitted, out in pairs:
        if contract.encode_target(frame[contract.target].iloc[fitted]).nunique() < 2:
            continue
        pipeline = model.build(params.train, contract, params.seed)
        model.fit(pipeline, frame.iloc[fitted], contract)
        held.append(out)
        predicted.append(model.predict(pipeline, frame.iloc[out], contract))
    if not held:
        return np.empty(0, dtype=int), np.empty((0, len(contract.classes)) if contract.task == "multiclass" else 0)
    return np.concatenate(held), np.concatenate(predicted)


def cross_validate(frame: pd.DataFrame, contract: schema.Schema, params: config.Params) -> dict[str, Any]:
    """Cross-validated metrics with bounds over blocks and, for a binary task, the decision threshold."""
    held, p = out_of_fold(frame, contract, params)
    y = contract.encode_target(frame[contract.target]).to_numpy()[held]
    costs = params.train.cost.false_positive, params.train.cost.false_negative
    result: dict[str, Any] = {"rows": len(held)}
    threshold = 0.5
    if contract.task == "binary":
        result["threshold"] = threshold = metrics.tuned_threshold(y, p, *costs) if len(y) else 0.5
    blocks = intervals.units(frame, contract, params.gates.resample_by)[held]
    if len(np.unique(blocks)) > 1:
        losses = metrics.per_row(contract.task, y, p, threshold, *costs)
        result["metrics"] = metrics.summary(losses, blocks, params.gates.confidence, intervals.REPLICATES)
    return result


def recipe(params: config.Params, contract: schema.Schema) -> str:
    """SHA-256 of what a retraining on newer rows leaves as it is: parameters, columns, features and estimator code."""
    code = {path.name: record.file_sha256(path) for path in (FEATURES, FEATURES.with_name("model.py"))}
    parts = {"train": params.train.model_dump(mode="json"), "schema": contract.model_dump(mode="json"), **code}
    return record.value_sha256(parts)


def main() -> None:
    """Write `model/model.skops` and `model/training.json`, and journal the run. Raises GateClosed, InputError."""
    params, contract = config.load(), schema.load()
    verdict.require("pretrain", params)
    frame = record.read_parquet(split.TRAIN)
    inner = cross_validate(frame, contract, params)
    pipeline = model.fit(model.build(params.train, contract, params.seed), frame, contract)
    artefact.dump(pipeline, verdict.MODEL)
    golden.write(pipeline, frame, contract, params.seed, params.serve.log.private)
    training = {
        "digest": artefact.digest(verdict.MODEL, FEATURES),
        "task": contract.task,
        "estimator": params.train.estimator,
        "recipe": recipe(params, contract),
        "threshold": inner.pop("threshold", None),
        "rows": len(frame),
        "inner_folds": inner,
    }
    record.write_json(verdict.TRAINING, training)
    journal.log(params, training)
