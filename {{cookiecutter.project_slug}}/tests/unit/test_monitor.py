"""`monitor` in a whole small project: log, labels, registry, and the decision they lead to."""

from __future__ import annotations

import datetime as dt
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from {{ cookiecutter.project_slug }} import config, model, record, schema
from {{ cookiecutter.project_slug }}.__main__ import main
from {{ cookiecutter.project_slug }}.gates import reference, verdict
from {{ cookiecutter.project_slug }}.monitoring import monitor, page, quality, windows
from {{ cookiecutter.project_slug }}.registry import artefact, tracking, versions
from {{ cookiecutter.project_slug }}.serving import parts

from . import small_project
from .small_project import Project

DAY = dt.timedelta(days=1)
#: The first day that the small project's rows do not cover, and where four weeks of service end.
SERVED, END = dt.datetime(2020, 3, 31), dt.datetime(2020, 4, 28)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose champion has answered four weeks of its own kind of rows, whose labels are there."""
    with pytest.MonkeyPatch.context() as patch:
        project = small_project.make(tmp_path_factory.mktemp("monitored") / "project", patch)
        project.set("monitor.quality.margin", 0.12)  # the weak model is timid, which costs 0.09
        serve(small_project.rows(90, 118))
        return project.root


@pytest.fixture
def project(ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    import shutil

    shutil.copytree(ready, tmp_path / "project", symlinks=True)
    return small_project.stand_in(tmp_path / "project", monkeypatch)


def serve(rows: pd.DataFrame, labelled: bool = True, digest: str | None = None) -> None:
    """Answer rows with the champion's model as the server does, log them, and let their labels arrive."""
    contract = schema.load()
    fitted = artefact.load(verdict.MODEL)
    said = model.predict(fitted, rows, contract)
    table = pd.DataFrame({
        parts.ID: rows["id"].astype("str"),
        parts.TIME: pd.Timestamp("2024-05-05 05:05", tz="UTC"),
        parts.DIGEST: digest or record.read_json(verdict.TRAINING)["digest"],
        **{name: rows[name] for name in contract.inputs},
        parts.PREDICTED: said,
    })  # fmt: skip
    number = len(list(Path("predictions").rglob("*.parquet"))) + 1
    path = parts.named(Path("predictions"), dt.datetime(2024, 5, 5, 5), "s-d", number)
    parts.write(pa.Table.from_pandas(table, preserve_index=False), path)
    if labelled:
        known = pd.read_csv("rows.csv") if Path("rows.csv").exists() else rows.iloc[:0]
        pd.concat([known, rows]).to_csv("rows.csv", index=False)


def relog(change: Any) -> None:
    """Change all that the log holds."""
    for path in Path("predictions").rglob("*.parquet"):
        frame = change(pd.read_parquet(path))
        path.unlink()
        parts.write(pa.Table.from_pandas(frame, preserve_index=False), path)


