"""A gate's evidence, without a child process."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from {{ cookiecutter.project_slug }}.gates import plugin, run


def test_a_gate_passes_only_when_all_it_judged_passed() -> None:
    """Every red case is in the message."""
    gate = plugin.Gate("g", {"limit": 2})
    assert gate.threshold("limit") == 2
    gate.judge(True, statistic=1, threshold=2, rows=3, reason="one")
    gate.conclude()
    empty = {"bound": None, "units": None, "detectable": None, "interval": None}
    case = {"case": "", "verdict": "pass", "statistic": 1, "threshold": 2, "rows": 3, "reason": "one", **empty}
    assert gate.cases == [case]
    figures = {"bound": 1.5, "units": 4, "detectable": 0.5, "interval": (0, 2)}
    gate.judge(True, statistic=1, threshold=2, rows=3, reason="one", case="c", **figures)
    assert gate.cases[1] == case | figures | {"case": "c"}
    gate.judge(False, statistic=3, threshold=2, rows=3, reason="three")
    gate.judge(False, statistic=4, threshold=2, rows=3, reason="four")
    assert [case["verdict"] for case in gate.cases[2:]] == ["fail", "fail"]
    with pytest.raises(pytest.fail.Exception, match="three; four") as caught:
        gate.conclude()
    assert caught.value.pytrace is False


def test_a_gate_without_evidence_fails() -> None:
    """Nothing judged, a threshold unread, a threshold that nobody declared."""
    gate = plugin.Gate("g", {"limit": 2, "other": 1})
    failures = []
    with pytest.raises(pytest.fail.Exception, match="g judged nothing") as caught:
        gate.conclude()
    failures.append(caught.value)
    gate.judge(True, statistic=1, threshold=2, rows=3, reason="one")
    with pytest.raises(pytest.fail.Exception, match="never read its threshold limit, other") as caught:
        gate.conclude()
    failures.append(caught.value)
    with pytest.raises(pytest.fail.Exception, match="no threshold more for gate g") as caught:
        gate.threshold("more")
    failures.append(caught.value)
    assert [failure.pytrace for failure in failures] == [False] * 3


class Item:
    """As much of a test as the hooks look at: its name, its session's configuration and the arguments of its marks."""

    def __init__(self, name: str, config: Any, **marks: tuple[str, ...]) -> None:
        self.nodeid, self.config = name, config
        self.marks = {mark: SimpleNamespace(args=arguments) for mark, arguments in marks.items()}

    def get_closest_marker(self, name: str) -> Any:
        return self.marks.get(name)


def test_a_gates_name_is_that_of_its_mark() -> None:
    """Other marks name nothing; nor does the mark without a name."""
    names = [plugin.gate_name(Item("t", None, **marks)) for marks in ({}, {"gate": ()}, {"slow": ("x",)})]
    assert names == [None, None, None]
    assert plugin.gate_name(Item("t", None, gate=("g",))) == "g"


def test_the_plugin_asks_for_the_stage_and_the_place_of_the_results() -> None:
    """Both are required, and a stage is one that is judged."""
    parser = pytest.Parser(_ispytest=True)
    plugin.pytest_addoption(parser)
    given = parser.parse(["--gate-stage", "pretrain", "--gate-results", "there.json"])
    assert (given.gate_stage, given.gate_results) == ("pretrain", Path("there.json"))
    for missing in (["--gate-stage", "pretrain"], ["--gate-results", "x"], ["--gate-stage=no", "--gate-results=x"]):
        with pytest.raises(pytest.UsageError, match="gate-"):
            parser.parse(missing)


def test_gates_end_with_their_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the process that is named, which may be gone already; by hand, with the shell."""
    watched: list[int] = []
    monkeypatch.setattr(plugin.workspace, "end_with", watched.append)
    monkeypatch.setenv(run.OWNER, "7")
    plugin.pytest_sessionstart()
    monkeypatch.delenv(run.OWNER)
    plugin.pytest_sessionstart()
    assert watched == [7, os.getppid()]


def test_a_test_that_was_found_and_did_not_run_is_written_down(tmp_path: Path) -> None:
    """With its gate, beside the phases of those that ran; figures to six digits."""
    lines: list[tuple[str, str]] = []
    config = SimpleNamespace(
        stash=pytest.Stash(),
        addinivalue_line=lambda *line: lines.append(line),
        getoption={"--gate-results": tmp_path / "results.json"}.get,
    )
    plugin.pytest_configure(config)
    assert [(kind, line.split("(")[0]) for kind, line in lines] == [("markers", "gate")]
    for name in ("ran", "hidden"):
        plugin.pytest_itemcollected(Item(name, config, gate=("größe",)))
    config.stash[plugin.RESULTS].append({"test": "ran", "statistic": 1 / 3})
    plugin.pytest_sessionfinish(SimpleNamespace(config=config))
    text = (tmp_path / "results.json").read_bytes().decode()
    assert "größe" in text
    assert json.loads(text) == [
        {"test": "ran", "statistic": 0.333333},
        {"test": "hidden", "gate": "größe", "phase": "collect", "outcome": "deselected",
         "reason": "hidden was found and did not run", "cases": []},
    ]  # fmt: skip
