"""The pytest side of a gate: `@pytest.mark.gate("name")` and the fixture `gate`, loaded by `gates.run` alone.

A gate's test reads each of its thresholds by `gate.threshold(name)` and states what it found by `gate.judge`.
A test that judges nothing, or leaves a declared threshold unread, is red: it could not have failed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .. import config, record, schema, workspace
from . import run, verdict

if TYPE_CHECKING:
    import pandas as pd

RESULTS = pytest.StashKey[list[dict[str, Any]]]()
COLLECTED = pytest.StashKey[list[pytest.Item]]()
EVIDENCE = pytest.StashKey["Gate"]()


class Gate:
    """What one gate was told to hold and what it found."""

    def __init__(self, name: str, thresholds: config.Thresholds) -> None:
        """A gate by name, with its thresholds, none read yet."""
        self.name = name
        self.thresholds = thresholds
        self.read: set[str] = set()
        self.cases: list[dict[str, Any]] = []

    def threshold(self, name: str) -> Any:
        """The declared threshold `name`; a missing one fails and is named."""
        if name not in self.thresholds:
            pytest.fail(f"params.yaml declares no threshold {name} for gate {self.name}: add it", pytrace=False)
        self.read.add(name)
        return self.thresholds[name]

    def judge(self, passed: bool, *, statistic: float, threshold: float | None, rows: int, reason: str,
              bound: float | None = None, units: int | None = None, detectable: float | None = None,
              case: str = "", interval: tuple[float, float] | None = None) -> None:  # fmt: skip
        """State one finding. `reason` says what was found and, when red, what to do about it.

        `bound` is what `threshold` judges; findings with an `interval` get a table of their own in the report.
        """
        self.cases.append({
            "case": case, "verdict": "pass" if passed else "fail", "statistic": statistic, "bound": bound,
            "threshold": threshold, "rows": rows, "units": units, "detectable": detectable, "interval": interval,
            "reason": reason,
        })  # fmt: skip

    def conclude(self) -> None:
        """Fail the test unless something was judged, all of it passed, and no threshold was left unread."""
        unread = sorted(set(self.thresholds) - self.read)
        if not self.cases:
            pytest.fail(f"gate {self.name} judged nothing", pytrace=False)
        if unread:
            pytest.fail(f"gate {self.name} never read its threshold {', '.join(unread)}", pytrace=False)
        red = [case["reason"] for case in self.cases if case["verdict"] != "pass"]
        if red:
            pytest.fail("; ".join(red), pytrace=False)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where the results go, and whose gates these are."""
    parser.addoption("--gate-stage", choices=sorted(verdict.JUDGED), required=True)
    parser.addoption("--gate-results", type=Path, required=True)


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark and empty lists of tests and results."""
    config.addinivalue_line("markers", "gate(name): this test is the gate that params.yaml declares by that name")
    config.stash[RESULTS] = []
    config.stash[COLLECTED] = []


def pytest_sessionstart() -> None:
    """Gates end with the stage that runs them, however it ends."""
    workspace.end_with(int(os.environ.get(run.OWNER, os.getppid())))


def gate_name(item: pytest.Item) -> str | None:
    """The name in the item's gate mark, or None when it has none."""
    mark = item.get_closest_marker("gate")
    return str(mark.args[0]) if mark and mark.args else None


def pytest_itemcollected(item: pytest.Item) -> None:
    """Remember every test that was found, whoever takes it out of the list afterwards."""
    item.config.stash[COLLECTED].append(item)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """Keep why a file could not be imported."""
    report: pytest.CollectReport = yield  # type: ignore[assignment]  # the hook yields its inner result
    if report.failed:
        said = {"test": report.nodeid, "gate": None, "phase": "collect", "outcome": "failed"}
        collector.config.stash[RESULTS].append({**said, "reason": str(report.longrepr), "cases": []})
    return report  # type: ignore[return-value]


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """After a gate's test returned, let its gate conclude."""
    result = yield
    if gate_name(pyfuncitem) is not None:
        if EVIDENCE not in pyfuncitem.stash:
            pytest.fail("a gate's test must take the fixture `gate` and judge something", pytrace=False)
        pyfuncitem.stash[EVIDENCE].conclude()
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Keep every phase's outcome of every test; `gates.run` decides what they add up to."""
    report: pytest.TestReport = yield  # type: ignore[assignment]  # the hook yields its inner result
    reason = str(report.longrepr) if report.failed else ""
    if report.skipped and not hasattr(report, "wasxfail") and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2]
    gate = item.stash.get(EVIDENCE, None)
    item.config.stash[RESULTS].append({
        "test": item.nodeid, "gate": gate_name(item), "phase": report.when,
        "outcome": "xfailed" if hasattr(report, "wasxfail") else report.outcome,
        "reason": reason, "cases": gate.cases if gate and report.when == "call" else [],
    })  # fmt: skip
    return report  # type: ignore[return-value]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write what was seen, and which tests of a gate were found but never ran."""
    results = session.config.stash[RESULTS]
    seen = {result["test"] for result in results}
    for item in session.config.stash[COLLECTED]:
        if item.nodeid not in seen:
            results.append({"test": item.nodeid, "gate": gate_name(item), "phase": "collect", "outcome": "deselected",
                            "reason": f"{item.nodeid} was found and did not run", "cases": []})  # fmt: skip
    text = json.dumps(record.rounded(results), ensure_ascii=False)
    session.config.getoption("--gate-results").write_text(text, encoding="utf-8")


@pytest.fixture
def gate(request: pytest.FixtureRequest, params: config.Params) -> Gate:
    """The gate that this test is."""
    name = gate_name(request.node)
    if name is None:
        pytest.fail("a test that takes the fixture `gate` needs @pytest.mark.gate(NAME)", pytrace=False)
    stage = request.config.getoption("--gate-stage")
    found = Gate(name, getattr(params.gates, stage).get(name, {}))
    request.node.stash[EVIDENCE] = found
    return found


@pytest.fixture(scope="session")
def params() -> config.Params:
    """The project's `params.yaml`."""
    return config.load()


@pytest.fixture(scope="session")
def contract() -> schema.Schema:
    """The project's `schema.yaml`."""
    return schema.load()


@pytest.fixture(scope="session")
def train() -> pd.DataFrame:
    """The training rows."""
    return record.read_parquet(verdict.TRAIN)


@pytest.fixture(scope="session")
def test() -> pd.DataFrame:
    """The test rows."""
    return record.read_parquet(verdict.TEST)


@pytest.fixture(scope="session")
def predictions() -> pd.DataFrame:
    """The test rows' predictions, as `evaluate` wrote them."""
    return record.read_parquet(verdict.PREDICTIONS)
