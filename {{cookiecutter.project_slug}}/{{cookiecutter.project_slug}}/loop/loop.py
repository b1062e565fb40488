"""The command `loop`: begin a walk or go on with one, and report what it showed."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import config, document, record, schema
from ..errors import InputError
from ..gates import metrics
from ..git import git
from ..registry import lineage
from . import figures, page, scratch, server
from . import table as tables
from .policies import Always
from .walk import SCORES, Walk, put, scores_of

if TYPE_CHECKING:
    from rich.console import Console


def require_committed() -> None:
    """Raise InputError when what the walk would run is not what lies here: a clone holds what was committed."""
    paths = (*lineage.CODE, str(config.PATH), str(schema.PATH))
    changed = git("status", "--porcelain", "--untracked-files=all", "--", *paths).splitlines()
    if changed:
        raise InputError(f"{changed[0][3:]} is not committed, and a walk runs what is: commit it first")


def tracked(source: config.Ingest) -> bool:
    """Whether the source is a file of this folder that the stage `ingest` depends on: the clone then keeps its name."""
    stages = document.parse(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"]
    listed = source.source in stages.get("ingest", {}).get("deps", ())
    return listed and Path(source.source).is_file() and not Path(source.source).is_absolute()


def prepare(walk: Walk, params: config.Params, first: str) -> None:
    """Train and promote the first champion in the new clone. Raises InputError, naming the gates that refuse it."""
    changes: dict[str, Any] = {"ingest__end": first}
    if walk.source.get("ingest__source") is None:
        walk.source = {"ingest__source": put(walk.clone, walk.table.raw), "ingest__query": None}
    else:
        target = walk.clone.folder / params.ingest.source
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(Path(params.ingest.source).read_bytes())
    if params.serve.log.folder.is_absolute():
        changes["serve__log__folder"] = "predictions"
    walk.clone.set_params(**walk.source, **changes)
    red, why = walk.clone.repro()
    if red:
        raise InputError(f"the first window, to {first}, gives no champion: {', '.join(red)} closed: {why}")
    walk.clone.commit(f"Start with the window to {first}")
    done = walk.clone.command("promote")
    found = walk.clone.read("promotion")
    if done.code or not found:
        raise InputError(f"the first model was not promoted: {done.said}")
    walk.first = found["challenger"]["digest"]
    walk.save()


def result(walk: Walk, quick: bool) -> dict[str, Any]:
    """The content of `reports/loop.json`."""
    import numpy as np
    import pandas as pd

    contract, always, count = walk.table.contract, walk.always, len(walk.served)
    rows = [walk.table.served(month) for month in walk.served]
    gated = [record.read_parquet(scores_of(month)).to_numpy() for month in walk.served]
    answers = figures.Answers(
        pd.concat(rows),
        contract.encode_target(pd.concat(rows)[contract.target]).to_numpy(),
        np.repeat(np.arange(count), [len(one) for one in rows]),
        {
            figures.FROZEN: np.concatenate([always.said(0, j) for j in range(count)]),
            figures.ALWAYS: np.concatenate([always.answers(j) for j in range(count)]),
            figures.GATED: np.concatenate([one if one.shape[1] > 1 else one[:, 0] for one in gated]),
        },
    )
    faults = bool(always.faults)
    said = {} if faults else {(i, j): always.said(i, j) for j in range(count) for i in range(j + 1)}
    hidden = ("struck", "named", "digest")
    months = [
        {k: v for k, v in month.items() if k not in hidden} | {"policies": figures.by_month(answers, contract.task, i)}
        for i, month in enumerate(walk.done)
    ]
    return {
        "mode": "quick" if quick else "full",
        "faults": faults,
        "metric": metrics.PRIMARY[contract.task],
        "months": months,
        "totals": {name: figures.figures(contract.task, answers.y, p) for name, p in answers.said.items()},
        "comparisons": figures.compare(answers, contract, walk.params, faults),
        "staleness": None if faults else figures.staleness(rows, said, always.ages(), contract, walk.params),
        "struck": struck(walk),
    }


def struck(walk: Walk) -> list[dict[str, Any]]:
    """Every fault: when it struck (null: nothing got so far), and which gates named it when."""
    when = {fault: month["month"] for month in walk.done for fault in month["struck"]}
    named = {fault: (month["month"], by) for month in walk.done for fault, by in month["named"].items()}
    return [
        {"fault": fault, "month": when.get(fault), "named_in": named.get(fault, (None, []))[0],
         "named_by": named.get(fault, (None, []))[1]}
        for fault in walk.always.faults
    ]  # fmt: skip


def walked(walk: Walk, console: Console) -> None:
    """Go through the months that are left, a line for each. Raises InputError."""
    with server.served(walk.clone, walk.champion) as serving:
        for index, month in enumerate(walk.served):
            walk.postpone(index)
            if index < len(walk.done):
                continue
            with console.status(f"{month.name}: month {index + 1} of {len(walk.served)}"):
                walk.done.append(walk.month(index, serving))
            walk.began = None
            walk.save()
            told = walk.done[-1]
            closed = f" ({', '.join(told['gates'])})" if told["gates"] else ""
            strikes = f", {told['fault']}" if told["fault"] else ""
            console.print(f"{month.name}: {told['rows']} rows{strikes}; {told['decision']}, {told['outcome']}{closed}",
                          highlight=False, soft_wrap=True)  # fmt: skip


def begin(quick: bool, faults: bool, source: Path | None, console: Console) -> Walk:
    """A walk over the source of `params.yaml`, or over another table: a new one, or the same that was stopped.

    Raises InputError.
    """
    require_committed()
    params, contract = config.load(), schema.load()
    if params.split.by != "time":
        raise InputError(f"a walk needs split.by: time, and params.yaml says {params.split.by}")
    scratch.end_left()
    asked = params.ingest.model_copy(update={"source": str(source), "query": None}) if source else params.ingest
    table = tables.load(asked, contract, scratch.HOME / "table.parquet")
    end, served = tables.months(table, quick, params.ingest)
    commit = git("rev-parse", "HEAD")
    key = record.value_sha256([commit, table.sha256, quick, faults])
    always = Always(table, served, params, tables.schedule(served, contract) if faults else {})
    kept = {"ingest__source": asked.source} if not source and tracked(asked) else {}
    walk = Walk(scratch.found(), table, served, params, always, kept, key)
    if walk.load():
        walk.source = walk.source or {"ingest__source": put(walk.clone, table.raw), "ingest__query": None}
        console.print(f"going on after {len(walk.done)} of {len(served)} months", highlight=False)
        return walk
    try:
        with console.status("first window"):
            walk.clone = scratch.make(commit)
            SCORES.mkdir()
            prepare(walk, params, str(params.ingest.end.date()) if quick and params.ingest.end else str(end.date()))
    except BaseException:
        always.close()
        raise
    return walk


def main(quick: bool, faults: bool, source: Path | None = None) -> int:
    """Walk, and write `reports/loop.json`, `.md` and `.svg`; 1 when no gate named a fault. Raises InputError."""
    from filelock import FileLock, Timeout
    from rich.console import Console

    console = Console()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started ends, too
    scratch.HOME.mkdir(exist_ok=True)
    try:
        with FileLock(scratch.HOME / "lock", timeout=0):
            walk = begin(quick, faults, source, console)
            try:
                walked(walk, console)
                found = result(walk, quick)
            finally:
                walk.always.close()
    except Timeout:
        raise InputError("another walk is at work in this folder: wait for it to end") from None
    page.write(found)
    print("\n".join(page.sentences(found)))
    missed = [one["fault"] for one in found["struck"] if not one["named_by"]]
    if missed:
        print(f"loop: no gate named {', '.join(missed)}: see {page.REPORT}", file=sys.stderr)
    return 1 if missed else 0
