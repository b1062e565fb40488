"""The last monitor report at `/metrics`: every figure it has, none it has not, and none of a damaged one."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from {{ cookiecutter.project_slug }} import config
from {{ cookiecutter.project_slug }}.serving import monitored

LATEST = {
    "rows": 1600,
    "verdict": "alarm",
    "aspects": [
        {"aspect": "size", "distance": 0.1, "threshold": 0.2},
        {"aspect": "prediction", "distance": 0.5, "threshold": 0.25},
    ],
}
REPORT = {
    "decision": "retrain",
    "concerns": [{"gate": "drift", "said": "far off", "asks": True}],
    "windows": [
        {"rows": 9, "verdict": "insufficient", "aspects": []},
        {"rows": 1500, "verdict": "alarm", "aspects": [{"aspect": "size", "distance": 0.9, "threshold": 0.8}]},
        LATEST,
    ],
    "labels": {"share": 0.75},
    "quality": {"verdict": "bad", "loss": {"value": 0.2, "low": 0.19, "high": 0.22}, "reference": 0.17},
}


@pytest.fixture
def page(tmp_path):
    """A registry with the gauges of a report that is not there yet; a model is too old after two days."""
    found = CollectorRegistry()
    found.register(monitored.Monitored(tmp_path / "monitor.json", 2))
    return found


@pytest.fixture
def write(tmp_path):
    """A function that writes the report, as of that second since 1970."""

    def write(report, second):
        path = tmp_path / "monitor.json"
        path.write_text(report if isinstance(report, str) else json.dumps(report), encoding="utf-8")
        os.utime(path, (second, second))

    return write


def samples(page):
    """All series: value by name and labels."""
    found = [s for family in page.collect() for s in family.samples]
    assert len({(s.name, *s.labels.values()) for s in found}) == len(found)
    return {" ".join([s.name, *s.labels.values()]): s.value for s in found}


def test_every_figure_of_a_report(page, write):
    write(REPORT, 1_000_000)
    assert samples(page) == {
        "model_max_age_seconds": 2 * 86400,
        "monitor_decision healthy": 0,
        "monitor_decision watch": 0,
        "monitor_decision retrain": 1,
        "monitor_decision halted": 0,
        "monitor_windows_alarming": 2,
        "monitor_drift": 1,
        "monitor_window_rows": 1600,
        "monitor_drift_distance size": 0.1,
        "monitor_drift_distance prediction": 0.5,
        "monitor_drift_threshold size": 0.2,
        "monitor_drift_threshold prediction": 0.25,
        "monitor_quality_loss": 0.2,
        "monitor_quality_loss_low": 0.19,
        "monitor_quality_loss_high": 0.22,
        "monitor_quality_reference": 0.17,
        "monitor_quality_bad": 1,
        "monitor_labels_share": 0.75,
        "monitor_report_unreadable": 0,
        "monitor_last_run_timestamp_seconds": 1_000_000,
    }


def test_nothing_is_said_of_what_the_report_does_not_say(page, write):
    nothing = {"verdict": "unknown", "loss": None, "reference": None}
    write({"decision": "watch", "concerns": [], "windows": [], "labels": {"share": None}, "quality": nothing}, 5)
    assert set(samples(page)) == {
        "model_max_age_seconds",
        *(f"monitor_decision {decision}" for decision in monitored.DECISIONS),
        "monitor_windows_alarming",
        "monitor_drift",
        "monitor_report_unreadable",
        "monitor_last_run_timestamp_seconds",
    }
    write(REPORT | {"quality": nothing | {"verdict": "good"}}, 6)
    assert samples(page)["monitor_quality_bad"] == 0


@pytest.mark.parametrize(("gate", "asks", "drifts"), [("drift", True, 1), ("drift", False, 0), ("quality", True, 0)])
def test_drift_is_what_asks_for_a_retraining(page, write, gate, asks, drifts):
    """A window alone that alarms, or some before the latest, are on the way there."""
    write(REPORT | {"concerns": [{"gate": gate, "said": "", "asks": asks}]}, 5)
    assert samples(page)["monitor_drift"] == drifts


def test_no_report_is_no_series_but_the_limit(page, write, tmp_path):
    assert set(samples(page)) == {"model_max_age_seconds"}
    write(REPORT, 7)
    assert len(samples(page)) == 20
    (tmp_path / "monitor.json").unlink()
    assert set(samples(page)) == {"model_max_age_seconds"}


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        '{"decision": "healthy"',
        "[]",
        REPORT | {"decision": "fine"},
        {key: value for key, value in REPORT.items() if key != "labels"},
        REPORT | {"windows": [{"verdict": "quiet", "aspects": [], "rows": "many"}]},
        REPORT | {"windows": [LATEST | {"rows": 10**400}]},
        REPORT | {"windows": [LATEST | {"aspects": [{"aspect": "size", "distance": 0.1}]}]},
        REPORT | {"windows": 3},
        REPORT | {"quality": {"verdict": "bad", "loss": "high", "reference": 0.1}},
    ],
)
def test_a_damaged_report_says_that_alone(page, write, damaged):
    write(REPORT, 7)
    assert len(samples(page)) == 20
    write(damaged, 8)
    assert samples(page) == {"model_max_age_seconds": 2 * 86400, "monitor_report_unreadable": 1}
    write(REPORT, 9)
    assert samples(page)["monitor_report_unreadable"] == 0


def test_it_is_read_again_only_when_it_has_changed(page, write, monkeypatch):
    read, asked = monitored.record.read_json, []
    monkeypatch.setattr(monitored.record, "read_json", lambda path: asked.append(path) or read(path))
    write(REPORT, 7)
    assert samples(page) == samples(page)
    assert len(asked) == 1
    write(REPORT | {"decision": "halted"}, 7)  # in the same second, as far as the times of the file's content say
    assert samples(page)["monitor_decision halted"] == 1
    assert len(asked) == 2


def test_the_limit_that_stands_in_the_alert_rules_too_is_the_same_there() -> None:
    """Prometheus cannot read params.yaml: whoever changes one changes both."""
    root = Path(config.__file__).resolve().parents[1]
    found = re.findall(r"monitor_labels_share\S+ < (\S+)", (root / "monitoring/alerts.yml").read_text(encoding="utf-8"))
    assert [float(one) for one in found] == [config.load(root / "params.yaml").monitor.quality.min_share]
