"""Inner folds imitate the outer split, the threshold is theirs, and nothing is fitted without a verdict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.project_slug }} import model, record
from {{ cookiecutter.project_slug }}.errors import GateClosed, InputError
from {{ cookiecutter.project_slug }}.gates import metrics, verdict
from {{ cookiecutter.project_slug }}.registry import artefact
from {{ cookiecutter.project_slug }}.stages import split, train

Make = Callable[..., Any]
RIDGE = {"estimator": "sklearn.linear_model.Ridge"}


def pairs(frame: pd.DataFrame, contract: Any, params: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """The inner folds; no row is on both sides of one."""
    found = list(train.folds(frame, contract, params))
    assert all(not set(fitted) & set(held) for fitted, held in found)
    return found


def test_time_folds_predict_days_from_the_days_before(rows_of: Make, contract_of: Make, params_of: Make) -> None:
    """Whole days, and never the future."""
    frame = rows_of()
    found = pairs(frame, contract_of(), params_of())
    assert len(found) == 3
    for fitted, held in found:
        assert frame["when"].iloc[fitted].max().normalize() < frame["when"].iloc[held].min().normalize()
    few = pairs(frame[frame["when"] < "2024-01-04"], contract_of(), params_of(train={"folds": 20}))
    assert len(few) == 2


def test_group_folds_keep_entities_together(rows_of: Make, contract_of: Make, params_of: Make) -> None:
    """Each row is held out once."""
    frame = rows_of()
    found = pairs(frame, contract_of(), params_of(split={"by": "group"}))
    for fitted, held in found:
        assert not set(frame["who"].iloc[fitted]) & set(frame["who"].iloc[held])
    assert sorted(np.concatenate([held for _, held in found])) == list(range(200))


@pytest.mark.parametrize("way", ["hash", "stratified"])
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_random_folds_hold_each_row_out_once(
    rows_of: Make, contract_of: Make, params_of: Make, way: str, task: str
) -> None:
    """With each class's share for a binary target; the same folds every time."""
    frame, contract, params = rows_of(), contract_of(task), params_of(split={"by": way})
    found = pairs(frame, contract, params)
    assert sorted(np.concatenate([held for _, held in found])) == list(range(200))
    if task == "binary":
        counts = [frame["late"].iloc[held].sum() for _, held in found]
        assert max(counts) - min(counts) <= 1
    again = pairs(frame, contract, params)
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(found, again, strict=True))


@pytest.mark.parametrize(("way", "rows"), [("time", 8), ("group", 2), ("hash", 2)])
def test_folds_that_cannot_be_made_are_one_line(
    rows_of: Make, contract_of: Make, params_of: Make, way: str, rows: int
) -> None:
    """Too few days, entities or rows."""
    with pytest.raises(InputError, match="train.folds: 3 folds cannot be made of the"):
        train.out_of_fold(rows_of().iloc[:rows], contract_of(), params_of(split={"by": way}))


def test_predictions_are_out_of_fold(rows_of: Make, contract_of: Make, params_of: Make) -> None:
    """A model that learns each row by heart gains nothing on noise."""
    frame = rows_of().assign(late=np.random.default_rng(9).integers(0, 2, 200))
    tree = {"estimator": "sklearn.tree.DecisionTreeClassifier", "encoding": "ordinal"}
    held, p = train.out_of_fold(frame, contract_of(), params_of(train=tree, split={"by": "hash"}))
    assert len(held) == len(p) == 200
    assert 0.35 < metrics.brier(frame["late"].to_numpy()[held], p).mean() < 0.65


def test_a_fold_with_one_class_is_left_out(rows_of: Make, contract_of: Make, params_of: Make) -> None:
    """Nothing could be fitted there; with no fold left the threshold is the plain one and there are no metrics."""
    late = rows_of().assign(late=lambda f: ((f["when"] >= "2024-01-04") & (f["late"] == 1)).astype(int))
    held, _ = train.out_of_fold(late, contract_of(), params_of())
    assert 0 < len(held) < 150
    never = rows_of().assign(late=0)
    assert train.cross_validate(never, contract_of(), params_of()) == {"rows": 0, "threshold": 0.5}


def test_the_threshold_is_the_cheapest_out_of_fold(rows_of: Make, contract_of: Make, params_of: Make) -> None:
    """A missed case that costs more lowers it."""
    frame, contract = rows_of(), contract_of()
    found = train.cross_validate(frame, contract, params_of())
    held, p = train.out_of_fold(frame, contract, params_of())
    y = frame["late"].to_numpy()[held]
    assert found["threshold"] == metrics.tuned_threshold(y, p, 1, 3)
    assert found["metrics"]["brier"]["value"] == pytest.approx(metrics.brier(y, p).mean())
    assert found["rows"] == len(held)
    dear = train.cross_validate(frame, contract, params_of(train={"cost": {"false_negative": 50}}))
    assert dear["threshold"] < found["threshold"]


