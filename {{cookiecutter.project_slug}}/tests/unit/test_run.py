"""Gates that run for real, in a child process of a tiny project: whatever keeps one from judging is red."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from {{ cookiecutter.project_slug }} import record
from {{ cookiecutter.project_slug }}.errors import GateClosed, StoreError
from {{ cookiecutter.project_slug }}.gates import run, verdict
from {{ cookiecutter.project_slug }}.stages import posttrain, pretrain

GREEN = """
import pytest

@pytest.mark.gate("first")
def test_first(gate):
    gate.judge(gate.threshold("limit") == 1, statistic=0.5, threshold=1, rows=9, reason="fine", bound=0.7, units=3)
"""
JUDGE = "gate.judge(True, statistic=0, threshold=gate.threshold('limit'), rows=1, reason='fine')"


@pytest.fixture
def close(project: Any, rows_of: Callable[..., pd.DataFrame]) -> Callable[..., dict[str, Any]]:
    """Run the pre-train gates of a project whose tests are these files; its report, which must be red."""
    for path in verdict.JUDGED["pretrain"]:
        record.write_parquet(rows_of(20), path)
    project.write("tests/pretrain/test_first.py", GREEN)

    def run_red(**files: str) -> dict[str, Any]:
        for name, text in files.items():
            project.write(f"tests/pretrain/{name}.py", text)
        with pytest.raises(GateClosed, match="^gate closed: .*: each reason and way out is in reports/gates.md"):
            pretrain.main()
        report: dict[str, Any] = project.report("pretrain")
        assert report["verdict"] == "fail"
        return {gate["gate"]: gate for gate in report["gates"] if gate["verdict"] != "pass"}

    return run_red


def gate_test(body: str, decorators: str = "", arguments: str = "gate") -> str:
    """A test file whose only test is the gate `first`."""
    return f'import pytest\n\n{decorators}\n@pytest.mark.gate("first")\ndef test_first({arguments}):\n    {body}\n'


def test_a_green_run_counts(project: Any, close: Any, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    """Figures and hashes are in the report; options in the environment or in an ini file change nothing."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "-k nothing_at_all")
    monkeypatch.setenv("PYTEST_PLUGINS", "no_such_plugin")
    project.write("pytest.ini", "[pytest]\naddopts = --collect-only\n")
    pretrain.main()
    report = project.report("pretrain")
    assert (report["stage"], report["verdict"]) == ("pretrain", "pass")
    case = {"case": "", "verdict": "pass", "statistic": 0.5, "bound": 0.7, "threshold": 1, "rows": 9, "units": 3,
            "detectable": None, "interval": None, "reason": "fine"}  # fmt: skip
    figures = {key: value for key, value in case.items() if key not in ("case", "interval")}
    assert report["gates"] == [{"gate": "first", **figures, "cases": [case]}]
    assert set(report["inputs"]) == {"train", "test", "schema", "params", "gates"}
    assert "pass  first: fine" in capsys.readouterr().out
    assert verdict.require("pretrain", project.params()) == report


@pytest.mark.parametrize(
    ("text", "outcome", "reason"),
    [
        ("", "missing", "no test with this gate's mark ran"),
        (gate_test(JUDGE, '@pytest.mark.skip("later")'), "skipped", "Skipped: later"),
        (gate_test(f"{JUDGE}; pytest.skip('enough')"), "skipped", "Skipped: enough"),
        (gate_test(f"{JUDGE}; assert False", "@pytest.mark.xfail(reason='known')"), "xfailed", "did not pass"),
        (gate_test(JUDGE, "@pytest.mark.xfail(strict=False)"), "xfailed", "did not pass"),
        (gate_test("pass", arguments=""), "fail", "must take the fixture `gate`"),
        (gate_test("gate.threshold('limit')"), "fail", "gate first judged nothing"),
        (gate_test("gate.judge(True, statistic=0, threshold=1, rows=1, reason='')"), "fail", "never read its"),
        (gate_test(f"{JUDGE}; gate.threshold('more')"), "fail", "declares no threshold more for gate first"),
        (gate_test(f"{JUDGE}; gate.judge(False, statistic=2, threshold=1, rows=1, reason='two')"), "fail", "two"),
        (gate_test(f"{JUDGE}; raise ValueError('broken')"), "fail", "ValueError"),
        (gate_test(JUDGE, arguments="gate, nothing_known"), "fail", "test_first.py"),
        (gate_test("nan = float('nan'); gate.judge(nan <= 1, statistic=nan, threshold=gate.threshold('limit'),"
                   " rows=1, reason='nan')"), "fail", "nan"),
        (gate_test("gate.judge(case < 3, statistic=case, threshold=gate.threshold('limit'), rows=1, reason=f'c{case}')",
                   "@pytest.mark.parametrize('case', [1, 2, 3])", "gate, case"), "fail", "c3"),
    ],
)  # fmt: skip
def test_a_gate_that_did_not_judge_is_red(
    close: Callable[..., dict[str, Any]], text: str, outcome: str, reason: str
) -> None:
    """Each way in which a test can look harmless, by the verdict and the reason that the report gives."""
    red = close(test_first=text)
    assert red["first"]["verdict"] == outcome
    assert reason in red["first"]["reason"]


