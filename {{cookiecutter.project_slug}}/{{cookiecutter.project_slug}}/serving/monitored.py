"""What the last monitor report says, for Prometheus: read when it asks, and anew only when the file has changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prometheus_client.core import GaugeMetricFamily

from .. import record
from ..errors import InputError

REPORT = Path("reports/monitor.json")
DECISIONS = ("healthy", "watch", "retrain", "halted")
#: Seconds.
DAY = 86_400


class Monitored:
    """A report's figures as gauges: none of what it does not say, none at all while it is not there or damaged."""

    def __init__(self, path: Path, max_age_days: float) -> None:
        """The report's path, and the age of a model (days) that is too old."""
        self.path, self.max_age_days = path, max_age_days
        self.changed, self.families = (0, 0), list[GaugeMetricFamily]()

    def collect(self) -> list[GaugeMetricFamily]:
        """The figures of the report as it lies there now. Raises nothing."""
        limit = gauge("model_max_age_seconds", "Age at which a model is too old", self.max_age_days * DAY)
        try:
            file = self.path.stat()
        except OSError:
            return [limit]
        changed = file.st_mtime_ns, file.st_ctime_ns  # the second, since it may become readable by its mode alone
        if changed != self.changed:
            self.changed, self.families = changed, figures(self.path, file.st_mtime)
        return [limit, *self.families]


def figures(path: Path, written: float) -> list[GaugeMetricFamily]:
    """The gauges of the report at `path`, which was `written` then (seconds since 1970); one alone if it is damaged."""
    try:
        found = [*said(record.read_json(path))]
    except (InputError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return [gauge("monitor_report_unreadable", "1 while the last monitor report cannot be read", 1)]
    found.append(gauge("monitor_report_unreadable", "1 while the last monitor report cannot be read", 0))
    return [*found, gauge("monitor_last_run_timestamp_seconds", "When the last monitor report was written", written)]


def said(report: dict[str, Any]) -> Iterator[GaugeMetricFamily]:
    """The gauges of what a report says. Raises LookupError, TypeError or ValueError when it is none."""
    decisions = {decision: report["decision"] == decision for decision in DECISIONS}
    if not any(decisions.values()):
        raise ValueError(f"no decision: {report['decision']}")
    yield gauge("monitor_decision", "1 for what the last monitor run decided", decisions, "decision")
    drifts = any(concern["gate"] == "drift" and concern["asks"] for concern in report["concerns"])
    yield gauge("monitor_drift", "1 while drift asks for a retraining", drifts)
    windows = report["windows"]
    alarming = sum(window["verdict"] == "alarm" for window in windows)
    yield gauge("monitor_windows_alarming", "Windows of the last monitor run that alarm", alarming)
    if windows:
        aspects = windows[-1]["aspects"]
        yield gauge("monitor_window_rows", "Rows of the latest window", windows[-1]["rows"])
        for one, what in (("distance", "Distance from the reference"), ("threshold", "Distance that is too far")):
            of = {aspect["aspect"]: aspect[one] for aspect in aspects}
            yield gauge(f"monitor_drift_{one}", f"{what}, in the latest window", of, "aspect")
    quality = report["quality"]
    for bound in ("value", "low", "high"):
        name = "monitor_quality_loss" + f"_{bound}".removesuffix("_value")
        yield gauge(name, f"Loss on late labels: {bound}", (quality["loss"] or {}).get(bound))
    yield gauge("monitor_quality_reference", "Loss on the champion's test rows", quality["reference"])
    bad = {"bad": 1, "good": 0}.get(quality["verdict"])
    yield gauge("monitor_quality_bad", "1 while quality on late labels is bad", bad)
    yield gauge("monitor_labels_share", "Labels that came, of those due", report["labels"]["share"])


def gauge(name: str, what: str, value: Any, *labels: str) -> GaugeMetricFamily:
    """A gauge with one sample, or with one by value of its label; what is None has none. Raises what `float` does."""
    family = GaugeMetricFamily(name, what, labels=labels)
    for label, one in (value if labels else {None: value}).items():
        if one is not None:
            family.add_metric([str(label)] if labels else [], float(one))
    return family
