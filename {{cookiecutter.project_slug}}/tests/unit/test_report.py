"""The page that a person reads when a gate is red."""

from __future__ import annotations

import math
from typing import Any

import pytest

from {{ cookiecutter.project_slug }} import record
from {{ cookiecutter.project_slug }}.gates import report


def found(verdict: str = "pass", **figures: Any) -> dict[str, Any]:
    """A finding, or a gate's line."""
    empty = dict.fromkeys(report.FIGURES)
    return {"case": "", "verdict": verdict, "reason": "said", "interval": None, **empty, **figures}


GREEN = {"gate": "threshold", **found(statistic=0.17593, bound=0.18941, threshold=0.21, units=62, reason="brier")}
RED = {"gate": "drift", **found("fail", statistic=1, threshold=0, reason="a|b moved; look\nthere")}
SKIPPED = {"gate": "split_leak", "verdict": "skipped", "reason": "for now"}


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ({"statistic": 0.1, "bound": 0.15, "threshold": 0.2}, 0.25),
        ({"statistic": 0.1, "threshold": 0.2}, 0.5),
        ({"statistic": 0.3, "bound": 0.1, "threshold": 0, "detectable": 0.05}, 2.0),
        ({"statistic": 3, "bound": 4.0, "threshold": 2}, 0.5),
        ({"statistic": -0.1, "threshold": 0.1}, 2.0),
        ({"statistic": 0, "threshold": 0}, math.inf),
        ({"statistic": 0, "threshold": None}, math.inf),
        ({"statistic": None, "threshold": 1}, math.inf),
        ({"statistic": 0, "threshold": 2}, 1.0),
    ],
)
def test_slack_is_in_detectable_effects_where_there_are_any(figures: dict[str, Any], expected: float) -> None:
    """Zero against zero, and findings without a threshold, say nothing about how near it was."""
    assert report.slack(found(**figures)) == pytest.approx(expected)


def test_the_first_red_finding_speaks_for_its_gate_else_the_nearest() -> None:
    """So that a line shows what mattered."""
    far, near = found(statistic=1, threshold=10, case="far"), found(statistic=9, threshold=10, case="near")
    red, worse = found("fail", statistic=20, threshold=10, case="red"), found("fail", case="worse")
    assert report.telling([far, near])["case"] == "near"
    assert report.telling([near, far])["case"] == "near"
    assert report.telling([near, red, worse])["case"] == "red"


def test_the_terminal_shows_the_verdict_first_and_every_figure() -> None:
    """Figures that a gate does not have are left out."""
    assert report.lines("posttrain", [GREEN, RED, SKIPPED]) == [
        "posttrain: 1 of 3 gates passed; closed: drift, split_leak",
        "    pass  threshold: brier [statistic 0.1759, bound 0.1894, threshold 0.21, units 62]",
        "    fail  drift: a|b moved; look\nthere [statistic 1, threshold 0]",
        " skipped  split_leak: for now",
    ]
    assert report.lines("pretrain", [GREEN])[0] == "pretrain: 1 of 1 gates passed"


def test_a_red_page_begins_with_what_closed_and_the_way_out() -> None:
    """Then one row per gate, whose text cannot break the table."""
    text = report.page({"validate": [GREEN], "pretrain": [RED, SKIPPED]})
    assert text.startswith("# Gates: 2 of 3 gates closed\n\n- validate: 1 of 1 gates passed\n- pretrain: 0 of 2")
    assert "- posttrain: not run\n\n## What closed, and the way out\n\n- **drift**" in text
    assert "- **drift** (pretrain, fail): a|b moved; look\nthere\n" in text
    assert "- **split_leak** (pretrain, skipped): for now\n" in text
    assert "runbook.md).\n\n## Every gate\n\n| stage" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert rows[0] == "| stage | gate | verdict | statistic | bound | threshold | rows | units | detectable | finding |"
    assert rows[1] == "| --- " * 10 + "|"
    assert rows[2] == "| validate | threshold | pass | 0.1759 | 0.1894 | 0.21 | – | 62 | – | brier |"
    assert rows[3] == "| pretrain | drift | fail | 1 | – | 0 | – | – | – | a\\|b moved; look there |"
    assert len(rows) == 5
    several = [found("fail", reason="first"), found(reason="fine"), found("fail", reason="second")]
    text = report.page({"pretrain": [{**RED, "cases": several}]})
    assert "- **drift** (pretrain, fail): first\n- **drift** (pretrain, fail): second\n\n" in text


def test_a_green_page_says_so_and_shows_intervals() -> None:
    """Of the gates that have some, with every finding."""
    cases = [found(case="origin=EWR", statistic=0.024, interval=[0.01, 0.038], detectable=0.017, rows=10, units=2,
                   reason="fine"), found(case="no interval")]  # fmt: skip
    slices = {**GREEN, "gate": "slices", "cases": cases}
    text = report.page({"validate": [], "pretrain": [], "posttrain": [GREEN, slices]})
    assert text.startswith("# Gates: all 2 gates passed\n")
    assert "closed" not in text
    assert "not run" not in text
    section = text.partition("brier |\n\n## Slices\n\n")[2].splitlines()
    assert section[0] == "| case | value | interval | detectable | rows | units | finding |"
    assert section[2:] == ["| origin=EWR | 0.024 | 0.01 to 0.038 | 0.017 | 10 | 2 | fine |"]


def test_a_page_holds_the_stages_up_to_the_one_that_ran(project: Any) -> None:
    """A verdict that an earlier run left behind is not part of it; a stage without gates writes no page."""
    for stage, path in report.REPORTS.items():
        record.write_json(path, {"gates": [{**GREEN, "gate": f"{stage}_gate"}]})
    report.write("train")
    assert not report.PAGE.exists()
    report.write("pretrain")
    text = report.PAGE.read_text(encoding="utf-8")
    assert "pretrain_gate" in text
    assert "posttrain_gate" not in text
    assert "- posttrain: not run" in text
    report.write("posttrain")
    assert "posttrain_gate" in report.PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (123456, "123456"), (0.123456, "0.1235"), (1e6, "1e+06")])
def test_counts_are_shown_in_full_and_figures_to_four_digits(value: float | None, text: str) -> None:
    """A number of rows is no measurement."""
    assert report.number(value) == text


def test_what_github_gives_a_meaning_to_loses_it():
    said = report.harmless("fixes #1 for @all: <b>, [x](y), *z* & C#, # 2")
    assert said == "fixes &#35;1 for &#64;all: &#60;b>, &#91;x](y), &#42;z&#42; &#38; C#, # 2".replace("b>", "b&#62;")