@pytest.mark.parametrize(
    "trick",
    [
        "def pytest_configure(config):\n    config.option.keyword = 'not first'\n",
        "def pytest_configure(config):\n    config.option.maxfail = 1\n\ndef pytest_collection_modifyitems(items):\n"
        "    items[:] = [item for item in items if item.name != 'test_first']\n",
    ],
)
def test_a_deselected_gate_is_red(close: Callable[..., dict[str, Any]], trick: str) -> None:
    """Whether a conftest tells pytest, or takes the test out of the list itself."""
    red = close(conftest=trick)
    assert red["first"]["verdict"] == "deselected"
    assert "was found and did not run" in red["first"]["reason"]


def test_a_gate_that_judged_red_without_failing_is_red(close: Callable[..., dict[str, Any]]) -> None:
    """What it found is the verdict, whatever became of its test."""
    late = """
import pytest

@pytest.fixture
def after(gate):
    yield
    with pytest.raises(BaseException):
        gate.judge(False, statistic=2, threshold=gate.threshold("limit"), rows=1, reason="not fine")

@pytest.mark.gate("first")
def test_first(gate, after):
    gate.judge(True, statistic=0, threshold=gate.threshold("limit"), rows=1, reason="fine")
"""
    assert close(test_first=late)["first"]["reason"] == "not fine"


def test_a_conftest_above_the_gates_has_no_say(project: Any, close: Callable[..., dict[str, Any]]) -> None:
    """Nothing hashes it, so nothing may depend on it."""
    hook = "import pytest\n\n@pytest.hookimpl(tryfirst=True)\ndef pytest_pyfunc_call(pyfuncitem):\n    return True\n"
    project.write("conftest.py", hook)
    project.write("tests/conftest.py", hook)
    body = "gate.judge(False, statistic=2, threshold=gate.threshold('limit'), rows=1, reason='not fine')"
    assert close(test_first=gate_test(body))["first"]["reason"] == "not fine"


def test_one_deselected_case_of_a_gate_is_red(close: Callable[..., dict[str, Any]]) -> None:
    """The other cases' success does not hide it."""
    parametrised = gate_test(f"assert case == 1; {JUDGE}", "@pytest.mark.parametrize('case', [1, 2])", "gate, case")
    hide = "def pytest_collection_modifyitems(items):\n    del items[-1]\n"
    red = close(test_first=parametrised, conftest=hide)
    assert red["first"]["verdict"] == "deselected"
    assert len(red["first"]["cases"]) == 1


def test_an_undeclared_gate_is_red(close: Callable[..., dict[str, Any]]) -> None:
    """A gate that `params.yaml` does not know has no thresholds that anyone reviewed."""
    red = close(test_more=GREEN.replace("first", "more").replace('gate.threshold("limit") == 1', "True"))
    assert list(red) == ["more"]
    assert red["more"]["verdict"] == "undeclared"


def test_an_unmarked_test_that_fails_is_red(close: Callable[..., dict[str, Any]]) -> None:
    """A plain assertion counts; so does the fixture without a mark, which would judge for nobody."""
    red = close(test_more="def test_more():\n    assert 1 == 2\n\ndef test_fine():\n    pass\n")
    assert list(red) == ["tests/pretrain/test_more.py::test_more"]
    red = close(test_more="def test_more(gate):\n    pass\n")
    assert "needs @pytest.mark.gate(NAME)" in red["tests/pretrain/test_more.py::test_more"]["reason"]


def test_a_file_that_cannot_be_imported_is_red(close: Callable[..., dict[str, Any]]) -> None:
    """With the error, although the other gates' tests are in order."""
    red = close(test_more="import no_such_module\n")
    assert red["first"]["verdict"] == "deselected"
    assert "No module named 'no_such_module'" in red["tests/pretrain/test_more.py"]["reason"]


def test_a_run_that_writes_no_results_is_red(close: Callable[..., dict[str, Any]]) -> None:
    """A conftest that breaks, or that ends the process with exit code 0."""
    red = close(conftest="import no_such_module\n")
    assert red["first"]["verdict"] == "missing"
    assert "exit code 4" in red["pytest"]["reason"]
    assert "no_such_module" in red["pytest"]["reason"]
    red = close(conftest="import os\n\ndef pytest_collection_finish(session):\n    os._exit(0)\n")
    assert red["first"]["verdict"] == "missing"


