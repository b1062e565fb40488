"""Champion or not: the challenger is compared on rows that neither model was trained on, then the alias moves."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import config, model, record, schema
from ..errors import GateClosed, InputError
from ..gates import intervals, metrics, verdict
from . import artefact, bundles, card, comparison, golden, tracking, versions

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

REPORT = Path("reports/promotion.json")
#: Bytes that the report may take.
ROOM = 2**16
#: Tag of a version: SHA-256 of the report that would have promoted it, for `confirm` to know it again.
JUDGED = "judged"


def predictions_of(client: MlflowClient, version: ModelVersion, test: pd.DataFrame
                   ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """A version's predictions of `test`, by its own code, (n,) or (n, K), and whether it was trained on each row, (n,).

    Raises InputError when it cannot predict them, or predicts other classes than ours.
    """
    with versions.bundle(client, version) as folder, tempfile.TemporaryDirectory() as scratch:
        table, out = Path(scratch, "test.parquet"), Path(scratch, "out.parquet")
        record.write_parquet(test, table)
        command = [sys.executable, "-m", f"{tracking.NAME}.serving.predict", str(folder), str(table), str(out)]
        done = subprocess.run(command, cwd=folder / "code", capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stderr.splitlines() or ["no reason given"])[-1]
            kind = tracking.StoreError if done.returncode == tracking.StoreError.CODE else InputError
            raise kind(f"version {version.version} cannot predict the test rows: {said}")
        theirs, ours = schema.load(folder / "schema.yaml"), schema.load()
        if theirs.classes != ours.classes:
            raise InputError(f"version {version.version} tells {theirs.classes} apart, this schema.yaml {ours.classes}:"
                             " start anew with `promote --reset REASON`")  # fmt: skip
        trained = record.read_parquet(folder / bundles.KEYS)["key"]
        # By the key that the version's own schema declares: its row keys are hashes of those columns.
        seen = bundles.row_keys(test, theirs).isin(trained)
        return metrics.scores(record.read_parquet(out), "predicted", theirs), seen.to_numpy()


def rivals_of(client: MlflowClient, champion: ModelVersion, kind: str) -> dict[str, ModelVersion]:
    """Whom the challenger meets: the champion and, when it need not be superior, the champion's anchor."""
    anchor = str(champion.tags.get("anchor", champion.version))
    if kind == "superior" or anchor == str(champion.version):
        return {"champion": champion}
    return {"champion": champion, f"anchor {anchor}": client.get_model_version(tracking.NAME, anchor)}


def judge(client: MlflowClient, params: config.Params, champion: ModelVersion, facts: dict[str, str]
          ) -> dict[str, Any]:  # fmt: skip
    """Compare this workspace's model with the champion (and the anchor); decision, reason and every test."""
    contract, test = schema.load(), record.read_parquet(verdict.TEST)
    comparison.require_guardrails(contract.task, params.promote)
    if facts["task"] != champion.tags["task"]:
        raise InputError(f"the champion's task is {champion.tags['task']}, which cannot be compared with"
                         f" {facts['task']}: start anew with `promote --reset REASON`")  # fmt: skip
    kind = comparison.mode(facts, champion.tags)
    rivals = rivals_of(client, champion, kind)
    with ThreadPoolExecutor() as pool:  # each in a process of its own
        found = dict(zip(rivals, pool.map(lambda one: predictions_of(client, one, test), rivals.values()), strict=True))
    fresh = ~np.logical_or.reduce([seen for _, seen in found.values()])
    blocks = intervals.units(test, contract, params.gates.resample_by)[fresh]
    units, rows = len(np.unique(blocks)), int(fresh.sum())
    counts = {"test": len(test), "overlap_dropped": len(test) - rows, "compared": rows}
    report: dict[str, Any] = {"mode": kind, "rows": counts, "units": units, "tests": []}
    if rows < params.promote.min_rows or units < params.promote.min_units:
        reason = f"only {rows} rows in {units} units are new to the models compared: widen the test set (split) or"
        return {**report, "decision": "refused", "gates": ["rows"], "reason": f"{reason} move the window on"}
    times = test[contract.time][fresh] if contract.time else None
    look = count_look(client, facts["digest"], champion.tags["digest"], times)
    alpha = comparison.alpha_of_look(1 - params.gates.confidence, look)
    predictions = record.read_parquet(verdict.PREDICTIONS)
    y, ours = predictions["actual"].to_numpy()[fresh], metrics.scores(predictions, "predicted", contract)[fresh]
    theirs = {name: predicted[fresh] for name, (predicted, _) in found.items()}
    tests = comparison.verdicts(kind, contract.task, params.promote, y, ours, theirs, blocks, alpha)
    red = [one for one in tests if not one.passed]
    told = "; ".join(f"{t.test} {t.metric}: bound {t.bound:.4g} is not above {t.margin:.4g}" for t in red)
    report |= {"look": look, "alpha": alpha, "tests": [asdict(one) for one in tests]}
    gates = list(dict.fromkeys(one.gate for one in red))
    return {
        **report,
        "decision": "refused" if red else "promoted",
        "gates": gates,
        "reason": told or "every test passed",
    }


