"""Run a stage's gates in a child process and turn what happened into a verdict.

The gates that must run are those that `params.yaml` names; those that ran are the marks on the tests that
passed. The two sets must be equal: a gate whose test is missing, skipped, expected to fail, deselected or
empty is red, whatever pytest's exit code says.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from .. import config, record
from ..errors import GateClosed, StoreError
from . import report, verdict

Result = dict[str, Any]
#: Variables by which a shell could change which tests run.
PYTEST_VARIABLES = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_THEME")
#: Variable that tells the tests whose they are: they end with that process, however it ends.
OWNER = "GATES_OF_PROCESS"


def command(stage: str, results: Path) -> list[str]:
    """The pytest call: this stage's folder, our plugin, no other plugin, no option from any file."""
    plugin = f"{__package__}.plugin"
    return [sys.executable, "-m", "pytest", f"tests/{stage}", "-p", plugin, "-p", "no:cacheprovider",
            f"--confcutdir=tests/{stage}", "-o", "addopts=", "-o", "xfail_strict=true", "--strict-markers",
            "--import-mode=importlib",
            "-q", "--tb=short", "--color=no", f"--gate-stage={stage}", f"--gate-results={results}"]  # fmt: skip


def run_tests(stage: str) -> tuple[list[Result], int, str]:
    """Run the stage's tests; every test phase that was reported, pytest's exit code, and its output.

    Raises StoreError when what was reported cannot be read.
    """
    environment = {k: v for k, v in os.environ.items() if k not in PYTEST_VARIABLES}
    environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", OWNER: str(os.getpid())}
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder, "results.json")
        done = subprocess.run(command(stage, results), env=environment, capture_output=True, text=True, check=False)
        try:
            seen = json.loads(results.read_text(encoding="utf-8")) if results.is_file() else []
        except ValueError as error:
            raise StoreError(f"the gates' findings were cut off in {results}: is that disk full?") from error
    return seen, done.returncode, done.stdout + done.stderr


def gate_report(name: str, phases: list[Result]) -> Result:
    """One gate's line of the report, from all phases of all tests that bear its mark."""
    if not phases:
        return red(name, "missing", "no test with this gate's mark ran: restore it, or take it out of params.yaml")
    calls = [phase for phase in phases if phase["phase"] == "call"]
    bad = [phase for phase in phases if phase["outcome"] != "passed"]
    cases = [case for phase in calls for case in phase["cases"]]
    worst = report.telling(cases) if cases else None
    if bad or not calls or worst is None or worst["verdict"] != "pass":  # judged red, and not raised
        ended = bad[0]["outcome"] if bad else "failed" if worst else "missing"
        outcome = "fail" if ended == "failed" else ended
        reason = worst["reason"] if worst and worst["verdict"] != "pass" else first_line(bad)
        more = sum(case["verdict"] != "pass" for case in cases) - 1
        reason += f" (and {more} more)" if more > 0 else ""
        return {**red(name, outcome, reason), **(numbers(worst) if worst else {}), "cases": cases}
    reason = worst["reason"] + (f" (the nearest of {len(cases)} findings)" if len(cases) > 1 else "")
    return {"gate": name, "verdict": "pass", "reason": reason, **numbers(worst), "cases": cases}


def numbers(case: Result) -> Result:
    """The figures of a case."""
    return {name: case[name] for name in report.FIGURES}


def red(name: str, outcome: str, reason: str) -> Result:
    """A gate that did not pass and has no figures."""
    return {"gate": name, "verdict": outcome, "reason": reason}


def first_line(phases: list[Result]) -> str:
    """What pytest said last of the first phase that went wrong."""
    said = [line for line in str(phases[0]["reason"]).splitlines() if line.strip()] if phases else []
    return said[-1] if said else "the test did not pass"


def judge(names: set[str], results: list[Result], exit_code: int, output: str) -> list[Result]:
    """The gates' lines: declared ones, marks nobody declared, and tests without a mark that failed."""
    marked = {result["gate"] for result in results} - {None}
    gates = [gate_report(n, [r for r in results if r["gate"] == n]) for n in sorted(names)]
    gates += [
        red(name, "undeclared", "params.yaml does not declare this gate: add it under gates, or remove its mark")
        for name in sorted(marked - names)
    ]
    unmarked = [r for r in results if r["gate"] is None and r["outcome"] == "failed"]
    if unmarked:
        gates.append(red(unmarked[0]["test"], "fail", first_line(unmarked)))
    elif exit_code and (exit_code > 1 or all(gate["verdict"] == "pass" for gate in gates)):
        last = [line for line in output.splitlines() if line.strip()]
        gates.append(red("pytest", "fail", f"exit code {exit_code}: {last[-1] if last else 'no output'}"))
    return gates


def run(stage: str) -> None:
    """Run the gates of `stage`, write `reports/<stage>.json`; print a line per gate.

    Raises GateClosed when one is red.
    """
    params = config.load()
    before = verdict.inputs(stage, params)
    results, exit_code, output = run_tests(stage)
    gates = judge(verdict.declared(stage, params), results, exit_code, output)
    closed = [gate for gate in gates if gate["verdict"] != "pass"]
    path = verdict.REPORTS[stage]
    outcome = "fail" if closed else "pass"
    record.write_json(path, {"stage": stage, "verdict": outcome, "gates": gates, "inputs": before})
    print("\n".join(report.lines(stage, gates)))
    if closed:
        raise GateClosed([gate["gate"] for gate in closed], f"each reason and way out is in {report.PAGE}")
