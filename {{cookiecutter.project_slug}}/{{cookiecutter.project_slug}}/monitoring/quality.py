"""What late labels say of the champion: its loss, what it gains on knowing nothing, what recalibrating would win back.

Labels are read where training rows are, and meet their predictions by the key. A loss rises when the world gets
harder, which no retraining mends; so the verdict is on the gain (worse than nothing, at all or in a slice) and on
miscalibration, both with intervals over blocks.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import config
from ..errors import InputError, NoRows
from ..gates import calibration, intervals, metrics, slices
from ..serving import parts
from ..stages import ingest
from ..stages.cast import cast
from . import windows

if TYPE_CHECKING:
    import pandas as pd

    from ..gates.reference import Reference
    from ..schema import Schema


def predicted(folder: Path, start: dt.datetime, end: dt.datetime, time: str, digest: str, contract: Schema
              ) -> pd.DataFrame:  # fmt: skip
    """The champion's predictions in the log: id, time and scores; the last of each id."""
    import pandas as pd

    wanted = [parts.ID, parts.DIGEST, time, *contract.scores(parts.PREDICTED)]
    logged = windows.between(folder, start, end, time, wanted)
    found = [frame[frame[parts.DIGEST] == digest][wanted] for frame in logged]
    table = pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=wanted)
    return table.drop_duplicates(parts.ID, keep="last")


def labels(source: config.Ingest, contract: Schema, columns: list[str], start: dt.datetime, end: dt.datetime
           ) -> pd.DataFrame:  # fmt: skip
    """What the source holds of start <= time < end: id as the log has it, `actual` as a number, and `columns`."""
    import pandas as pd

    wanted = [*contract.key, contract.target, *columns]
    window = source.model_copy(update={"start": start, "end": end} if contract.time else {"start": None, "end": None})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.parquet")
        try:
            ingest.snapshot(window, contract, path)
        except NoRows:
            return pd.DataFrame(columns=[parts.ID, "actual", *columns])
        raw = pd.read_parquet(path)
    absent = [name for name in wanted if name not in raw]
    if absent:
        raise InputError(f"{source.source} has no column {absent[0]}: late labels need it")
    table = pd.DataFrame({name: cast(raw[name], contract.columns[name]) for name in wanted})
    found = table[columns].copy()
    found[parts.ID] = table[contract.key].astype("str").agg("/".join, axis=1)
    found["actual"] = contract.encode_target(table[contract.target])
    return found.drop_duplicates(parts.ID)


def interval(found: intervals.Estimate) -> dict[str, float]:
    """A mean with its one-sided bounds, in a report."""
    return {"value": found.value, "low": found.low, "high": found.high}


def arrived(due: int, there: int, settings: config.Quality) -> dict[str, Any]:
    """How many of the labels that are due are there, and whether that is enough."""
    share = there / due if due else None
    verdict = "none due" if share is None else "arrive" if share >= settings.min_share else "missing"
    return {"due": due, "arrived": there, "share": share, "verdict": verdict}


