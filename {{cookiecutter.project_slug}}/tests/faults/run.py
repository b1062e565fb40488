"""Break a copy of the project in every known way and show which gate closes: `nox -s faults`.

Prints a table and writes `reports/faults.json`. A gate counts as closed when the command that was run failed and
named it on its own line `gate closed: NAME: reason`. Exit code 1 when the unharmed copy is red, when a fault passes,
when the wrong gate closes, or when a gate or guard has no fault. A fault of what this table does not have, or that
does not get as far as its gate, is left out; a gate must have another one. Guards are the template's own: without a
window some are not tried here.
`--only WORD` runs the faults whose name holds the word or whose gate it is (no claim about gates without a fault is
made then). `--one-each` runs of every gate the first that is not left out. `--cold` starts every process anew.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import states
import warm
from catalogue import FAULTS, GUARDS
from project import PACKAGE, Absent, Copy, Fault, Unharmed, environment
from rich.console import Console
from rich.progress import track
from rich.table import Table

Result = dict[str, Any]


def reason(copy: Copy, gate: str, said: str) -> str:
    """What the gate's own report says, else what the command said."""
    for path in copy.root.glob("reports/*.json"):
        gates = json.loads(path.read_text(encoding="utf-8")).get("gates", [])
        for entry in gates:
            if isinstance(entry, dict) and entry["gate"] == gate and entry["verdict"] != "pass":
                return str(entry["reason"])
    return said


def inject(fault: Fault, start: Callable[[], Copy], folder: Path) -> Result:
    """Harm a clone of `start` in `folder`, run the fault's command, and say what closed."""
    began, left_out = time.monotonic(), False
    try:
        copy = start().clone(folder)
        gates = copy.read()["gates"]
        fault.harm(copy)
        done = copy.run(fault.run)
        closed, code = done.closed, done.code
        if fault.gate in gates["posttrain"] and (before := {"schema", *gates["pretrain"]} & {*closed}):
            raise Absent(f"{', '.join(before)} closes before it")
        said = reason(copy, fault.gate, done.said) if fault.gate in closed else done.said
    except Exception as error:  # a harm meets a table that it was not written for: the others are run all the same
        left_out = isinstance(error, Absent)
        kind = "" if isinstance(error, (Absent, Unharmed, RuntimeError)) else f"{type(error).__name__}: "
        closed, code, said = [], 0, f"not injected: {kind}{error}"
    return {"fault": fault.name, "cause": fault.cause, "gate": fault.gate, "run": fault.run, "left_out": left_out,
            "closed": code != 0 and fault.gate in closed, "closed_by": closed, "reason": said,
            "seconds": round(time.monotonic() - began, 1)}  # fmt: skip


def prepared(base: Copy, folder: Path, names: set[str], pool: ThreadPoolExecutor) -> dict[str, Future[Copy]]:
    """The copies that faults start from, under way."""

    def make(name: str) -> Copy:
        made = base.clone(folder / name)
        states.BUILT_ON_BASE[name](made)
        return made

    return {name: pool.submit(make, name) for name in states.BUILT_ON_BASE if name in names}


def run_all(faults: list[Fault], base: Copy, folder: Path, workers: int, one_each: bool) -> list[Result]:
    """Every fault on a copy of its own, several at a time; results in the catalogue's order.

    With `one_each` those of a gate one after the other, until one was not left out.
    """
    # States come first, then what takes longest: many retrainings, and pipelines that run to the end.
    late = base.read()["gates"]["posttrain"]
    order = sorted(faults, key=lambda f: (f.start != "small", f.gate not in late))
    with ThreadPoolExecutor(workers) as pool:
        made = prepared(base, folder, {fault.start for fault in faults}, pool)

        def one(fault: Fault) -> Result:
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                return inject(
                    fault, made[fault.start].result if fault.start in made else lambda: base, Path(scratch, "copy")
                )

        def several(of_a_gate: list[Fault]) -> list[Result]:
            results = []
            for fault in of_a_gate:
                results.append(one(fault))
                if one_each and not results[-1]["left_out"]:
                    break
            return results

        asked = [pool.submit(several, group) for group in grouped(order, one_each)]
        found = [result for future in track(asked, "faults", transient=True) for result in future.result()]
    names = [fault.name for fault in faults]
    return sorted(found, key=lambda result: names.index(result["fault"]))


