"""What a walk says: comparisons over blocks, the age at which a model is stale, and the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from {{ cookiecutter.project_slug }} import record
from {{ cookiecutter.project_slug }}.gates import intervals, metrics
from {{ cookiecutter.project_slug }}.loop import figures, page, table

from . import small_walk


def answers(shift: float, always: float = 0.0) -> figures.Answers:
    """Three months of rows; `gated` errs by 0.3 + `shift` plus some noise, the others by 0.3, or `always` more."""
    rows = small_walk.ROWS[small_walk.ROWS["when"] >= "2020-04-01"].reset_index(drop=True)
    y = rows["late"].to_numpy()
    noise = np.random.default_rng(0).normal(0, 0.01, len(y))
    said = {
        name: np.abs(y - 0.3 - by) for name, by in (("frozen", noise), ("always", always + noise), ("gated", shift))
    }
    return figures.Answers(rows, y, rows["when"].dt.month.to_numpy() - 4, said)


def test_figures_are_the_mean_loss_and_the_auc_where_there_is_one() -> None:
    y, p = np.array([0, 1, 1, 0]), np.array([0.2, 0.4, 0.9, 0.5])
    assert figures.figures("binary", y, p) == {"loss": pytest.approx(np.mean((p - y) ** 2)), "auc": 0.75}
    assert figures.figures("binary", y * 0, p)["auc"] is None
    assert figures.figures("regression", y, p) == {"loss": pytest.approx(np.abs(p - y).mean()), "auc": None}
    found = answers(0.0)
    assert figures.by_month(found, "binary", 1)["gated"] == figures.figures(
        "binary", found.y[found.month == 1], found.said["gated"][found.month == 1]
    )


@pytest.mark.parametrize(("shift", "holds"), [(-0.01, True), (0.0, True), (0.001, True), (0.01, False)])
def test_the_gated_loop_must_surely_be_within_the_margin(shift: float, holds: bool) -> None:
    """An error of 0.3 that grows by 1 % costs 2 % of the Brier score, by 3 % 7 %."""
    found = figures.compare(answers(shift), small_walk.contract(), small_walk.params(), False)
    assert [(one["gated_against"], one["margin"], one["holds"]) for one in found] == [
        ("always", 0.02, holds), ("frozen", 0.01, holds),
    ]  # fmt: skip
    assert all(one["low"] < one["relative"] < one["high"] for one in found)


def test_a_mean_within_the_margin_is_not_enough() -> None:
    """0.9 % worse than the frozen champion, and by chance perhaps 1.1 %."""
    _, frozen = figures.compare(answers(0.0012), small_walk.contract(), small_walk.params(), False)
    assert (frozen["relative"] < 0.01 < frozen["high"], frozen["holds"]) == (True, False)


def test_with_faults_it_must_surely_be_better() -> None:
    found = figures.compare(answers(-0.02, always=0.1), small_walk.contract(), small_walk.params(), True)
    assert [(one["margin"], one["holds"]) for one in found] == [(0.0, True), (0.0, True)]
    equal = answers(0.0)
    same = figures.Answers(equal.rows, equal.y, equal.month, dict.fromkeys(figures.POLICIES, equal.said["gated"]))
    assert [one["holds"] for one in figures.compare(same, small_walk.contract(), small_walk.params(), True)] == [
        False
    ] * 2


def test_the_relative_difference_is_that_of_the_means_with_bounds_over_blocks() -> None:
    found = answers(0.01)
    by = figures.compare(found, small_walk.contract(), small_walk.params(), False)[0]
    gated, always = ((found.said[name] - found.y) ** 2 for name in ("gated", "always"))
    assert by["relative"] == pytest.approx(gated.mean() / always.mean() - 1)
    blocks = intervals.units(found.rows, small_walk.contract(), "day")
    expected = intervals.estimate(gated - always, blocks, 0.95, 200)
    assert by["high"] == pytest.approx(expected.high / always.mean())


def test_staleness_is_the_excess_over_the_newest_model_by_age_until_it_passes_the_margin() -> None:
    """A model that errs by 0.02 more for each month of its age; one that is younger again counts for nothing."""
    rows = [part for _, part in small_walk.ROWS[small_walk.ROWS["when"] >= "2020-04-01"].groupby(
        small_walk.ROWS["when"].dt.month)]  # fmt: skip
    y = [part["late"].to_numpy() for part in rows]
    pairs = [(i, j) for j in range(len(rows)) for i in range(j + 1)]
    said = {(i, j): np.abs(y[j] - 0.3 - 0.02 * (j - i if j - i < 3 else 0)) for i, j in pairs}
    uneven = [0.05 * (part["when"].dt.day % 2).to_numpy() for part in rows]
    said |= {(i, j): np.abs(y[j] - 0.3 - uneven[j]) for i, j in pairs if j - i == 1}
    ages = {(i, j): 60.0 + 30 * (j - i) for i, j in pairs}
    params = small_walk.params()

    def found_with(margin: float) -> dict[str, Any]:
        promote = params.promote.model_copy(update={"non_inferiority_margin": margin})
        return figures.staleness(
            rows, said, ages, small_walk.contract(), params.model_copy(update={"promote": promote})
        )

    found = found_with(0.018)
    assert [point["age_days"] for point in found["curve"]] == [60, 90, 120, 150]
    late = found["curve"][1]
    assert [point["excess"] for point in found["curve"]] == pytest.approx([0, late["excess"], 0.34**2 - 0.09, 0])
    assert late["low"] < late["excess"] < late["high"] < 0.0256
    assert found_with((late["high"] + 0.0256) / 2)["interval_days"] == 90
    assert found_with((late["excess"] + late["high"]) / 2)["interval_days"] == 60
    assert found["margin"] == 0.018
    assert metrics.PRIMARY["binary"] == "brier"


def test_an_age_of_one_block_says_nothing() -> None:
    one = small_walk.ROWS[:20]
    said = {(0, 0): np.full(20, 0.5)}
    found = figures.staleness([one], said, {(0, 0): 60.0}, small_walk.contract(), small_walk.params())
    assert (found["curve"], found["interval_days"]) == ([], None)


def result(**changes: Any) -> dict[str, Any]:
    """The content of a report."""
    scores = {
        "frozen": {"loss": 0.2, "auc": 0.6},
        "always": {"loss": 0.19, "auc": None},
        "gated": {"loss": 0.18, "auc": 0.7},
    }
    month = {"month": "2020-04", "rows": 600, "fault": None, "decision": "retrain", "outcome": "promoted", "gates": [],
             "reason": "r", "champion": "2", "policies": scores}  # fmt: skip
    other = {**month, "month": "2020-05", "fault": table.LABELS, "outcome": "refused", "gates": ["quality", "baseline"]}
    return {
        "mode": "full", "faults": False, "metric": "brier", "months": [month, other], "totals": scores,
        "comparisons": [{"gated_against": "always", "relative": 0.004, "low": -0.01, "high": 0.03, "margin": 0.02,
                         "holds": False}],
        "staleness": {"curve": [], "interval_days": 92, "margin": 0.003}, "struck": [], **changes,
    }  # fmt: skip


def test_the_page_says_what_holds_and_marks_every_outcome() -> None:
    text = page.markdown(result())
    assert (
        "Gated against always: +0.4% of its brier (-1.0% to +3.0%); the upper bound must be at most 2%: **it is not**"
        in text
    )
    assert "until its newest training row is 92 days old" in text
    assert "| 2020-04 | 600 |  | 0.2 / 0.6 | 0.19 / – | 0.18 / 0.7 | retrain | **promoted** |  |" in text
    assert f"| 2020-05 | 600 | {table.LABELS} |" in text
    assert "| *refused* | quality, baseline |" in text
    struck = [{"fault": table.OUTAGE, "month": "2020-05", "named_in": None, "named_by": []},
              {"fault": table.LABELS, "month": "2020-05", "named_in": "2020-06", "named_by": ["quality"]},
              {"fault": table.TAMPERED, "month": None, "named_in": None, "named_by": []}]  # fmt: skip
    text = page.markdown(result(faults=True, staleness=None, struck=struck))
    assert "must be below 0" in text
    assert "Staleness" not in text
    assert "Label outage in 2020-05: **named by no gate**." in text
    assert "Tampered challenger: **did not strike**" in text
    assert "Poisoned labels in 2020-05: named by quality in 2020-06." in text


def test_the_picture_has_every_line_and_mark_and_is_the_same_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page.write(result())
    first = Path("reports/loop.svg").read_bytes()
    for word in ("frozen", "always", "gated", "promoted", "refused", "2020-05", table.LABELS, "brier", "AUC"):
        assert f">{word}</text>".encode() in first, word
    assert record.read_json(page.REPORT)["mode"] == "full"
    assert Path("reports/loop.md").read_text(encoding="utf-8").startswith("# Loop (full)")
    page.write(result())
    assert Path("reports/loop.svg").read_bytes() == first
    number = {name: {"loss": 1.0, "auc": None} for name in figures.POLICIES}
    plain = {**result()["months"][0], "policies": number}
    page.write(result(months=[plain, plain], metric="mae"))
    assert b">AUC</text>" not in Path("reports/loop.svg").read_bytes()
