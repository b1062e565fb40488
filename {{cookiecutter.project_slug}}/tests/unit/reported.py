"""What promotion, monitor and loop write, made up after docs/reports.md: for the page that shows it."""

from __future__ import annotations

from typing import Any

DIGEST = "ab" * 32


def interval(value: float, half: float) -> dict[str, float]:
    """A value with bounds on both sides."""
    return {"value": value, "low": value - half, "high": value + half}


def tested(gate: str, metric: str, gain: float, bound: float, margin: float) -> dict[str, Any]:
    """A test of a promotion."""
    return {"gate": gate, "test": gate, "metric": metric, "gain": gain, "bound": bound, "margin": margin,
            "detectable": 0.004, "passed": bound > margin}  # fmt: skip


def promotion(digest: str = DIGEST) -> dict[str, Any]:
    """A refusal: better in the mean, but not surely, and a guardrail holds."""
    tests = [tested("superior", "brier", 0.0012, -0.0004, 0.0), tested("guardrail", "auc", 0.004, -0.002, -0.02),
             tested("guardrail", "log_loss", 0.001, -0.003, -0.02)]  # fmt: skip
    return {
        "dry_run": False, "challenger": {"version": "4", "digest": digest},
        "champion": {"version": "3", "digest": "cd" * 32}, "gates": ["superior"], "decision": "refused",
        "reason": "superior brier: bound -0.0004 is not above 0", "mode": "superior", "units": 16, "look": 2.0,
        "alpha": 0.025, "rows": {"test": 10544, "overlap_dropped": 0, "compared": 10544}, "tests": tests,
    }  # fmt: skip


def window(first: str, until: str, distance: float) -> dict[str, Any]:
    """A window of the log in which one column lies this far from the reference."""
    aspects = [
        {"aspect": name, "distance": found, "threshold": limit, "p": 0.5, "alarm": found > limit}
        for name, found, limit in (("visib", distance, 0.21), ("origin", 0.02, 0.08), ("prediction", 0.05, 0.15))
    ]
    alarms = [one["aspect"] for one in aspects if one["alarm"]]
    return {"from": first, "until": until, "rows": 1600, "verdict": "alarm" if alarms else "quiet", "alarms": alarms,
            "aspects": aspects}  # fmt: skip


def monitor(decision: str = "retrain") -> dict[str, Any]:
    """Two of four windows alarm."""
    days = ["2013-04-03", "2013-04-10", "2013-04-17", "2013-04-24", "2013-05-01"]
    distances = (0.1, 0.15, 0.26, 0.34)
    return {
        "decision": decision, "reason": "visib drifted in 2 of 4 windows, the latest among them",
        "until": "2013-05-01 00:00:00", "champion": {"version": "3", "digest": DIGEST}, "task": "binary", "alpha": 0.05,
        "windows": [window(*span) for span in zip(days, days[1:], distances, strict=False)],
        "data": {"rows": 1600, "days_without_rows": 0, "nulls": {"visib": 0.01}, "unseen": {"dest": 0.0}},
        "predictions": {"mean": 0.21, "reference": 0.23},
        "labels": {"due": 6000, "arrived": 5990, "share": 0.998, "verdict": "arrive"},
        "quality": {
            "verdict": "good", "reason": "recalibration would win back less than 0.01", "rows": 5990, "units": 14,
            "metric": "brier", "loss": interval(0.172, 0.011), "reference": 0.17, "gain": interval(0.02, 0.01),
            "miscalibration": interval(0.002, 0.001),
            "slices": [{"slice": f"origin={name}", "value": value, "low": value - 0.02, "high": value + 0.02,
                        "rows": 1990, "verdict": verdict}
                       for name, value, verdict in (("EWR", 0.04, "pass"), ("JFK", -0.03, "fail"),
                                                    ("LGA", 0.01, "insufficient"))],
        },
        "estimate": {"metric": "brier", "value": 0.16}, "age_days": 61, "max_age_days": 92,
        "retrainings": [{"until": "2013-05-01 00:00:00", "version": "3", "reason": "visib drifted"}],
    }  # fmt: skip


def month(number: int, outcome: str) -> dict[str, Any]:
    """A month of the loop, in which losses rise and retraining helps."""
    losses = {"frozen": 0.165 + 0.003 * number, "always": 0.163 + 0.001 * number, "gated": 0.162 + 0.001 * number}
    return {
        "month": f"2013-{number:02d}", "rows": 5000, "fault": "broken sensor" if number == 6 else None,
        "decision": "healthy" if outcome == "none" else "retrain", "outcome": outcome,
        "gates": ["drift"] if outcome == "refused" else [], "reason": f"month {number}", "champion": "2",
        "policies": {name: {"loss": loss, "auc": 0.7} for name, loss in losses.items()},
    }  # fmt: skip


def loop() -> dict[str, Any]:
    """Five months with a promotion, a refusal, and a comparison that does not hold."""
    outcomes = ("none", "promoted", "refused", "none", "promoted")
    return {
        "mode": "full", "faults": True, "metric": "brier",
        "months": [month(number, outcome) for number, outcome in enumerate(outcomes, 4)],
        "totals": {name: {"loss": loss, "auc": 0.7} for name, loss in
                   (("frozen", 0.183), ("always", 0.169), ("gated", 0.168))},
        "comparisons": [
            {"gated_against": "always", "relative": 0.004, "low": -0.001, "high": 0.009, "margin": 0.02, "holds": True},
            {"gated_against": "frozen", "relative": 0.02, "low": 0.01, "high": 0.03, "margin": 0.01, "holds": False},
        ],
        "staleness": {
            "curve": [{"age_days": 30 * n, "excess": 0.001 * n, "low": 0.0005 * n, "high": 0.002 * n}
                      for n in range(1, 7)],
            "interval_days": 92, "margin": 0.003,
        },
    }  # fmt: skip


def finding(name: str, verdict: str = "pass", **figures: Any) -> dict[str, Any]:
    """A finding of a gate, or a gate's own line."""
    empty = dict.fromkeys(("statistic", "bound", "threshold", "rows", "units", "detectable", "interval"))
    return {"case": name, "verdict": verdict, "reason": f"{name}: {verdict}", **empty, **figures}


def gate(name: str, cases: list[dict[str, Any]], verdict: str = "pass") -> dict[str, Any]:
    """A gate with its findings."""
    return {**finding("", verdict, reason=f"{name} says {verdict}"), "gate": name, "cases": cases}


def gates(hostile: str = "HA") -> dict[str, list[dict[str, Any]]]:
    """The gates of each stage: two of their own kind in front of what every project has."""
    slices = [
        finding("carrier=UA", statistic=0.02, bound=0.03, threshold=0.0, rows=900, units=16, detectable=0.01,
                interval=[0.01, 0.03]),
        finding(f"carrier={hostile}", statistic=-0.01, bound=0.05, threshold=0.0, rows=9, units=8, detectable=0.2,
                interval=[-0.5, 0.05]),
        finding("carrier=one block", statistic=None, threshold=0.0, rows=1, units=1),
    ]  # fmt: skip
    drift = [finding("x", statistic=0.1, threshold=0.25), finding("z", statistic=0.05, threshold=0.3)]
    return {
        "validate": [gate("schema", [])],
        "pretrain": [gate("checked", []), gate("drift", drift)],
        "posttrain": [gate("checked", []), gate("slices", slices), gate("calibration", [])],
    }
