"""Break a copy of the project in every known way and show which gate closes: `nox -s faults`.

Prints a table and writes `reports/faults.json`. Exit code 1 when the unharmed copy is red, when a fault passes,
when the wrong gate closes, or when a declared gate has no fault. `--only WORD` runs the faults whose name or
gate holds the word (no claim about gates without a fault is made then).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml
from catalogue import FAULTS, Fault
from rich.console import Console
from rich.table import Table

STAGES = ("validate", "pretrain", "posttrain")
GIT = ("git", "-c", "user.name=faults", "-c", "user.email=faults@localhost")


def environment() -> dict[str, str]:
    """One thread each, two copies at a time; a store of the copy's own."""
    kept = {k: v for k, v in os.environ.items() if k not in ("MLFLOW_TRACKING_URI", "PYTHONDONTWRITEBYTECODE")}
    return {**kept, "OMP_NUM_THREADS": "1"}


def copy_project(target: Path) -> None:
    """Copy what git would commit, and DVC's cache, so that stages which ran here need not run again."""
    listed = subprocess.run(["git", "ls-files", "-coz", "--exclude-standard"], capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if Path(name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(name, target / name)
    if Path(".dvc/cache").is_dir():
        shutil.copytree(".dvc/cache", target / ".dvc/cache", dirs_exist_ok=True)
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "unharmed"]):
        subprocess.run([*GIT, *command], cwd=target, check=True)


def repro(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the pipeline there."""
    return subprocess.run(["dvc", "repro"], cwd=folder, env=environment(), capture_output=True, text=True, check=False)


def closed_gates(folder: Path, since: float) -> dict[str, str]:
    """Gates that are red in reports written after `since`, and their reasons."""
    closed = {}
    for stage in STAGES:
        path = folder / f"reports/{stage}.json"
        if path.is_file() and path.stat().st_mtime >= since:
            gates = json.loads(path.read_text(encoding="utf-8"))["gates"]
            closed |= {gate["gate"]: gate["reason"] for gate in gates if gate["verdict"] != "pass"}
    return closed


def inject(fault: Fault, base: Path) -> dict[str, object]:
    """Harm a fresh copy of `base`, run it, and report what closed."""
    began = time.time()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "copy")
        shutil.copytree(base, copy, symlinks=True)
        fault.harm(copy)
        done = repro(copy)
        closed = closed_gates(copy, began)
    seen = done.returncode != 0 and fault.gate in closed
    said = closed.get(fault.gate) or (done.stderr.strip().splitlines() or [""])[-1]
    return {"fault": fault.name, "cause": fault.cause, "gate": fault.gate, "closed": seen,
            "closed_by": sorted(closed), "reason": said, "seconds": round(time.time() - began, 1)}  # fmt: skip


def show(results: list[dict[str, object]]) -> None:
    """Print the table."""
    table = Table("fault", "how a team gets there", "must close", "closed by", "s", box=None, pad_edge=False)
    for result in results:
        by = ", ".join(map(str, result["closed_by"])) or "nothing"  # type: ignore[call-overload]
        mark = "[green]" if result["closed"] else "[red]NOT CLOSED: "
        table.add_row(*(str(result[k]) for k in ("fault", "cause", "gate")), mark + by, str(result["seconds"]))
    Console(width=140).print(table)


def main() -> int:
    """Run all faults, or those that `--only` picks; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="a word in the fault's name or gate")
    only = parser.parse_args().only
    faults = [fault for fault in FAULTS if only in fault.name or only == fault.gate]
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder, "base")
        base.mkdir()
        copy_project(base)
        healthy = repro(base)
        if healthy.returncode:
            print(f"the unharmed copy is red, so no fault proves anything:\n{healthy.stdout[-2000:]}{healthy.stderr}")
            return 1
        with ThreadPoolExecutor(max_workers=2) as pool:
            results = list(pool.map(lambda fault: inject(fault, base), faults))
    show(results)
    gates = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["gates"]
    declared = {"schema", *gates["pretrain"], *gates["posttrain"]}
    untested = [] if only else sorted(declared - {fault.gate for fault in faults})
    Path("reports").mkdir(exist_ok=True)
    report = {"faults": results, "gates_without_a_fault": untested}
    Path("reports/faults.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    passed = [str(result["fault"]) for result in results if not result["closed"]]
    print(f"{len(results) - len(passed)} of {len(results)} faults closed by the gate that must close")
    if untested:
        print(f"gates without a fault: {', '.join(untested)}; add one to tests/faults/catalogue.py")
    return 1 if passed or untested or not results else 0


if __name__ == "__main__":
    sys.exit(main())
