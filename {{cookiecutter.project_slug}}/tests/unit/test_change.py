"""What a reviewer reads of a change: this run beside the committed one, and nothing of a run that did not happen."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from {{ cookiecutter.project_slug }} import __main__ as command
from {{ cookiecutter.project_slug }}.report import change, page

from . import reported, small_project
from .reported import finding, gate
from .small_project import Project


@pytest.fixture
def project(tmp_path, monkeypatch) -> Project:
    """A project whose run is committed, as git holds it: the reports, without model and data."""
    made = small_project.make(tmp_path / "p", monkeypatch)
    monkeypatch.setattr(page, "render", lambda _: "")
    monkeypatch.setattr(page.card, "filled", lambda _: "")
    Path("reports/split.json").write_text(json.dumps({"by": "time", "rows": {"train": 1200, "test": 600}}))
    made.verdicts(reported.gates())
    ignored = Path(".gitignore").read_text().replace("/reports/\n", "/reports/plots/\n/reports/change.md\n")
    Path(".gitignore").write_text(ignored)
    made.commit()
    return made


def against(base: str = "HEAD") -> str:
    """The page of a change since a commit."""
    assert command.main(["report", "--against", base]) == 0
    return change.PAGE.read_text(encoding="utf-8")


def part(text: str, title: str) -> list[list[str]]:
    """The cells of a section's table, without its head; its text in one cell where there is none."""
    section = text.split(f"\n### {title}\n", 1)[1].split("\n### ", 1)[0].strip().splitlines()
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in section if line.startswith("|")]
    return rows[2:] or [section[:1]]


