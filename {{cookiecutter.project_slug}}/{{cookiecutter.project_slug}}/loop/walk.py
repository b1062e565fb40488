"""The command `loop`: month after month is served, labelled, monitored and, where the monitor asks, trained anew.

Every part is the project's own, at work in a scratch clone. After each month the state is written; a walk that was
killed goes on with the month it was in: what was served is not served again, and `monitor`, `dvc repro` and `promote`
say the same when they are run again.
"""

from __future__ import annotations

import datetime as dt
import re
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import config, record
from ..errors import InputError
from ..registry import artefact
from ..serving import parts
from . import scratch
from . import table as tables
from .policies import Always
from .server import Server
from .table import Month

if TYPE_CHECKING:
    import pandas as pd

STATE, SCORES = scratch.HOME / "state.json", scratch.HOME / "scores"
ORIGINAL = scratch.HOME / "original.skops"
#: The gates, and the monitor's findings, that speak of a fault; those in `WITH_COLUMN` when they name its column.
NAMED_BY = {
    tables.SENSOR: ("drift", "columns", "quarantine"),
    tables.LABELS: ("quality", "drift", "baseline", "threshold", "calibration", "slices"),
    tables.OUTAGE: ("labels", "quarantine"),
    tables.KILLED: ("repro",),
    tables.TAMPERED: ("digest",),
}
WITH_COLUMN = ("drift", "columns")