def count_look(client: MlflowClient, digest: str, champion: str, times: pd.Series | None) -> float:
    """The number of this comparison among all that were made on these test rows, from 1, kept with the model's name.

    The same two models on the same rows are the same look: its result cannot differ.
    """
    tags = client.get_registered_model(tracking.NAME).tags
    looks = {key: json.loads(value) for key, value in tags.items() if key.startswith("look.")}
    mine = f"look.{record.file_sha256(verdict.TEST)[:16]}.{digest[:16]}.{champion[:16]}"
    if mine not in looks:
        number = comparison.number_of_look(times, [(look["from"], look["until"]) for look in looks.values()])
        first, last = (str(times.min()), str(times.max())) if times is not None else ("", "")
        looks[mine] = {"look": number, "from": first, "until": last}
        client.set_registered_model_tag(tracking.NAME, mine, json.dumps(looks[mine]))
    return float(looks[mine]["look"])


def decide(client: MlflowClient, params: config.Params, version: ModelVersion, champion: ModelVersion | None,
           reset: str | None) -> dict[str, Any]:  # fmt: skip
    """Promoted, unchanged or refused, with the reason and the tests."""
    if champion is not None and champion.version == version.version:
        return {"decision": "unchanged", "reason": "this model is the champion already", "tests": []}
    if champion is None:
        reason = "first champion: the baselines of the post-train gates decide"
        return {"decision": "promoted", "reason": reason, "mode": "first", "tests": []}
    if reset:
        return {"decision": "promoted", "reason": f"reset: {reset}", "mode": "reset", "tests": []}
    if version.tags.get(versions.ROLLED_BACK):
        reason = f"version {version.version} was rolled back: train another model, or `promote --reset REASON`"
        return {"decision": "refused", "gates": ["rolled_back"], "reason": reason, "tests": []}
    return judge(client, params, champion, version.tags)


def require_parity(client: MlflowClient, version: ModelVersion) -> None:
    """Raise GateClosed unless the version, as the registry gives it back, predicts the test rows as `evaluate` did."""
    contract, evaluated = schema.load(), record.read_parquet(verdict.PREDICTIONS)
    with versions.bundle(client, version) as folder:
        fitted = artefact.load(folder / "model.skops")
        found = model.predict(fitted, record.read_parquet(verdict.TEST), contract)
    if not golden.equal(found, metrics.scores(evaluated, "predicted", contract)):
        reason = f"version {version.version} does not predict here as it did in `evaluate`"
        cure = "what it says must depend on its files and the locked libraries alone; run `dvc repro`"
        raise GateClosed(["parity"], f"{reason}: {cure}")


