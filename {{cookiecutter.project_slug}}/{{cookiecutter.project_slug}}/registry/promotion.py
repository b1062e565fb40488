"""Champion or not: the challenger is compared on rows that neither model was trained on, then the alias moves.

Every comparison on the same test rows spends some of the 5 % that a useless change may win by luck. The n-th
challenger judged on them gets alpha / (n (n + 1)), which adds up to alpha over any number of looks.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import config, record, schema
from ..errors import GateClosed, InputError
from ..gates import intervals, metrics, verdict
from ..stages import split
from . import tracking, versions

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

REPORT = Path("reports/promotion.json")


@dataclass(frozen=True)
class Comparison:
    """One test of the challenger; `gain` is positive when the challenger is better, in the metric's unit."""

    test: str
    metric: str
    gain: float
    bound: float
    margin: float
    detectable: float
    passed: bool


def alpha_of_look(alpha: float, look: int) -> float:
    """The share of `alpha` that the look-th comparison (from 1) on the same rows may spend."""
    return alpha / (look * (look + 1))


def compare(name: str, metric: str, gain: np.ndarray, blocks: np.ndarray, margin: float, alpha: float,
            superior: bool) -> Comparison:  # fmt: skip
    """Test the mean `gain` (n,) over blocks: above 0 when it must be superior, else above minus the margin."""
    found = intervals.estimate(gain, blocks, 1 - alpha)
    floor = 0.0 if superior else -margin
    return Comparison(name, metric, found.value, found.low, floor, found.detectable, found.low > floor)


def gains(task: str, y: np.ndarray, theirs: np.ndarray, ours: np.ndarray, metric: str) -> np.ndarray:
    """Per row, by how much `ours` is better than `theirs` on `metric`; shape (n,)."""
    if task == "binary":
        values = [metrics.binary(y, p, 0.5, 1.0, 1.0)[metric] for p in (theirs, ours)]
    else:
        values = [metrics.regression(y, p)[metric] for p in (theirs, ours)]
    return values[1] - values[0] if metric in metrics.HIGHER_IS_BETTER else values[0] - values[1]


def mode(challenger: dict[str, str], champion: dict[str, str]) -> str:
    """`non_inferior` for the champion's recipe on newer rows, else `superior`."""
    same = challenger["recipe"] == champion["recipe"]
    newer = challenger["train_until"] > champion["train_until"]
    undated = not challenger["train_until"] and challenger["train_sha256"] != champion["train_sha256"]
    return "non_inferior" if same and (newer or undated) else "superior"


def predictions_of(client: MlflowClient, version: ModelVersion, test: pd.DataFrame
                   ) -> tuple[np.ndarray, set[int]]:  # fmt: skip
    """A version's predictions of `test`, by its own code, and the keys of the rows it was trained on."""
    with versions.bundle(client, version) as folder, tempfile.TemporaryDirectory() as scratch:
        table, out = Path(scratch, "test.parquet"), Path(scratch, "out.parquet")
        record.write_parquet(test, table)
        command = [sys.executable, "-m", f"{tracking.NAME}.serving.predict", str(folder), str(table), str(out)]
        done = subprocess.run(command, cwd=folder / "code", capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stderr.splitlines() or ["no reason given"])[-1]
            raise InputError(f"version {version.version} cannot predict the test rows: {said}")
        keys = set(record.read_parquet(folder / versions.KEYS)["key"])
        return record.read_parquet(out)["predicted"].to_numpy(), keys


def judge(client: MlflowClient, params: config.Params, champion: ModelVersion, facts: dict[str, str], look: int
          ) -> dict[str, Any]:  # fmt: skip
    """Compare this workspace's model with the champion (and the anchor); decision, reason and every test."""
    contract, test = schema.load(), record.read_parquet(split.TEST)
    theirs, seen = predictions_of(client, champion, test)
    fresh = ~split.row_keys(test, contract).isin(seen).to_numpy()
    alpha = alpha_of_look(1 - params.gates.confidence, look)
    blocks = intervals.units(test, contract, params.gates.resample_by)[fresh]
    units = len(np.unique(blocks))
    kind = mode(facts, champion.tags)
    report: dict[str, Any] = {
        "mode": kind, "look": look, "alpha": alpha, "units": units,
        "rows": {"test": len(test), "overlap_dropped": int((~fresh).sum()), "compared": int(fresh.sum())},
    }  # fmt: skip
    if fresh.sum() < params.promote.min_rows or units < params.promote.min_units:
        reason = (f"only {int(fresh.sum())} rows in {units} units are new to both models: widen the test set"
                  " (split) or move the window on")  # fmt: skip
        return {**report, "decision": "refused", "reason": reason, "tests": []}
    predictions = record.read_parquet(verdict.PREDICTIONS)
    y, ours = predictions["actual"].to_numpy()[fresh], predictions["predicted"].to_numpy()[fresh]
    primary, margin = metrics.PRIMARY[contract.task], params.promote.non_inferiority_margin
    gain = gains(contract.task, y, theirs[fresh], ours, primary)
    tests = [compare(f"champion {kind}", primary, gain, blocks, margin, alpha, kind == "superior")]
    for metric, allowed in params.promote.guardrails.items():
        gain = gains(contract.task, y, theirs[fresh], ours, metric)
        tests.append(compare("guardrail", metric, gain, blocks, allowed, alpha, superior=False))
    anchor = str(champion.tags.get("anchor", champion.version))
    if kind == "non_inferior" and anchor != str(champion.version):
        tests.append(against_anchor(client, params, anchor, test, fresh, y, ours, blocks, alpha))
    red = [found for found in tests if not found.passed]
    told = "; ".join(f"{t.test} {t.metric}: bound {t.bound:.4g} is not above {t.margin:.4g}" for t in red)
    report["tests"] = [asdict(found) for found in tests]
    return {**report, "decision": "refused" if red else "promoted", "reason": told or "every test passed",
            "anchor": anchor if kind == "non_inferior" else None}  # fmt: skip


