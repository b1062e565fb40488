"""What lies in `reports/` and `model/`, and which of it is about something else by now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import config, record, schema
from ..errors import InputError
from ..gates import report, verdict
from .pictures import plain

Report = dict[str, Any]
NAME = verdict.PACKAGE.name
#: Every report that the page shows, and the command that writes it where `dvc repro` does not.
FILES = {"training": verdict.TRAINING} | {
    name: Path(f"reports/{name}.json")
    for name in ("validate", "split", "pretrain", "evaluate", "posttrain", "promotion", "monitor", "loop")
}
COMMANDS = {"promotion": "promote", "monitor": "monitor", "loop": "loop"}


@dataclass(frozen=True)
class Run:
    """Parameters, contract, the reports that lie here by name, and why some of them are about something else."""

    params: config.Params
    contract: schema.Schema
    reports: dict[str, Report]
    stale: dict[str, str]

    def gates(self) -> list[tuple[str, report.Gate]]:
        """Every gate with its stage, in the pipeline's order."""
        return [(stage, gate) for stage in report.REPORTS if stage in self.reports
                for gate in self.reports[stage]["gates"]]  # fmt: skip

    def cases(self, name: str) -> list[report.Gate]:
        """The findings of a gate; none when it did not run."""
        return [case for _, gate in self.gates() if gate["gate"] == name for case in gate.get("cases", [])]


def command(name: str) -> str:
    """What writes a report."""
    return f"python -m {NAME} {COMMANDS[name]}" if name in COMMANDS else "dvc repro"


def damaged(name: str, error: BaseException | None) -> InputError:
    """The line for a report that cannot be shown."""
    why = plain(f"{type(error).__name__}: {error}") if error else "no JSON object"
    return InputError(f"{FILES[name]} is damaged ({why}): run `{command(name)}`")


@contextmanager
def sound(name: str) -> Iterator[None]:
    """Raise InputError where a report does not hold what it should."""
    from jinja2 import TemplateError

    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, TemplateError) as error:
        raise damaged(name, error) from error


def read() -> Run:
    """Everything that lies here. Raises InputError for a report that is no JSON object."""
    reports = {}
    for name, path in FILES.items():
        if path.exists():
            try:
                reports[name] = record.read_json(path)
            except InputError as error:
                raise damaged(name, error.__cause__) from error
    params = config.load()
    stale = {name: why for name, found in reports.items() if (why := about_something_else(name, reports, params))}
    return Run(params, schema.load(), reports, stale)


def about_something_else(name: str, reports: dict[str, Report], params: config.Params) -> str:
    """Why a report does not count for what lies here, or nothing."""
    found = reports[name]
    if name == "promotion":
        judged = (found.get("challenger") or {}).get("digest")
        return "" if judged == reports.get("training", {}).get("digest") else "it judged another model"
    if name not in report.REPORTS:
        return ""
    try:
        if name == "validate":
            now = {"data": record.file_sha256(Path("data/raw.parquet")), "schema": record.file_sha256(schema.PATH)}
        else:
            now = verdict.inputs(name, params)
    except InputError as error:
        return str(error).partition(":")[0]
    then = found.get("inputs", {})
    changed = [key for key in now if now[key] != then.get(key)]
    return f"it judged something else: {', '.join(changed)} changed since" if changed else ""


def judged(run: Run) -> tuple[str, str]:
    """What the gates say, and how good that is."""
    found = [(stage, gate) for stage, gate in run.gates() if stage not in run.stale]
    closed = [gate["gate"] for _, gate in found if gate["verdict"] != "pass"]
    if closed:
        return f"{len(closed)} of {len(found)} gates closed: {', '.join(closed)}", "bad"
    if any(stage in run.stale or stage not in run.reports for stage in report.REPORTS):
        return "the gates have not judged what lies here: run `dvc repro`", "warn"
    return f"all {len(found)} gates passed", "good"