def promote(client: MlflowClient, params: config.Params, dry_run: bool, reset: str | None, production: bool = False
            ) -> dict[str, Any]:  # fmt: skip
    """Judge and, unless `dry_run`, move the alias; the content of `reports/promotion.json`.

    `production` asks for a written model card as well. Whatever keeps the models from being compared is a refusal; only
    a store that does not answer decides nothing.
    """
    report: dict[str, Any] = {"dry_run": dry_run, "challenger": None, "champion": None, "gates": []}
    try:
        versions.settle(client)
        version = versions.register(client, params)
        champion = versions.by_alias(client, "champion")
        report |= {"challenger": named(version), "champion": named(champion) if champion else None}
        if production:
            card.require()
        require_parity(client, version)
        report |= decide(client, params, version, champion, reset)
        if report["decision"] == "promoted":
            if dry_run:
                client.set_model_version_tag(tracking.NAME, str(version.version), JUDGED, fingerprint(report))
            else:
                crown(client, version, champion, report)
    except tracking.StoreError:
        raise
    except (GateClosed, InputError) as error:
        gates, reason = (list(error.gates), error.reason) if isinstance(error, GateClosed) else ([], str(error))
        return {**report, "decision": "refused", "gates": gates, "reason": reason, "tests": []}
    return report


def fingerprint(report: dict[str, Any]) -> str:
    """SHA-256 of what a report decides, the same before it is written, after it is read and once it is confirmed."""
    return record.value_sha256(record.rounded({**report, "dry_run": True}))


def confirm(client: MlflowClient, report: dict[str, Any]) -> dict[str, Any]:
    """Move the alias as a dry run's report says, without the data that it was judged on; the report, no longer dry.

    Between the two, production has tried the model. Raises InputError when the registry knows nothing of that report,
    or when the champion is no longer the one it speaks of. Again after a kill, it does what was left to do.
    """
    number = (report.get("challenger") or {}).get("version")
    version = versions.by_number(client, str(number)) if number else None
    if version is None or version.tags.get(JUDGED) != fingerprint(report):
        raise InputError(f"{REPORT} is not what `promote --dry-run` said of a version in this registry: run it again")
    if version.tags.get(versions.ROLLED_BACK):
        raise InputError(f"version {version.version} was rolled back since: train another model")
    versions.settle(client)
    champion = versions.by_alias(client, "champion")
    if champion is None or champion.version != version.version:
        expected = versions.by_number(client, report["champion"]["version"]) if report["champion"] else None
        crown(client, version, expected, report)
    return {**report, "dry_run": False}


def named(version: ModelVersion) -> dict[str, str]:
    """A version in a report."""
    return {"version": str(version.version), "digest": version.tags["digest"]}


def crown(client: MlflowClient, version: ModelVersion, champion: ModelVersion | None, report: dict[str, Any]) -> None:
    """Write down why, then move the aliases. Raises InputError when the champion is another one by now."""
    number = str(version.version)
    anchor = number
    if champion is not None and report["mode"] == "non_inferior":
        anchor = str(champion.tags.get("anchor", champion.version))
    client.set_model_version_tag(tracking.NAME, number, "anchor", anchor)
    client.set_model_version_tag(tracking.NAME, number, "promotion", report["reason"])
    versions.crown(client, number, str(champion.version) if champion else None)


def main(dry_run: bool, reset: str | None, production: bool = False, judged: bool = False) -> int:
    """Write `reports/promotion.json`; 0 when promoted or champion already, 3 when refused. Raises InputError.

    `judged`: take what `dry_run` wrote there for decided, and move the alias.
    """
    if judged and (production or reset):
        raise InputError("--judged takes what `promote --dry-run` decided: give --production or --reset to that")
    if judged and not REPORT.is_file():
        raise InputError(f"{REPORT} is missing: run `promote --dry-run` first")
    said = record.read_json(REPORT) if judged else None
    room = tracking.store() / "room"  # for the report, so that a full disk is found out before an alias moves
    record.write_atomically(room, lambda partial: partial.write_bytes(bytes(ROOM)))
    try:
        if said is None:
            REPORT.unlink(missing_ok=True)
        with versions.exclusive(), tracking.session() as client:
            report = (
                confirm(client, said)
                if said is not None
                else promote(client, config.load(), dry_run, reset, production)
            )
    finally:
        room.unlink(missing_ok=True)
    record.write_json(REPORT, report)
    would = "would be " if dry_run and report["decision"] == "promoted" else ""
    closed = f"gate closed: {', '.join(report['gates'])}: " if report["gates"] else ""
    print(f"{would}{report['decision']}: {closed}{report['reason']}")
    return 3 if report["decision"] == "refused" else 0
