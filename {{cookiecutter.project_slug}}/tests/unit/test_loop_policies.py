"""The policies beside the gated loop: the stages' own split and model, faults and all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.project_slug }} import config, model, schema
from {{ cookiecutter.project_slug }}.loop import policies, table
from {{ cookiecutter.project_slug }}.registry import artefact

from . import small_project, small_walk


def served(faults: dict[str, int]) -> policies.Always:
    known = small_walk.made()
    _, months = table.months(known, False, small_walk.params().ingest)
    return policies.Always(known, months, small_walk.params(), {fault: months[i] for fault, i in faults.items()})


def test_the_first_model_is_the_one_that_the_pipeline_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a project's `train` fits on the first window, and what the policy does, say the same of a later month."""
    small_project.make(tmp_path / "project", monkeypatch)
    rows = small_walk.ROWS[small_walk.ROWS["when"] < "2020-03-31"]
    train, test = policies.parts(rows, schema.load(), config.load())
    assert (len(train), len(test)) == (60 * 20, 30 * 20)
    fitted = artefact.load(Path("model/model.skops"))
    later = small_walk.ROWS[small_walk.ROWS["when"] >= "2020-04-01"]
    ours = model.fit(model.build(config.load().train, schema.load(), config.load().seed), train, schema.load())
    np.testing.assert_array_equal(
        model.predict(fitted, later, schema.load()), model.predict(ours, later, schema.load())
    )


def test_every_month_is_served_by_the_model_of_the_rows_before_it() -> None:
    always = served({})
    assert [always.deployed(i) for i in range(4)] == [(0, False), (1, False), (2, False), (3, False)]
    np.testing.assert_array_equal(always.answers(2), always.predict(always.fitted(2), 2))
    assert not np.array_equal(always.said(0, 2), always.said(2, 2))
    assert always.rows(2)["when"].max() == pd.Timestamp("2020-05-31")
    ages = always.ages()
    assert set(ages) == {(i, j) for j in range(4) for i in range(j + 1)}
    assert ages[0, 0] == 30 + 31  # the last training row is of 1 March: 30 days are held out
    assert ages[0, 3] > ages[2, 3] > ages[3, 3]
    always.close()


def test_a_fault_of_rows_stays_in_the_training_rows_and_a_stuck_sensor_in_those_served() -> None:
    always = served({table.SENSOR: 0, table.LABELS: 1, table.OUTAGE: 2})
    name, value = always.stuck.result() or ("", 0.0)
    assert name in ("x", "z")
    assert set(always.as_served(0)[name]) == {value}
    assert always.as_served(1)[name].nunique() > 100
    rows = always.rows(3)
    month = rows["when"].dt.month
    assert set(rows.loc[month == 4, name]) == {value}
    truth = small_walk.ROWS.loc[rows.index[month == 5], "late"]
    assert (rows.loc[month == 5, "late"] == 1 - truth).all()
    assert not (month == 6).any()
    assert always.rows(0)[name].nunique() > 100
    always.close()


def test_a_killed_trainer_leaves_the_old_model_and_a_tampered_one_says_the_opposite() -> None:
    always = served({table.KILLED: 0, table.TAMPERED: 2})
    assert [always.deployed(i) for i in range(4)] == [(0, False), (0, False), (2, False), (3, True)]
    np.testing.assert_array_equal(always.answers(1), always.said(0, 1))
    assert np.corrcoef(always.answers(3), always.said(3, 3))[0, 1] < -0.9
    assert always.stuck.result() is None
    always.close()
