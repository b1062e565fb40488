"""From findings to one decision: nothing, wait, retrain, or ask a person.

A retraining that is asked for is written into the registry first, so that neither a kill nor another clone forgets it.
What a retraining brings is judged by gates and promotion alone; the monitor moves no alias.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import config
from ..registry import tracking

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

#: Tags of the registered model: one for each retraining that was asked for, by the time looked at, and the last reset.
ASKED, RESET = "retrain.", "retrain_reset"
HEALTHY, WATCH, RETRAIN, HALTED = "healthy", "watch", "retrain", "halted"
WEEK = dt.timedelta(days=7)


@dataclass(frozen=True)
class Concern:
    """A finding that is no good: the gate or part that found it, in words, and whether a retraining may help."""

    gate: str
    said: str
    asks: bool


@dataclass(frozen=True)
class Retraining:
    """A retraining that was asked for: at what time of the data, while which version was champion, and why."""

    until: dt.datetime
    version: str
    reason: str


def history(client: MlflowClient) -> tuple[list[Retraining], dt.datetime]:
    """The retrainings so far, oldest first, and the time of the last reset."""
    tags = client.get_registered_model(tracking.NAME).tags
    found = [Retraining(dt.datetime.fromisoformat(key.removeprefix(ASKED)), **json.loads(value))
             for key, value in tags.items() if key.startswith(ASKED)]  # fmt: skip
    reset = json.loads(tags[RESET])["until"] if RESET in tags else dt.datetime.min.isoformat()
    return sorted(found, key=lambda one: one.until), dt.datetime.fromisoformat(reset)


def ask(client: MlflowClient, wanted: Retraining) -> None:
    """Write a retraining down."""
    value = json.dumps({"version": wanted.version, "reason": wanted.reason[:2000]})
    client.set_registered_model_tag(tracking.NAME, f"{ASKED}{wanted.until.isoformat()}", value)


def reset(client: MlflowClient, until: dt.datetime, reason: str) -> None:
    """Let retrainings that brought no champion up to `until` count no more; the reason is kept."""
    value = json.dumps({"until": until.isoformat(), "reason": reason})
    client.set_registered_model_tag(tracking.NAME, RESET, value)


def needs(alarms: list[bool], settings: config.Monitor) -> bool:
    """Whether windows (oldest first) ask for a retraining: enough of them alarm, and the latest does."""
    return alarms[-1] and sum(alarms) >= settings.alarms


def decide(concerns: list[Concern], until: dt.datetime, version: str, past: list[Retraining], since: dt.datetime,
           settings: config.Monitor) -> tuple[str, str]:  # fmt: skip
    """The decision and its reason: what a retraining cannot help is watched, for a person to look at.

    `past`: the retrainings asked for so far, `since`: those before it were reset. The same question twice, as after a
    kill, gets the same answer and counts once.
    """
    why = "; ".join(one.said for one in sorted(concerns, key=lambda one: not one.asks))
    if not any(one.asks for one in concerns):
        return (WATCH, why) if concerns else (HEALTHY, "nothing calls for a retraining")
    earlier = [one for one in past if one.until < until]
    if any(one.until == until and one.version == version for one in past):
        return RETRAIN, why
    fruitless = [one for one in earlier if one.version == version and one.until >= since]
    if len(fruitless) >= settings.max_refused:
        return HALTED, f"{len(fruitless)} retrainings in a row brought no new champion; still: {why}"
    last = earlier[-1].until if earlier else dt.datetime.min
    if until - last < dt.timedelta(days=settings.cool_down_days):
        return WATCH, f"cool-down until {last + dt.timedelta(days=settings.cool_down_days)}: {why}"
    if sum(until - one.until < WEEK for one in earlier) >= settings.max_per_week:
        return WATCH, f"{settings.max_per_week} retrainings within a week already: {why}"
    return RETRAIN, why