def judge(table: pd.DataFrame, contract: Schema, params: config.Params, kept: Reference, blocks: np.ndarray
          ) -> dict[str, Any]:  # fmt: skip
    """Loss, gain and miscalibration over labelled rows with their intervals, slices, and the verdict."""
    y, p = table["actual"].to_numpy(dtype=float), metrics.scores(table, parts.PREDICTED, contract)
    nothing = np.tile(kept.dummy, (len(y), 1)) if contract.task == "multiclass" else np.full(len(y), kept.dummy[0])
    loss = metrics.primary(contract.task, y, p)
    gain = metrics.primary(contract.task, y, nothing) - loss
    lost = calibration.loss(contract.task, y, p, blocks)
    found = {name: intervals.estimate(values, blocks, params.gates.confidence, params.evaluate.replicates)
             for name, values in (("loss", loss), ("gain", gain), ("miscalibration", lost))}  # fmt: skip
    declared = params.gates.posttrain.get("slices", {})
    harm, names = declared.get("harm", 0.0), [name for name in params.evaluate.slices if name in table]
    parted = slices.judge(gain, blocks, table[names], declared.get("floor", 0.0), harm, params.gates.confidence)
    reasons = []
    if found["gain"].high < 0:
        reasons.append(f"worse than knowing nothing: gain {found['gain'].value:.4g}, bound {found['gain'].high:.4g}")
    if found["miscalibration"].low > params.monitor.quality.margin:
        reasons.append(f"miscalibration costs {found['miscalibration'].value:.4g}, surely more than"
                       f" {params.monitor.quality.margin:g} (bound {found['miscalibration'].low:.4g})")  # fmt: skip
    worst = [part.name for part in parted if part.verdict == "fail"]
    reasons += [f"worse than knowing nothing in {', '.join(worst)}"] if worst else []
    return {
        "verdict": "bad" if reasons else "good",
        "reason": "; ".join(reasons) or f"{contract.target} is predicted about as promised",
        **{name: interval(one) for name, one in found.items()},
        "slices": [told(part) for part in parted],
    }


def told(part: slices.Slice) -> dict[str, Any]:
    """A slice in a report; its value is the gain on knowing nothing."""
    found = interval(part.found) if part.found else dict.fromkeys(("value", "low", "high"))
    return {"slice": part.name, **found, "rows": part.rows, "verdict": part.verdict}


def look(params: config.Params, contract: Schema, kept: Reference, digest: str, until: dt.datetime, time: str
         ) -> tuple[dict[str, Any], dict[str, Any]]:  # fmt: skip
    """`labels` and `quality` of the report, for the days whose labels are due at `until`. Raises InputError."""
    settings = params.monitor.quality
    end = until - dt.timedelta(days=settings.label_days)
    start = end - dt.timedelta(days=settings.days)
    unknown: dict[str, Any] = {"verdict": "unknown", "rows": 0, "units": 0, "metric": metrics.PRIMARY[contract.task],
                               "loss": None, "reference": kept.loss, "gain": None, "miscalibration": None,
                               "slices": []}  # fmt: skip
    if not contract.key:
        return arrived(0, 0, settings), {**unknown, "reason": "schema.yaml declares no key by which labels are found"}
    said = predicted(params.serve.log.folder, start, end, time, digest, contract)
    if said.empty:
        return arrived(0, 0, settings), {**unknown, "reason": "no label of a prediction by the champion is due yet"}
    extra = [*params.evaluate.slices, *filter(None, [contract.group])]
    known = labels(params.ingest, contract, [name for name in dict.fromkeys(extra) if name != time], start, end)
    table = said.merge(known, on=parts.ID, how="left")
    table = table[table["actual"].notna()].reset_index(drop=True)
    count = arrived(len(said), len(table), settings)
    # What stopped a few days ago is lost in eight weeks that went well.
    late = end - dt.timedelta(days=params.monitor.window_days)
    latest = arrived(int((said[time] >= late).sum()), int((table[time] >= late).sum()), settings)
    whole = count["verdict"] == "missing"
    if whole or (latest["verdict"] == "missing" and latest["due"] >= params.monitor.min_rows):
        few, when = (count, "") if whole else (latest, f" of the last {params.monitor.window_days} days")
        count["verdict"] = "missing"
        reason = f"{few['arrived']} of {few['due']} labels{when} that are due have arrived: look at what delivers them"
        return count, {**unknown, "rows": len(table), "reason": reason}
    if contract.time is None:
        table = table.rename(columns={time: "time"})
    blocks = intervals.units(table, contract, params.gates.resample_by)
    units = len(np.unique(blocks))
    measured = {"rows": len(table), "units": units}
    if units < 2:
        return count, {**unknown, **measured, "reason": f"labels of {units} unit of resampling: too few to tell"}
    return count, {**unknown, **measured, **judge(table, contract, params, kept, blocks)}