def against_anchor(client: MlflowClient, params: config.Params, anchor: str, test: pd.DataFrame, fresh: np.ndarray,
                   y: np.ndarray, ours: np.ndarray, blocks: np.ndarray, alpha: float) -> Comparison:  # fmt: skip
    """Non-inferiority to the version that last won by superiority, so that small losses cannot add up."""
    task = schema.load().task
    version = client.get_model_version(tracking.NAME, anchor)
    theirs, seen = predictions_of(client, version, test)
    kept = ~split.row_keys(test, schema.load()).isin(seen).to_numpy()[fresh]
    metric = metrics.PRIMARY[task]
    gain = gains(task, y, theirs[fresh], ours, metric)[kept]
    margin = params.promote.non_inferiority_margin
    return compare(f"anchor {anchor} non_inferior", metric, gain, blocks[kept], margin, alpha, superior=False)


def count_look(client: MlflowClient, digest: str) -> int:
    """The number of this challenger among all that were judged on these test rows, counted from 1 and kept.

    A challenger judged again on the same rows is the same look: its result cannot differ.
    """
    rows = record.file_sha256(split.TEST)[:16]
    tags = client.get_registered_model(tracking.NAME).tags
    looks = {key: int(value) for key, value in tags.items() if key.startswith(f"look.{rows}.")}
    mine = f"look.{rows}.{digest[:16]}"
    if mine not in looks:
        looks[mine] = max(looks.values(), default=0) + 1
        client.set_registered_model_tag(tracking.NAME, mine, str(looks[mine]))
    return looks[mine]


def promote(client: MlflowClient, params: config.Params, dry_run: bool, reset: str | None) -> dict[str, Any]:
    """Judge and, unless `dry_run`, register and move the alias; the content of `reports/promotion.json`."""
    try:
        version = versions.register(client, params)
    except GateClosed as error:
        return {"decision": "refused", "reason": str(error), "dry_run": dry_run, "challenger": None}
    champion = versions.by_alias(client, "champion")
    report: dict[str, Any] = {
        "dry_run": dry_run,
        "challenger": {"version": str(version.version), "digest": version.tags["digest"]},
        "champion": {"version": str(champion.version), "digest": champion.tags["digest"]} if champion else None,
    }
    if champion is None or reset:
        reason = f"reset: {reset}" if reset else "first champion: the baselines of the post-train gates decide"
        report |= {"decision": "promoted", "reason": reason, "mode": "first", "tests": []}
    elif champion.version == version.version:
        report |= {"decision": "unchanged", "reason": "this model is the champion already", "tests": []}
    else:
        look = count_look(client, version.tags["digest"])
        report |= judge(client, params, champion, version.tags, look)
    if report["decision"] == "promoted" and not dry_run:
        crown(client, version, champion, report)
    return report


def crown(client: MlflowClient, version: ModelVersion, champion: ModelVersion | None, report: dict[str, Any]) -> None:
    """Move the aliases: `previous` first, so that a kill in between leaves the old champion serving."""
    number = str(version.version)
    client.set_model_version_tag(tracking.NAME, number, "anchor", report.get("anchor") or number)
    client.set_model_version_tag(tracking.NAME, number, "promotion", report["reason"])
    if champion is not None:
        client.set_registered_model_alias(tracking.NAME, "previous", str(champion.version))
    client.set_registered_model_alias(tracking.NAME, "champion", number)


def main(dry_run: bool, reset: str | None) -> int:
    """Write `reports/promotion.json`; 0 when promoted or champion already, 3 when refused."""
    REPORT.unlink(missing_ok=True)
    with versions.exclusive():
        report = promote(tracking.client(), config.load(), dry_run, reset)
    record.write_json(REPORT, report)
    print(f"{report['decision']}: {report['reason']}")
    return 3 if report["decision"] == "refused" else 0
