"""An expectation is tried on many rows; one that does not fit the schema is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.project_slug }} import config
from {{ cookiecutter.project_slug }}.errors import InputError
from {{ cookiecutter.project_slug }}.gates import behaviour
from {{ cookiecutter.project_slug }}.stages import validate

Make = Callable[..., behaviour.Trial]


@pytest.fixture
def trial(contract_of: Callable[..., Any], rows_of: Callable[..., pd.DataFrame]) -> Make:
    """A hundred rows and a model, on which expectations are tried."""

    def make(predict: Callable[[pd.DataFrame], Any], task: str = "binary") -> behaviour.Trial:
        return behaviour.Trial(rows_of(100), contract_of(task), predict, validate.cast)

    return make


def direction(expect: str, **changes: Any) -> config.Direction:
    """`size` from 10 to 60."""
    return config.Direction.model_validate({"column": "size", "low": 10, "high": 60, "expect": expect, **changes})


def functionality(**changes: Any) -> config.Functionality:
    """With size 60."""
    return config.Functionality.model_validate({"given": {"size": 60}, **changes})


def test_all_rows_get_the_value_in_the_columns_own_type(trial: Make) -> None:
    """And keep the rest; the rows themselves are left alone."""
    seen: list[pd.DataFrame] = []
    made = trial(lambda rows: seen.append(rows) or np.zeros(len(rows)))
    before = made.rows.copy()
    given = {"size": None, "place": "b", "open": False, "when": "2024-02-03 04:05:06"}
    assert made.with_inputs(given, None).tolist() == [0.0] * 100
    assert seen[0]["size"].isna().all()
    assert (seen[0]["place"] == "b").all()
    assert seen[0]["open"].tolist() == [False] * 100
    assert (seen[0]["when"] == pd.Timestamp("2024-02-03 04:05:06")).all()
    assert seen[0].drop(columns=list(given)).equals(before.drop(columns=list(given)))
    assert made.rows.equals(before)


@pytest.mark.parametrize(
    ("expect", "slope", "rate", "alive"),
    [
        ("up", 0.01, 0.0, True), ("up", -0.01, 1.0, False), ("up", 0.0, 0.0, False),
        ("down", -0.01, 0.0, True), ("down", 0.01, 1.0, False), ("down", 0.0, 0.0, False),
        ("same", 0.0, 0.0, True), ("same", 0.01, 1.0, True), ("same", -0.01, 1.0, True),
        ("up", -0.002, 0.0, False), ("down", 0.002, 0.0, False),
        ("same", 0.002, 0.0, True), ("same", -0.002, 0.0, True),
    ],
)  # fmt: skip
def test_a_move_is_judged_by_its_sign_beyond_the_tolerance(
    trial: Make, expect: str, slope: float, rate: float, alive: bool
) -> None:
    """Within 0.1, exactly 0.1 included, nothing is wrong; but what never moves the expected way is not alive."""
    found = behaviour.direction(direction(expect), trial(lambda rows: slope * rows["size"].to_numpy()), 0.1)
    assert (found.rate, found.alive) == (rate, alive)
    assert found.case == f"size {expect}"
    assert found.said == (
        f"size from 10 to 60, expected {expect}: {rate:.2%} of cases move wrongly"
        + ("" if alive else ", and none moves at all")
    )


def test_the_rate_is_a_share_of_rows_and_no_number_fails(trial: Make) -> None:
    """A third of the places falls; a NaN neither rises nor stays."""
    odd = trial(lambda rows: rows["size"].to_numpy() * np.where(rows["place"] == "a", -1, 1))
    found = behaviour.direction(direction("up"), odd, 0.0)
    assert found.rate == (odd.rows["place"] == "a").mean()
    assert found.alive
    nothing = trial(lambda rows: np.where(rows["place"] == "a", np.nan, rows["size"]))
    for expect in ("up", "same"):
        least = (nothing.rows["place"] == "a").mean()
        assert behaviour.direction(direction(expect), nothing, 100.0).rate == least
    lies = behaviour.functionality(functionality(above=1.0), nothing)
    assert lies.rate == least


@pytest.mark.parametrize(
    ("side", "rate"),
    [({"above": 0.5}, 0.0), ({"above": 0.6}, 1.0), ({"below": 0.7}, 0.0), ({"below": 0.6}, 1.0), ({"above": 0}, 0.0)],
)
def test_a_prediction_must_lie_beyond_the_limit(trial: Make, side: dict[str, float], rate: float) -> None:
    """The limit itself does not count."""
    found = behaviour.functionality(functionality(**side), trial(lambda rows: rows["size"].to_numpy() / 100))
    name, limit = next(iter(side.items()))
    assert (found.rate, found.alive, found.case) == (rate, True, f"size {name} {limit:g}")
    assert found.said == f"given size 60: {rate:.2%} of cases are not {name} {limit:g}"


def test_several_inputs_are_given_at_once(trial: Make) -> None:
    """All are in the name."""
    made = trial(lambda rows: rows["size"].to_numpy() / 100 + (rows["place"] == "c"))
    found = behaviour.functionality(functionality(given={"size": 60, "place": "c"}, above=1.5), made)
    assert (found.rate, found.case) == (0.0, "size, place above 1.5")
    assert found.said.startswith("given size 60, place c: ")


def test_of_several_classes_one_is_meant(trial: Make) -> None:
    """Its probability is what moves, in the order of the schema."""
    made = trial(
        lambda rows: np.column_stack([1 - rows["size"] / 100, rows["size"] / 100, 0 * rows["size"]]), "multiclass"
    )
    up = behaviour.direction(direction("up", **{"class": "long"}), made, 0.0)
    assert (up.rate, up.alive, up.case) == (0.0, True, "size up of long")
    assert behaviour.direction(direction("up", **{"class": "short"}), made, 0.0).rate == 1.0
    assert behaviour.direction(direction("same", **{"class": "middle"}), made, 0.0).rate == 0.0
    lies = behaviour.functionality(functionality(above=0.5, **{"class": "long"}), made)
    assert (lies.rate, lies.case) == (0.0, "size above 0.5 of long")


@pytest.mark.parametrize(
    ("task", "changes", "said"),
    [
        ("binary", {"column": "weight"}, "weight is no input of schema.yaml"),
        ("binary", {"column": "delay"}, "delay is no input of schema.yaml"),
        ("binary", {"low": "tall"}, r"'tall' is no value of size \(float\): mend"),
        ("binary", {"column": "when", "high": "soon"}, r"(10|'soon') is no value of when \(datetime\)"),
        ("binary", {"column": "place", "low": "a", "high": "d"}, r"'d' is no value of place \(category\)"),
        ("binary", {"column": "open", "low": None}, r"None is no value of open \(bool\)"),
        ("binary", {"class": "long"}, "class long is only for a multiclass task"),
        ("multiclass", {}, "needs class: whose probability is meant"),
        ("multiclass", {"class": "tall"}, "class tall is none of short, long, middle: mend"),
    ],
)
def test_an_expectation_that_does_not_fit_the_schema_is_named(
    trial: Make, task: str, changes: dict[str, Any], said: str
) -> None:
    """In one line."""
    with pytest.raises(InputError, match=f"^posttrain: .*{said}") as caught:
        behaviour.direction(direction("up", **changes), trial(lambda rows: np.zeros((len(rows), 3)), task), 0.1)
    assert "\n" not in str(caught.value)


def test_expectations_come_in_order_and_none_is_refused(trial: Make, params_of: Callable[..., config.Params]) -> None:
    """Directions first; without any, the gate would judge nothing."""
    made = trial(lambda rows: rows["size"].to_numpy() / 100)
    up, above = direction("up").model_dump(by_alias=True), functionality(above=0.7).model_dump(by_alias=True)

    def tried(**changes: Any) -> list[tuple[str, float]]:
        posttrain = params_of(posttrain={"directions": [], "functionality": [], "cases": 20, **changes}).posttrain
        return [(found.case, found.rate) for found in behaviour.findings(posttrain, made, 0.0)]

    assert tried(directions=[up], functionality=[above]) == [("size up", 0.0), ("size above 0.7", 1.0)]
    assert tried(directions=[up]) == [("size up", 0.0)]
    assert tried(functionality=[above]) == [("size above 0.7", 1.0)]
    with pytest.raises(InputError, match="are empty, so that nothing is judged: say"):
        tried()