def with_slices(*cases: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The gates, with these findings of the gate `slices`."""
    red = any(case["verdict"] != "pass" for case in cases)
    found = reported.gates()
    found["posttrain"][1] = gate("slices", list(cases), "fail" if red else "pass")
    return found


def a_slice(name: str, gain: float, verdict: str = "pass") -> dict[str, Any]:
    """A slice whose interval reaches 0.01 to both sides."""
    return finding(name, verdict, statistic=gain, rows=900, interval=[gain - 0.01, gain + 0.01])


def test_nothing_changed_is_said_of_every_part(project, capsys):
    text = against()
    assert text.startswith("## ✅ All 6 gates passed\n\nAgainst `")
    assert part(text, "Parameters and contract") == part(text, "Code and lock") == [["Unchanged."]]
    assert part(text, "Slices that moved") == [["None of the 2 slices that both runs judged."]]
    assert {row[3] for row in part(text, "Metrics")} == {"+0"}
    assert "of the same test rows." in text
    assert {tuple(row[2:4]) for row in part(text, "Gates")} == {("pass", "pass")}
    assert ["rows test", "600", "600"] in part(text, "Data")
    assert "reports/change.md: against " in capsys.readouterr().out


def test_what_promotion_said_of_this_model_comes_first_and_of_another_not_at_all(project):
    assert "Challenger and champion" in against()  # the first champion's own promotion
    project.repro(small_project.GOOD)
    project.verdicts(reported.gates())
    assert "Challenger and champion" not in against()
    project.repro()
    project.commit()
    assert project.promote(dry_run=True)[0] == 0
    project.verdicts(reported.gates())
    text = against()
    assert text.index("### Challenger and champion") < text.index("### Gates")
    rows = part(text, "Challenger and champion")
    assert [row[0] for row in rows] == ["champion superior", "guardrail"]
    assert {row[-1] for row in rows} == {"pass"}
    assert "would be promoted: every test passed (version 2, champion version 1)" in text


def test_another_model_shows_in_parameters_and_metrics(project):
    before = {row[0]: row for row in part(against(), "Metrics")}
    project.repro(strength=1e-5)
    project.verdicts(reported.gates())
    text = against()
    ((file, key, old, new),) = part(text, "Parameters and contract")
    assert (file, key, new) == ("params.yaml", "train.arguments.C", "1e-05")
    assert old != new
    metrics = part(text, "Metrics")
    assert metrics[0][0] == "brier (primary)"
    for name, there, here, difference in metrics:
        assert there == before[name][1]
        found, was = (float(cell.split()[0]) for cell in (here, there))
        assert float(difference) == pytest.approx(found - was, abs=2e-4)
    assert metrics[0][1] != metrics[0][2]
    bars = [line for line in text.splitlines() if line.startswith(("  bar [", "  line ["))]
    assert len(bars) == 2
    assert all(len(line.split(",")) == 10 for line in bars)


def test_other_test_rows_are_said_to_be_others(project):
    project.window(0, 61, 90)
    project.repro()
    project.verdicts(reported.gates())
    assert "of other test rows" in against()


def test_nothing_is_told_of_stages_that_a_closed_gate_kept_from_running(project):
    project.window(0, 61, 90)  # the reports of training and evaluation are those that were committed
    found = reported.gates()
    found["pretrain"][1] = gate("drift", [finding("x", "fail")], "fail")
    project.verdicts({name: found[name] for name in ("validate", "pretrain")})
    text = against()
    assert text.startswith("## ❌ 1 of 3 gates closed: drift\n")
    gates = part(text, "Gates")
    assert [row[1] for row in gates if row[2] == "fail"] == ["drift"]
    assert {row[1] for row in gates if row[2] == "not run"} == {"checked", "slices", "calibration"}
    assert [row[2] for row in gates] == sorted((row[2] for row in gates), key=lambda one: one == "pass")
    assert {row[2] for row in part(text, "Metrics")} == {"–"}
    assert "### Calibration" not in text
    assert "Each bound" not in text


def test_a_slice_moved_when_it_left_its_interval_or_its_verdict_changed(project):
    cases = {"in": 0.02, "out": 0.02, "far": 0.02, "red": 0.02, "gone": 0.02}
    project.verdicts(with_slices(*(a_slice(name, gain) for name, gain in cases.items())))
    project.commit()
    now = [a_slice("in", 0.0299), a_slice("out", 0.0301), a_slice("far", -0.02), a_slice("red", 0.02, "fail"),
           a_slice("new", 0.5)]  # fmt: skip
    project.verdicts(with_slices(*now))
    found = part(against(), "Slices that moved")
    assert [row[0] for row in found] == ["far", "out", "red"]
    assert found[0] == ["far", "0.02 (0.01 to 0.03)", "-0.02", "pass", "900"]
    assert found[2][3] == "fail"


def test_keys_that_came_and_went_are_named(project):
    tree = project.root / "schema.yaml"
    project.set("evaluate", {"replicates": 200, "slices": ["place", "who"]})
    project.set("promote.guardrails", {})
    tree.write_text(tree.read_text().replace("type: int", "type: float", 1))
    found = {row[1]: row for row in part(against(), "Parameters and contract")}
    assert found["evaluate.slices"][2:] == ["&#91;]", '&#91;"place", "who"]']
    assert found["promote.guardrails.auc"][2:] == ["0.1", "–"]
    assert found["columns.id.type"] == ["schema.yaml", "columns.id.type", '"int"', '"float"']


def test_files_that_decide_a_model_are_named(project):
    Path(project.root, "{{ cookiecutter.project_slug }}", "features.py").write_text("# other\n")
    Path("README.md").write_text("does not decide")
    assert part(against(), "Code and lock") == [["`{{ cookiecutter.project_slug }}/features.py`"]]


def test_where_no_run_was_committed_there_is_nothing_beside_this_one(project):
    subprocess.run(["git", "rm", "-rq", "--cached", "reports"], check=True)
    with Path(".gitignore").open("a") as ignored:
        ignored.write("/reports/\n")
    project.commit()
    text = against()
    assert ", which has no reports that could stand beside these." in text
    assert {(row[2], row[3]) for row in part(text, "Gates")} == {("pass", "–")}
    assert {row[1] for row in part(text, "Metrics")} == {"–"}
    assert part(text, "Slices that moved") == [["No slice was judged in both runs."]]


def test_before_any_run_that_is_said(project):
    shutil.rmtree("reports")
    text = against()
    assert text.startswith("## ⚠️ The gates have not judged what lies here")
    assert {row[2] for row in part(text, "Gates")} == {"not run"}


def test_damaged_reports_of_the_base_count_as_none(project):
    Path("reports/evaluate.json").write_text("[]")
    Path("reports/split.json").write_text("{")
    project.commit()
    project.repro()
    project.verdicts(reported.gates())
    Path("reports/split.json").write_text("{}")
    assert {row[1] for row in part(against(), "Metrics")} == {"–"}


def test_reports_of_another_shape_at_the_base_count_as_none(project):
    kept = Path("reports/evaluate.json").read_text()
    Path("reports/evaluate.json").write_text('{"model": {"brier": 0.2}}')
    project.commit()
    Path("reports/evaluate.json").write_text(kept)
    text = against()
    assert ", which has no reports that could stand beside these." in text
    assert {row[1] for row in part(text, "Metrics")} == {"–"}
    Path("reports/evaluate.json").write_text('{"model": {"brier": 0.2}}')
    assert command.main(["report", "--against", "HEAD"]) == 1


def test_long_tables_are_cut_and_counted(project):
    project.set("train.arguments", {f"argument_{n}": n for n in range(change.SHOWN + 4)})
    text = against()
    assert len(part(text, "Parameters and contract")) == change.SHOWN
    assert "…and 5 more." in text  # with C, which is gone


def test_text_from_data_is_neither_markup_nor_mention(project):
    hostile = "<img src=x>@everyone [here](http://x) | *y*"
    project.verdicts(with_slices(a_slice(hostile, 0.02)))
    project.commit()
    project.verdicts(with_slices(a_slice(hostile, -0.5, "fail")))
    text = against()
    assert "&#60;img src=x&#62;&#64;everyone &#91;here](http://x) \\| &#42;y&#42;" in text
    assert not {"<img", "@every", "[here"} & {word for word in ("<img", "@every", "[here") if word in text}


@pytest.mark.parametrize("base", ["nobody", "--all", "HEAD:params.yaml", ""])
def test_an_unknown_commit_is_named_and_nothing_is_written(project, base, capsys):
    code = command.main(["report", f"--against={base}"])
    if base:
        assert code == 1
        assert f"git knows no commit {base!r}" in capsys.readouterr().err
    assert not change.PAGE.exists()