def test_a_regression_has_no_threshold(rows_of: Make, contract_of: Make, params_of: Make) -> None:
    """And its error is far below the target's spread."""
    found = train.cross_validate(rows_of(), contract_of("regression"), params_of(train=RIDGE))
    assert "threshold" not in found
    assert 5 < found["metrics"]["mae"]["value"] < 13
    assert found["metrics"]["mae"]["low"] < found["metrics"]["mae"]["value"] < found["metrics"]["mae"]["high"]


def test_several_classes_have_no_threshold(rows_of: Make, contract_of: Make, params_of: Make) -> None:
    """And are told apart better than by chance; no fold gives no metrics."""
    contract = contract_of("multiclass")
    found = train.cross_validate(rows_of(), contract, params_of())
    assert "threshold" not in found
    assert found["metrics"]["auc"]["value"] > 0.7
    assert train.cross_validate(rows_of().assign(status="short"), contract, params_of()) == {"rows": 0}


@pytest.mark.parametrize("change", ["features.py", "model.py", "schema", "train"])
def test_a_recipe_is_all_that_newer_rows_leave_as_it_is(
    project: Any, monkeypatch: pytest.MonkeyPatch, contract_of: Make, params_of: Make, change: str
) -> None:
    """Another column, parameter, feature or estimator is another recipe; another seed or split is not."""
    for name in ("features.py", "model.py"):
        project.write(name, "# first\n")
    monkeypatch.setattr(train, "FEATURES", project.root / "features.py")
    before = train.recipe(params_of(), contract_of())
    assert train.recipe(params_of(seed=8, split={"test_days": 9}), contract_of()) == before
    if change.endswith(".py"):
        project.write(change, "# second\n")
    contract = contract_of(size={"max": 99}) if change == "schema" else contract_of()
    assert train.recipe(params_of(train={"folds": 4} if change == "train" else {}), contract) != before


@pytest.fixture
def gated(project: Any, rows_of: Make, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """A project of a task with a green pre-train verdict; what is journalled is kept in `journalled`."""

    def make(task: str) -> Any:
        project.schema(task)
        params = project.params(train=RIDGE if task == "regression" else {}, split={"by": "hash"})
        others = {"late", "status", "minutes"} - {project.schema(task).target}
        for path, seed in ((split.TRAIN, 1), (split.TEST, 2)):
            record.write_parquet(rows_of(200, seed).drop(columns=[*others, "delay"]), path)
        gate = {"gate": "first", "verdict": "pass", "reason": "fine"}
        inputs = verdict.inputs("pretrain", params)
        record.write_json(verdict.REPORTS["pretrain"], {"verdict": "pass", "gates": [gate], "inputs": inputs})
        project.journalled = []
        monkeypatch.setattr(train.journal, "log", lambda *given: project.journalled.append(given))
        return project

    return make


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_stage_writes_a_model_and_how_it_came_about(gated: Callable[[str], Any], task: str) -> None:
    """The model predicts as one fitted on all training rows; training twice gives equal files."""
    project = gated(task)
    train.main()
    training = record.read_json(verdict.TRAINING)
    first = record.file_sha256(verdict.MODEL), record.file_sha256(verdict.TRAINING)
    train.main()
    assert (record.file_sha256(verdict.MODEL), record.file_sha256(verdict.TRAINING)) == first
    fitted = artefact.load(verdict.MODEL, training["digest"])
    frame, contract, params = record.read_parquet(split.TRAIN), project.schema(task), project.params()
    again = model.fit(model.build(params.train, contract, params.seed), frame, contract)
    assert np.array_equal(model.predict(fitted, frame, contract), model.predict(again, frame, contract))
    assert (training["task"], training["rows"], training["inner_folds"]["rows"]) == (task, 200, 200)
    assert (training["threshold"] is None) == (task != "binary")
    assert [given[1]["digest"] for given in project.journalled] == [training["digest"]] * 2


def test_nothing_is_fitted_without_a_verdict_on_these_rows(gated: Callable[[str], Any], rows_of: Make) -> None:
    """The training rows changed after the gates had judged them."""
    project = gated("binary")
    record.write_parquet(rows_of(200, 5), split.TRAIN)
    with pytest.raises(GateClosed, match="train differ"):
        train.main()
    assert not verdict.MODEL.exists()
    assert project.journalled == []