def report(*arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code and report of the command."""
    code = main(["monitor", *arguments])
    return code, record.read_json(monitor.REPORT)


def test_a_quiet_month_is_healthy(project: Project) -> None:
    code, found = report("--until", "2020-04-28")
    assert (code, found["decision"]) == (0, "healthy")
    assert [window["verdict"] for window in found["windows"]] == ["quiet"] * 3
    assert [window["rows"] for window in found["windows"]] == [140] * 3
    assert found["windows"][-1]["from"] == "2020-04-21 00:00:00"
    assert found["labels"] == {"due": 540, "arrived": 540, "share": 1.0, "verdict": "arrive"}
    assert found["quality"]["verdict"] == "good"
    assert found["quality"]["units"] == 27
    assert found["quality"]["loss"]["low"] < found["quality"]["loss"]["value"] < found["quality"]["loss"]["high"]
    assert found["data"]["days_without_rows"] == 0
    assert found["age_days"] == 59
    assert found["concerns"] == []
    assert found["estimate"] is None


def test_by_default_the_last_day_is_not_over(project: Project) -> None:
    assert report()[1]["until"] == "2020-04-27 00:00:00"


def test_drift_asks_once_and_says_so_twice(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 3; a second look, as after a kill, says the same and is the same retraining."""
    relog(lambda frame: frame.assign(x=frame["x"] + 3))
    code, found = report("--until", "2020-04-28")
    assert (code, found["decision"]) == (3, "retrain")
    assert "x" in found["windows"][-1]["alarms"]
    assert "drift in 3 of 3 windows, the latest in" in capsys.readouterr().out
    assert [(one["gate"], one["asks"]) for one in found["concerns"]] == [("drift", True)]
    assert report("--until", "2020-04-28") == (3, found)
    assert [one["until"] for one in found["retrainings"]] == ["2020-04-28 00:00:00"]
    aliases = versions.aliases(tracking.client())
    assert aliases["champion"] == found["champion"]["version"]


def test_after_fruitless_retrainings_a_person_is_asked(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """The gate `breaker` closes, and the report is there; a reset opens it."""
    relog(lambda frame: frame.assign(x=frame["x"] + 3))
    for until in ("2020-04-08", "2020-04-18"):
        project.set("monitor.alarms", 1)
        assert report("--until", until)[0] == 3
    assert main(["monitor", "--until", "2020-04-28"]) == 1
    assert "gate closed: breaker: 2 retrainings in a row brought no new champion" in capsys.readouterr().err
    assert record.read_json(monitor.REPORT)["decision"] == "halted"
    assert report("--until", "2020-04-28", "--reset", "the sensor was mended")[0] == 3


def test_a_new_champion_closes_the_breaker(project: Project) -> None:
    relog(lambda frame: frame.assign(x=frame["x"] + 3))
    project.set("monitor.alarms", 1)
    for until in ("2020-04-08", "2020-04-18"):
        assert report("--until", until)[0] == 3
    project.window(0, 60, 91)
    project.repro(small_project.GOOD)
    project.commit()
    assert project.promote()[0] == 0
    assert report("--until", "2020-04-28")[0] == 3


def test_labels_that_do_not_come_are_watched(project: Project) -> None:
    """An outage of labels is no reason to train, and quality is unknown rather than good."""
    Path("rows.csv").write_text("id,when,x,z,late\n")
    code, found = report("--until", "2020-04-28")
    assert (code, found["decision"]) == (0, "watch")
    assert found["labels"]["verdict"] == "missing"
    assert found["quality"]["verdict"] == "unknown"
    assert [(one["gate"], one["asks"]) for one in found["concerns"]] == [("labels", False)]
    assert found["reason"].startswith("0 of 540 labels that are due have arrived")


def test_inverted_labels_are_bad_quality(project: Project) -> None:
    known = pd.read_csv("rows.csv")
    known.assign(late=1 - known["late"]).to_csv("rows.csv", index=False)
    code, found = report("--until", "2020-04-28")
    assert (code, found["quality"]["verdict"]) == (3, "bad")
    assert {one["gate"]: one["asks"] for one in found["concerns"]}["quality"]
    assert "worse than knowing nothing" in found["reason"]


def test_miscalibration_is_bad_quality(project: Project) -> None:
    """Scores that are still in the right order, and all too low."""
    relog(lambda frame: frame.assign(predicted=frame["predicted"] / 3))
    found = report("--until", "2020-04-28")[1]
    assert "miscalibration costs" in found["quality"]["reason"]
    assert found["quality"]["miscalibration"]["low"] > 0.12
    assert "prediction" in found["windows"][-1]["alarms"]


def test_old_training_rows_ask_too(project: Project) -> None:
    project.set("monitor.max_age_days", 50)
    code, found = report("--until", "2020-04-28")
    assert code == 3
    assert [one["gate"] for one in found["concerns"]] == ["age"]
    assert "days old" in found["reason"]


def test_a_part_of_the_rows_served_badly_is_named(project: Project) -> None:
    """Slices are read from the source with the labels."""
    project.set("evaluate.slices", ["z"])
    known = pd.read_csv("rows.csv")
    known["z"] = (known["id"] % 4 == 0) * 1.0
    known.loc[known["z"] == 1, "late"] = 1 - known.loc[known["z"] == 1, "late"]
    known.to_csv("rows.csv", index=False)
    found = report("--until", "2020-04-28")[1]
    assert {part["slice"]: part["verdict"] for part in found["quality"]["slices"]}["z=1.0"] == "fail"
    assert "worse than knowing nothing in z=1.0" in found["quality"]["reason"]


def test_the_champions_own_answers_are_judged_and_the_last_of_each(project: Project) -> None:
    """What another version said is not its fault; a client that asks twice counts once."""
    serve(small_project.rows(90, 118).head(40), labelled=False, digest="another")
    rows = small_project.rows(90, 118).head(20)
    serve(rows, labelled=False)
    found = report("--until", "2020-04-28")[1]
    assert found["labels"]["due"] == 540


def test_nulls_of_a_column_that_had_none_are_nulls() -> None:
    """The first null of a column falls where the reference has no bin of its own for it."""
    never = reference.Aspect(reference.Bins(None, ["False"]), np.array([[20, 0]]))
    seldom = reference.Aspect(reference.Bins(None, ["False", "True"]), np.array([[19, 1, 0]]))
    place = reference.Aspect(reference.Bins(None, ["a"]), np.array([[20, 0]]))
    aspects = {"x null": never, "z null": seldom, "place": place}
    kept = reference.Reference(None, aspects, {}, np.array([0.5]), 0.1, 20)
    counts = {"x null": np.array([15, 5]), "z null": np.array([10, 10, 0]), "place": np.array([18, 2])}
    window = windows.Window(END - 7 * DAY, END, 20, inputs=counts)
    found = monitor.shares(window, kept, config.Monitor.model_validate(small_project.MONITOR))
    assert found["nulls"] == {"x": 0.25, "z": 0.5}
    assert found["unseen"] == {"place": 0.1}


def test_few_rows_say_nothing(project: Project) -> None:
    project.set("monitor.min_rows", 141)
    code, found = report("--until", "2020-04-28")
    assert (code, found["decision"]) == (0, "watch")
    assert found["windows"][-1]["verdict"] == "insufficient"
    assert "140 rows" in found["reason"]
    assert [(one["gate"], one["asks"]) for one in found["concerns"]] == [("rows", False)]


def test_a_window_without_rows_is_said_to_be_one(project: Project) -> None:
    found = report("--until", "2020-06-01")[1]
    assert found["windows"][-1]["rows"] == 0
    assert found["data"]["days_without_rows"] == 7
    assert found["predictions"] is None
    assert found["quality"]["reason"] == "no label of a prediction by the champion is due yet"


def test_the_estimate_needs_the_calibration_gate(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what was found calibrated may say what its loss would be."""
    with versions.bundle(tracking.client(), versions.named(tracking.client(), "champion")) as bundle:
        version = versions.named(tracking.client(), "champion")
        green = {"gates": [{"gate": "calibration", "verdict": "pass"}]}
        for gates, expected in ((green, True), ({"gates": [{"gate": "calibration", "verdict": "fail"}]}, False)):
            record.write_json(bundle / "reports/posttrain.json", gates)
            found = monitor.examine(bundle, version, config.load(), END, "when")
            assert (found["estimate"] is not None) is expected
        record.write_json(bundle / "reports/posttrain.json", green)
        found = monitor.examine(bundle, version, config.load(), END, "when")
    said = pd.concat(pd.read_parquet(path) for path in Path("predictions").rglob("*.parquet"))
    said = said[(said["when"] >= "2020-04-21") & (said["when"] < "2020-04-28")]["predicted"]
    assert found["estimate"]["value"] == pytest.approx((said * (1 - said)).mean())
    assert found["predictions"]["mean"] == pytest.approx(said.mean())


def test_what_was_written_can_be_looked_at(project: Project) -> None:
    relog(lambda frame: frame.assign(x=frame["x"] + 3))
    report("--until", "2020-04-28")
    text = Path("reports/monitor.md").read_text()
    assert text.startswith("# Monitor: retrain\n")
    assert "| 2020-04-21 00:00:00 | 2020-04-28 00:00:00 | 140 | alarm |" in text
    assert "Retrainings asked for" in text
    for picture in text.split("](")[1:]:
        content = Path("reports", picture.partition(")")[0]).read_text()
        assert content.startswith("<?xml")
        assert "<svg" in content
    before = Path("reports/monitor/drift.svg").read_bytes()
    report("--until", "2020-04-28")
    assert Path("reports/monitor/drift.svg").read_bytes() == before


def test_slices_are_drawn(project: Project) -> None:
    project.set("evaluate.slices", ["z"])
    known = pd.read_csv("rows.csv")
    known.assign(z=known["id"] % 2).to_csv("rows.csv", index=False)
    report("--until", "2020-04-28")
    assert "z=1" in Path("reports/monitor/slices.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "break_it", "said"),
    [
        (["--until", "soon"], None, "write a time without a zone"),
        (["--until", "2020-04-28T00:00Z"], None, "write a time without a zone"),
        ([], "log", "predictions holds no predictions"),
        ([], "source", "rows.csv"),
        ([], "label", "has no column late: late labels need it"),
    ],
)
def test_what_is_wrong_is_one_line(project: Project, capsys, arguments, break_it, said) -> None:
    import shutil

    if break_it == "log":
        shutil.rmtree("predictions")
    if break_it == "source":
        Path("rows.csv").unlink()
    if break_it == "label":
        pd.read_csv("rows.csv").drop(columns="late").to_csv("rows.csv", index=False)
    assert main(["monitor", *arguments]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not monitor.REPORT.exists()


def test_without_a_champion_it_says_what_to_run(tmp_path, monkeypatch, capsys) -> None:
    small_project.make(tmp_path / "project", monkeypatch, crowned=False)
    assert main(["monitor"]) == 1
    assert "no version has the alias champion: run `promote`" in capsys.readouterr().err


def test_a_killed_report_does_not_forget_the_decision(project: Project, monkeypatch) -> None:
    """The registry knows before the report does."""
    relog(lambda frame: frame.assign(x=frame["x"] + 3))
    monkeypatch.setattr(monitor.record, "write_json", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        main(["monitor", "--until", "2020-04-28"])
    tags = tracking.client().get_registered_model(tracking.NAME).tags
    (kept,) = [value for key, value in tags.items() if key.startswith("retrain.")]
    assert json.loads(kept)["version"] == "1"


def test_the_clock_is_the_tables_own_where_the_log_has_it(project: Project) -> None:
    contract = schema.load()
    assert windows.clock(Path("predictions"), contract) == "when"
    relog(lambda frame: frame.drop(columns="when"))
    assert windows.clock(Path("predictions"), contract) == parts.TIME
    assert windows.newest(Path("predictions"), parts.TIME) == dt.datetime(2024, 5, 6)


def test_a_log_by_prediction_time_is_read_by_it(project: Project) -> None:
    """Where the table's time is private, windows are those of the server's clock, and labels cannot be told by it."""
    relog(lambda frame: frame.drop(columns="when"))
    found = report("--until", "2024-05-06")[1]
    assert found["windows"][-1]["rows"] == 560
    assert not any(one["aspect"].startswith("when") for one in found["windows"][-1]["aspects"])


def test_windows_begin_and_end_where_they_say(project: Project) -> None:
    kept, contract = reference.read(verdict.REFERENCE), schema.load()
    digest = record.read_json(verdict.TRAINING)["digest"]
    first, last = windows.read(Path("predictions"), END, 1, 2, "when", kept, contract, digest)
    assert (first.rows, last.rows, first.answered, last.answered) == (20, 20, 20, 20)
    assert (first.start, first.end, last.end) == (END - 2 * DAY, END - DAY, END)
    rows = small_project.rows(117, 118)
    assert last.inputs["x"].tolist() == kept.inputs["x"].bins.rows(rows["x"]).tolist()


def test_what_another_version_answered_is_not_the_champions_to_defend(project: Project) -> None:
    """As on the days after a promotion: its inputs count, its answers do not."""
    relog(lambda frame: frame.assign(**{parts.PREDICTED: 0.999, parts.DIGEST: "of another"}))
    last = report("--until", "2020-04-28")[1]["windows"][-1]
    assert (last["rows"], last["verdict"]) == (140, "quiet")
    assert not any(one["aspect"] == reference.PREDICTION for one in last["aspects"])
    relog(lambda frame: frame.assign(**{parts.DIGEST: record.read_json(verdict.TRAINING)["digest"]}))
    assert report("--until", "2020-04-28")[1]["windows"][-1]["alarms"] == [reference.PREDICTION]


def test_without_matplotlib_the_page_has_no_pictures(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the image; what an earlier run drew is gone."""
    report("--until", "2020-04-28")
    assert "![distances](" in page.PAGE.read_text()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert report("--until", "2020-04-28")[0] == 0
    text = page.PAGE.read_text()
    assert "## The latest window" in text
    assert "svg" not in text
    assert not list(page.PICTURES.iterdir())


def test_a_reason_is_one_line_that_github_makes_nothing_of(project: Project) -> None:
    """It may hold values of the table, and a pull request shows it."""
    found = report("--until", "2020-04-28")[1]
    text = page.page({**found, "reason": "in place\n# fixes #1 @octocat ![x](y)"}, [])
    assert "in place # fixes &#35;1 &#64;octocat !&#91;x](y)." in text.splitlines()


def test_what_is_asked_ahead_of_time_is_not_today(project: Project) -> None:
    """One row of a far day would else empty every window, and age the champion by centuries."""
    far = pd.Timestamp("2099-06-01")
    relog(lambda frame: frame.assign(**{parts.TIME: frame["when"].dt.tz_localize("UTC")}))
    relog(lambda frame: frame.assign(when=frame["when"].where(frame.index > 0, far)))
    assert report()[1]["until"] == "2020-04-27 00:00:00"


def test_a_hashed_column_is_not_compared(project: Project) -> None:
    """A number that is a hash in the log, or the time itself: what is left is judged, by the server's clock."""
    relog(lambda frame: frame.assign(x="c0ffee", when="c0ffee"))
    kept = record.read_json(verdict.REFERENCE)
    gone = {name: value for name, value in kept["inputs"].items() if name.partition(" ")[0] not in ("x", "when")}
    record.write_json(verdict.REFERENCE, {**kept, "inputs": gone}, indent=None)
    window = windows.Window(END - DAY, END)
    frame = pd.concat(
        windows.between(Path("predictions"), dt.datetime(2024, 1, 1), dt.datetime(2025, 1, 1), parts.TIME)
    )
    window.add(frame, parts.TIME, reference.read(verdict.REFERENCE), schema.load(), "nobody's")
    assert window.inputs.keys() == gone.keys() - {"late"}
    assert windows.clock(Path("predictions"), schema.load()) == parts.TIME


def test_labels_that_stopped_a_week_ago_are_missed(project: Project) -> None:
    """Though most of those that are due have arrived."""
    rows = pd.read_csv("rows.csv")
    rows[rows["when"] < "2020-04-19"].to_csv("rows.csv", index=False)
    code, found = report("--until", "2020-04-28")
    assert (code, found["decision"], found["labels"]["verdict"]) == (0, "watch", "missing")
    assert found["labels"]["share"] > 0.5
    assert found["reason"].startswith("0 of 140 labels of the last 7 days that are due have arrived")


@pytest.mark.parametrize(
    ("said", "task", "expected"),
    [
        (np.array([0.0, 0.5, 0.9]), "binary", [0, 0.25, 0.09]),
        (np.array([[0.2, 0.3, 0.5], [1, 0, 0]]), "multiclass", [0.62, 0]),
        (np.array([3.0]), "regression", [np.nan]),
    ],
)
def test_expected_loss_is_the_brier_score_of_true_probabilities(said, task, expected) -> None:
    np.testing.assert_allclose(windows.expected_loss(said, task), expected)


def test_without_a_key_labels_cannot_meet_their_predictions(project: Project) -> None:
    contract = schema.load()
    columns = {name: one.model_dump() for name, one in contract.columns.items() if name != "id"}
    keyless = schema.Schema.model_validate({"task": "binary", "columns": columns})
    kept = reference.read(verdict.REFERENCE)
    labels, found = quality.look(config.load(), keyless, kept, "d", END, "when")
    assert labels["verdict"] == "none due"
    assert "declares no key" in found["reason"]


def test_one_unit_of_labels_is_too_few(project: Project) -> None:
    project.set("monitor.quality.days", 1)
    found = report("--until", "2020-04-28")[1]
    assert found["quality"]["verdict"] == "unknown"
    assert "labels of 1 unit of resampling" in found["quality"]["reason"]