@dataclass
class Walk:
    """A walk at work. `first`: the digest of the first champion; `source`: what in the clone's `params.yaml` says
    where rows come from; `done`: what is known of the months that are over; `began`: since when the next is served.
    """

    clone: scratch.Clone
    table: tables.Table
    served: list[Month]
    params: config.Params
    always: Always
    source: dict[str, Any]
    key: str
    first: str = ""
    done: list[dict[str, Any]] = field(default_factory=list)
    began: str | None = None

    @property
    def champion(self) -> str:
        """The champion's digest."""
        return str(self.done[-1]["digest"]) if self.done else self.first

    @property
    def named(self) -> set[str]:
        """The faults that some gate named."""
        return {fault for month in self.done for fault in month["named"]}

    def save(self) -> None:
        """Keep what is known."""
        record.write_json(STATE, {"key": self.key, "first": self.first, "months": self.done, "began": self.began})

    def load(self) -> bool:
        """Go on from what was kept of the same walk, if anything was."""
        state = record.read_json(STATE) if STATE.is_file() else {}
        if state.get("key") != self.key:
            return False
        self.first, self.done, self.began = state["first"], state["months"], state["began"]
        return True

    def due(self, fault: str, index: int) -> bool:
        """Whether a fault is to strike in month `index`."""
        return self.always.faults.get(fault) == self.served[index]

    def postpone(self, index: int) -> None:
        """Let what should have struck a retraining that did not get so far strike in month `index`, the next one."""
        for fault in (tables.KILLED, tables.TAMPERED):
            if index and self.due(fault, index - 1) and fault not in self.done[index - 1]["struck"]:
                self.always.faults[fault] = self.served[index]

    def publish(self, month: Month, named: set[str]) -> None:
        """Let the clone's source be the table as it is known at the end of `month`: with faults until they are named.

        Mending changes the past on purpose, which the gate `history` is told.
        """
        struck = {f: when for f, when in self.always.faults.items() if f in tables.OF_ROWS and when.end <= month.end}
        live = {fault: when for fault, when in struck.items() if fault not in named}
        changes = dict(self.source)
        if live:
            faulty = self.table.with_faults(self.table.raw, live, self.always.stuck.result())
            changes |= {"ingest__source": put(self.clone, faulty), "ingest__query": None}
        if len(struck) > len(live) and "history" in self.params.gates.pretrain:
            known = self.params.gates.pretrain["history"].get("accept", {})
            mended = {
                struck[fault].name: f"{fault}: the source was repaired" for fault in sorted(set(struck) - set(live))
            }
            changes["gates__pretrain__history__accept"] = {**known, **mended}
        self.clone.set_params(**changes)

    def serve(self, index: int, server: Server) -> None:
        """Send the month's rows to the server, unless that was done; keep what it said. Raises InputError."""
        path = scores_of(self.served[index])
        if path.is_file():
            return
        folder = self.clone.folder / self.params.serve.log.folder
        if self.began:
            since = dt.datetime.fromisoformat(self.began)
            logged = parts.read(folder, since, tables.NEVER.replace(tzinfo=dt.UTC), [parts.ID])
            parts.forget(folder, [name for rows in logged for name in rows[parts.ID]], 0)
        self.began = dt.datetime.now(dt.UTC).isoformat()
        self.save()
        said = server.score(self.always.as_served(index), self.table.contract, self.params.serve)
        record.write_parquet(frame_of(said), path)

    def monitor(self, index: int) -> dict[str, Any]:
        """What the monitor reports at the month's end; its breaker is reset by whom a named fault had called."""
        end, mended = self.served[index].end, self.done[-1]["named"] if self.done else {}
        earlier = self.clone.read("monitor")
        if earlier and earlier["until"] == str(end):
            return earlier
        reset = ["--reset", f"repaired: {', '.join(mended)}"] if mended else []
        done = self.clone.command("monitor", "--until", end.isoformat(), *reset)
        found = self.clone.read("monitor")
        if not found or found["until"] != str(end):
            raise InputError(f"`monitor` failed: {done.said}; all that it said is in {scratch.SAID}")
        return found

    def retrain(self, index: int, struck: list[str]) -> tuple[str, list[str], str]:
        """Move the window, run the pipeline and promote; outcome, the gates that closed, and why. Raises InputError.

        A fault that strikes on the way is added to `struck`; one that did strikes no more.
        """
        end = str(self.served[index].end.date())
        strikes = {fault for fault in (tables.KILLED, tables.TAMPERED) if self.due(fault, index)} - set(struck)
        self.clone.set_params(ingest__end=end)
        red, why = self.clone.repro(kill=tables.KILLED in strikes)
        harm: AbstractContextManager[None] = nullcontext()
        if red == [scratch.KILLED]:
            struck.append(tables.KILLED)
        elif red:
            return "refused", red, why
        else:
            self.clone.commit(f"Move the window to {end}")
            if tables.TAMPERED in strikes:
                harm = self.tampered(index)
                struck.append(tables.TAMPERED)
        with harm:
            done = self.clone.command("promote")
        found = self.clone.read("promotion")
        if not found or done.code not in (0, 3):
            raise InputError(f"`promote` failed: {done.said}; all that it said is in {scratch.SAID}")
        moved = found["decision"] != "refused" and found["challenger"]["digest"] != self.champion
        why = "; ".join(filter(None, [why, found["reason"]]))
        return "promoted" if moved else "refused", [*red, *found["gates"]], why

    @contextmanager
    def tampered(self, index: int) -> Iterator[None]:
        """The challenger registered, and another model in its place in the registry's store. Raises InputError."""
        done = self.clone.command("register")
        models = list((self.clone.folder / ".mlflow/artifacts").rglob("model.skops"))
        if done.code or not models:
            raise InputError(f"`register` failed: {done.said}; all that it said is in {scratch.SAID}")
        newest = max(models, key=lambda path: path.stat().st_mtime)
        if not ORIGINAL.exists():  # else a walk was killed before it was put back
            shutil.copy(newest, ORIGINAL)
        artefact.dump(self.always.fitted(index + 1, tampered=True), newest)
        yield
        ORIGINAL.replace(newest)

    def month(self, index: int, server: Server) -> dict[str, Any]:
        """Serve, label, monitor, retrain and promote: all of one month. Raises InputError.

        Where a named fault kept a retraining from its end, whoever it called mends it and has it done again.
        """
        month, last = self.served[index], index == len(self.served) - 1
        self.publish(month, self.named)
        self.serve(index, server)
        seen = self.monitor(index)
        gates = [one["gate"] for one in seen["concerns"]] + (["breaker"] if seen["decision"] == "halted" else [])
        reason, outcome = seen["reason"], "none"
        struck = [fault for fault in tables.OF_ROWS if self.due(fault, index)]
        if seen["decision"] == "retrain" and not last:  # of the last there is no month left to serve
            outcome, closed, why = self.retrain(index, struck)
            gates, reason = [*gates, *closed], f"{reason}; {outcome}: {why}"
        named = self.naming(month, struck, gates, seen, reason, outcome)
        if outcome == "refused" and named:
            self.publish(month, {*self.named, *named})
            outcome, closed, why = self.retrain(index, struck)
            gates, reason = [*gates, *closed], f"{reason}; mended, and {outcome}: {why}"
        promoted = self.clone.read("promotion") if outcome == "promoted" else None
        digest = promoted["challenger"]["digest"] if promoted else self.champion
        server.follow(digest)
        return {"month": month.name, "rows": len(self.table.served(month)), "fault": ", ".join(struck) or None,
                "decision": seen["decision"], "outcome": outcome, "gates": list(dict.fromkeys(gates)), "reason": reason,
                "struck": struck, "named": named, "digest": digest,
                "champion": str(server.ask("GET", "/version")[1]["version"])}  # fmt: skip

    def naming(self, month: Month, struck: list[str], gates: list[str], seen: dict[str, Any], reason: str,
               outcome: str) -> dict[str, list[str]]:  # fmt: skip
        """The faults at work of which a gate of this month speaks, with those gates.

        One of the rows is at work from its month on; one of a retraining was stopped if that promoted nothing.
        """
        stuck = self.always.stuck.result()
        columns = {tables.SENSOR: stuck[0] if stuck else "", tables.LABELS: self.table.contract.target}
        alarms = {name for window in seen["windows"] for name in window["alarms"]}
        found = {}
        for fault, when in self.always.faults.items():
            stopped = fault in struck and outcome == "refused"
            if (when.end <= month.end if fault in tables.OF_ROWS else stopped) and fault not in self.named:
                column = columns.get(fault, "")
                spoken = column in alarms or bool(re.search(rf"\b{re.escape(column)}\b", reason))
                found[fault] = [g for g in NAMED_BY[fault] if g in gates and (g not in WITH_COLUMN or spoken)]
        return {fault: by for fault, by in found.items() if by}


def scores_of(month: Month) -> Path:
    """The file of what the server said in a month."""
    return SCORES / f"{month.name}.parquet"


def frame_of(scores: np.ndarray) -> pd.DataFrame:
    """Scores (n,) or (n, K) as a table."""
    import pandas as pd

    return pd.DataFrame(scores.reshape(len(scores), -1)).rename(columns=str)


def put(clone: scratch.Clone, frame: pd.DataFrame) -> str:
    """Write `frame` into the clone, named after its content: DVC's cache of runs goes by a source's name alone."""
    partial = clone.folder / "data" / "table.parquet"
    record.write_parquet(frame, partial)
    name = f"data/table-{record.file_sha256(partial)[:16]}.parquet"
    partial.replace(clone.folder / name)
    return name