def test_findings_that_were_cut_off_are_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_off(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        Path(command[-1].partition("=")[2]).write_text('[{"gate": "sch')
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(run.subprocess, "run", cut_off)
    with pytest.raises(StoreError, match="cut off in .*results.json: is that disk full"):
        run.run_tests("pretrain")


def test_what_pytest_says_when_it_breaks_is_the_reason(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here that it stands in a folder without the project."""
    monkeypatch.chdir(tmp_path)
    results, code, output = run.run_tests("pretrain")
    assert (results, code) == ([], 4)
    assert run.judge(set(), results, code, output)[-1]["reason"].startswith("exit code 4: ERROR: ")


def test_a_green_gate_with_a_red_exit_code_is_red() -> None:
    """Whatever pytest complains about, a verdict does not stand against it."""
    case = {"case": "", "verdict": "pass", "statistic": 1, "bound": None, "threshold": 1, "rows": 1, "units": None,
            "detectable": None, "reason": "fine"}  # fmt: skip
    phases = [
        {"test": "t", "gate": "g", "phase": phase, "outcome": "passed", "reason": "", "cases": cases}
        for phase, cases in (("setup", []), ("call", [case]), ("teardown", []))
    ]
    assert [gate["verdict"] for gate in run.judge({"g"}, phases, 0, "")] == ["pass"]
    red = run.judge({"g"}, phases, 1, "1 passed\nstrange\n\n")[-1]
    assert (red["gate"], red["verdict"], red["reason"]) == ("pytest", "fail", "exit code 1: strange")
    assert run.judge({"g"}, phases, 1, "")[-1]["reason"] == "exit code 1: no output"
    phases[2] |= {"outcome": "failed", "reason": "E   cleanup failed"}
    red_gate = run.judge({"g"}, phases, 1, "")
    assert [(gate["gate"], gate["reason"]) for gate in red_gate] == [("g", "E   cleanup failed")]
    assert math.isnan(run.numbers({**case, "statistic": math.nan})["statistic"])


def test_gates_after_training_see_what_they_judge(project: Any, rows_of: Callable[..., pd.DataFrame]) -> None:
    """The fixtures are the project's own files."""
    for path in verdict.JUDGED["posttrain"]:
        record.write_parquet(rows_of(20), path)
    project.write(
        "tests/posttrain/test_last.py",
        "import pytest\n\n@pytest.mark.gate('last')\n"
        "def test_last(gate, params, contract, train, test, predictions):\n"
        "    sizes = {len(train), len(test), len(predictions)}\n"
        "    ok = params.seed == 7 and contract.target == 'late' and sizes == {20}\n"
        "    gate.judge(ok, statistic=1, threshold=None, rows=20, reason='seen')\n",
    )
    posttrain.main()
    assert project.report("posttrain")["gates"][0]["reason"] == "seen"


def phases_of(*cases: tuple[str, float], outcome: str = "passed") -> list[dict[str, Any]]:
    """The call of a gate's test with findings of these verdicts and statistics, against a threshold of 10."""
    figures = {"bound": None, "threshold": 10, "rows": 1, "units": None, "detectable": None}
    found = [
        {"case": "", "verdict": verdict, "statistic": number, "reason": f"found {number}", **figures}
        for verdict, number in cases
    ]
    return [{"test": "t", "gate": "g", "phase": "call", "outcome": outcome, "reason": "E   said", "cases": found}]


def test_the_reason_of_a_gate_is_that_of_its_telling_finding() -> None:
    """With how many more there are; what pytest said where no finding is red."""
    reasons = [
        run.gate_report("g", phases)["reason"]
        for phases in (
            phases_of(("pass", 1)),
            phases_of(("pass", 1), ("pass", 9)),
            phases_of(("pass", 1), ("fail", 11), outcome="failed"),
            phases_of(("fail", 11), ("fail", 12), ("fail", 13), outcome="failed"),
            phases_of(("pass", 1), outcome="failed"),
        )
    ]
    assert reasons == [
        "found 1",
        "found 9 (the nearest of 2 findings)",
        "found 11",
        "found 11 (and 2 more)",
        "E   said",
    ]


def test_a_red_finding_is_the_verdict_of_a_test_that_passed() -> None:
    """Somebody caught what judging raises."""
    found = run.gate_report("g", phases_of(("pass", 1), ("fail", 11)))
    assert (found["verdict"], found["reason"]) == ("fail", "found 11")


def test_a_run_that_was_cut_short_is_told_beside_its_gates() -> None:
    """Exit code 1 says that tests failed, which the gates show; any other says that pytest did not get through."""
    phases = phases_of(("fail", 11), outcome="failed")
    assert [gate["gate"] for gate in run.judge({"g"}, phases, 1, "")] == ["g"]
    assert [gate["gate"] for gate in run.judge({"g"}, phases, 2, "")] == ["g", "pytest"]