def grouped(faults: list[Fault], one_each: bool) -> list[list[Fault]]:
    """Each fault alone, or with the others of its gate, in the order of the catalogue."""
    if not one_each:
        return [[fault] for fault in faults]
    gates = dict.fromkeys(fault.gate for fault in faults)
    return [sorted((f for f in faults if f.gate == gate), key=FAULTS.index) for gate in gates]


def show(results: list[Result]) -> None:
    """Print the table."""
    table = Table("fault", "how a team gets there", "must close", "closed by", "s", box=None, pad_edge=False)
    for result in results:
        by = ", ".join(result["closed_by"]) or "nothing"
        mark = "[green]" if result["closed"] else "[red]NOT CLOSED: "
        found = "left out" if result["left_out"] else mark + by
        table.add_row(*(result[k] for k in ("fault", "cause", "gate")), found, str(result["seconds"]))
    Console(width=150).print(table)
    for result in results:
        if not result["closed"]:
            print(f"{result['fault']}: {result['reason']}")


def conclude(results: list[Result], declared: set[str]) -> int:
    """Write `reports/faults.json`, print what it adds up to; the exit code. `declared`: what must have a fault."""
    tried = [result for result in results if not result["left_out"]]
    known = {result["gate"] for result in results}
    untried = sorted(known - {result["gate"] for result in tried})
    untested = sorted((declared - known) | (set(untried) - {*GUARDS}))
    Path("reports").mkdir(exist_ok=True)
    report = {"faults": results, "gates_without_a_fault": untested}
    Path("reports/faults.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    good = sum(result["closed"] for result in tried)
    print(f"{good} of {len(tried)} faults closed by the gate that must close")
    if len(tried) < len(results):
        print(f"left out, since this table has nothing that they break: {len(results) - len(tried)}")
    if guards := [name for name in untried if name in GUARDS]:
        print(f"guards not tried on this table: {', '.join(guards)}")
    if untested:
        print(f"gates without a fault: {', '.join(untested)}; add one to tests/faults")
    return 1 if good < len(tried) or untested or not tried else 0


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="words in a fault's name, or gates")
    parser.add_argument("--one-each", action="store_true", help="of the faults of a gate the first alone")
    parser.add_argument("--cold", action="store_true", help="no forks: every process starts anew, in thrice the time")
    parser.add_argument("--workers", type=int, default=max(2, min(4, os.cpu_count() or 2)), help="copies at a time")
    return parser.parse_args()


def main() -> int:
    """Run all faults, or those that `--only` picks; the exit code."""
    asked = arguments()
    faults = [f for f in FAULTS if not asked.only or any(word in f.name or word == f.gate for word in asked.only)]
    gates = Copy(Path()).read()["gates"]
    declared = {"schema", *gates["pretrain"], *gates["posttrain"], *GUARDS}
    if gone := sorted({fault.gate for fault in faults} - declared):
        print(f"left out, since params.yaml declares no such gate: the faults of {', '.join(gone)}")
    faults = [fault for fault in faults if fault.gate in declared]
    with tempfile.TemporaryDirectory() as place:
        folder, server, program = Path(place), None, None
        if hasattr(os, "fork") and not asked.cold:
            server, program = warm.start(folder, PACKAGE, environment(None))
        try:
            base = states.base(folder / "base", environment(program))
            results = run_all(faults, base, folder, asked.workers, asked.one_each)
        except RuntimeError as red:
            print(f"the unharmed copy is red, so no fault proves anything: {red}")
            return 1
        finally:
            if server:
                server.kill()
    show(results)
    return conclude(results, set() if asked.only else declared)


if __name__ == "__main__":
    sys.exit(main())
