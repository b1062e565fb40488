"""The command `monitor`: the prediction log and late labels against the champion's reference, and one decision."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import config, record, schema
from ..errors import GateClosed, InputError
from ..gates import metrics, reference, verdict
from ..registry import tracking, versions
from . import decision, drift, page, quality, windows
from .decision import Concern

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

    from ..gates.reference import Reference
    from ..schema import Schema
    from .windows import Window

REPORT = Path("reports/monitor.json")


def judged(window: Window, kept: Reference, settings: config.Monitor) -> dict[str, Any]:
    """A window in the report: quiet, alarm, or insufficient; inputs and answers share alpha."""
    found: list[drift.Finding] = []
    families = ((window.inputs, kept.inputs, window.rows), (window.answers, kept.answers, window.answered))
    for counts, aspects, rows in families:
        if rows < settings.min_rows:
            continue
        there = {name: aspects[name] for name in counts}
        total = sum(one.rows.sum() for one in there.values()) / max(len(there), 1)
        days = min((len(one.rows) for one in there.values()), default=0)
        length = drift.run_of(days, rows, total, kept.days is not None, settings.window_days)
        ordinary = drift.usual(there, length, rows, settings.alpha / 2) if there else None
        found += drift.judge(there, counts, ordinary) if ordinary else []
    alarms = [one.aspect for one in found if one.alarm]
    verdict_ = "alarm" if alarms else "quiet" if found else "insufficient"
    return {"from": str(window.start), "until": str(window.end), "rows": window.rows, "verdict": verdict_,
            "alarms": alarms, "aspects": [asdict(one) for one in found]}  # fmt: skip


def shares(window: Window, kept: Reference, settings: config.Monitor) -> dict[str, Any]:
    """Data quality of a window: nulls, categories that the reference never had, days without a row."""
    nulls, unseen = {}, {}
    for name, counts in window.inputs.items():
        aspect = kept.inputs[name]
        total = max(float(counts.sum()), 1.0)
        if name.endswith(" null"):
            known = aspect.bins.values
            place = known.index("True") if "True" in known else -1  # where a first null is counted
            nulls[name.removesuffix(" null")] = float(counts[place]) / total
        elif aspect.bins.cuts is None and aspect.rows[:, -1].sum() == 0:
            unseen[name] = float(counts[-1]) / total
    return {"rows": window.rows, "days_without_rows": settings.window_days - len(window.days), "nulls": nulls,
            "unseen": unseen}  # fmt: skip


def age(trained_until: str, until: dt.datetime) -> float | None:
    """Days from the newest training row; None where rows have no time."""
    return (until - dt.datetime.fromisoformat(trained_until)).total_seconds() / 86400 if trained_until else None


def mean_prediction(kept: Reference) -> float | None:
    """The mean score of the test rows, by the middles of the bins; None where scores are classes."""
    answers = kept.answers[reference.PREDICTION]
    cuts, total = answers.bins.cuts, answers.rows.sum(axis=0)
    if cuts is None:
        return None
    middles = [cuts[0], *((cuts[1:] + cuts[:-1]) / 2), cuts[-1]]
    return float(total @ middles / total.sum())


def examine(bundle: Path, version: ModelVersion, params: config.Params, until: dt.datetime, time: str
            ) -> dict[str, Any]:  # fmt: skip
    """All findings about the champion at `until`, without a decision. Raises InputError."""
    kept, contract = reference.read(bundle / verdict.REFERENCE.name), schema.load(bundle / "schema.yaml")
    settings, folder = params.monitor, params.serve.log.folder
    digest = version.tags["digest"]
    seen = windows.read(folder, until, settings.window_days, settings.windows, time, kept, contract, digest)
    latest = seen[-1]
    labels, found = quality.look(params, contract, kept, digest, until, time)
    gates = record.read_json(bundle / "reports" / "posttrain.json")["gates"]
    calibrated = any(gate["gate"] == "calibration" and gate["verdict"] == "pass" for gate in gates)
    estimated = calibrated and latest.answered and contract.task != "regression"
    rows = max(latest.answered, 1)
    said = {"mean": latest.score / rows, "reference": mean_prediction(kept)}
    expected = {"metric": metrics.PRIMARY[contract.task], "value": latest.expected / rows}
    return {
        "until": str(until),
        "champion": {"version": str(version.version), "digest": digest},
        "task": contract.task,
        "alpha": settings.alpha,
        "windows": [judged(window, kept, settings) for window in seen],
        "data": shares(latest, kept, settings),
        "predictions": said if latest.answered and contract.task != "multiclass" else None,
        "labels": labels,
        "quality": found,
        "estimate": expected if estimated else None,
        "age_days": age(version.tags["train_until"], until),
        "max_age_days": settings.max_age_days,
    }


def weigh(found: dict[str, Any], settings: config.Monitor) -> list[Concern]:
    """What of the findings is no good."""
    told = []
    alarms = [window["verdict"] == "alarm" for window in found["windows"]]
    latest, asks = found["windows"][-1], decision.needs(alarms, settings)
    if latest["verdict"] == "alarm":
        where = f"{sum(alarms)} of {len(alarms)} windows, the latest in" if asks else "the latest window alone:"
        told.append(Concern("drift", f"drift in {where} {', '.join(latest['alarms'])}", asks))
    if latest["verdict"] == "insufficient":
        few = f"the latest window has {latest['rows']} rows, or the reference too few days, to tell"
        told.append(Concern("rows", few, False))
    if found["quality"]["verdict"] == "bad":
        told.append(Concern("quality", found["quality"]["reason"], True))
    if found["labels"]["verdict"] == "missing":
        told.append(Concern("labels", found["quality"]["reason"], False))
    if found["age_days"] is not None and found["age_days"] > settings.max_age_days:
        old = f"the newest training row is {found['age_days']:.0f} days old (max_age_days)"
        told.append(Concern("age", old, True))
    return told


def monitor(client: MlflowClient, params: config.Params, until: dt.datetime | None, reset: str | None
            ) -> dict[str, Any]:  # fmt: skip
    """The content of `reports/monitor.json`; a retraining that it asks for is in the registry. Raises InputError."""
    version = versions.named(client, "champion")
    contract: Schema = schema.load()
    time = windows.clock(params.serve.log.folder, contract)
    until = until or windows.newest(params.serve.log.folder, time)
    with versions.bundle(client, version) as bundle:
        found = examine(bundle, version, params, until, time)
    if reset:
        decision.reset(client, until, reset)
    past, since = decision.history(client)
    concerns = weigh(found, params.monitor)
    number = str(version.version)
    decided, reason = decision.decide(concerns, until, number, past, since, params.monitor)
    if decided == decision.RETRAIN:
        decision.ask(client, decision.Retraining(until, number, reason))
        past, _ = decision.history(client)
    told = [{"until": str(one.until), "version": one.version, "reason": one.reason} for one in past]
    return {"decision": decided, "reason": reason, "concerns": [asdict(one) for one in concerns], **found,
            "retrainings": told}  # fmt: skip


def moment(text: str, name: str = "--until") -> dt.datetime:
    """A time on the command line, there called `name`. Raises InputError."""
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        found = dt.datetime.min.replace(tzinfo=dt.UTC)
    if found.tzinfo:
        raise InputError(f"{name} {text}: write a time without a zone, as 2013-05-01 or 2013-05-01T12:00")
    return found


def main(until: str | None, reset: str | None) -> int:
    """Write `reports/monitor.json`, `.md` and pictures; 3 for retrain, else 0. Raises GateClosed when halted."""
    end = moment(until) if until else None
    with versions.exclusive(), tracking.session() as client:
        report = monitor(client, config.load(), end, reset)
    record.write_json(REPORT, report)
    page.write(record.read_json(REPORT))
    if report["decision"] == decision.HALTED:
        raise GateClosed(["breaker"], f"{report['reason']}; find out why, then `monitor --reset REASON`")
    print(f"{report['decision']}: {report['reason']}")
    return 3 if report["decision"] == decision.RETRAIN else 0
