"""Who becomes champion, who does not, and what the report says."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from {{ cookiecutter.project_slug }} import config, record
from {{ cookiecutter.project_slug }}.errors import InputError
from {{ cookiecutter.project_slug }}.gates import verdict
from {{ cookiecutter.project_slug }}.registry import bundles, promotion, tracking, versions

from . import small_project
from .small_project import GOOD, WEAK, Project


@pytest.fixture
def project(tmp_path, monkeypatch) -> Project:
    """A project whose weak model is champion, as version 1."""
    return small_project.make(tmp_path / "p", monkeypatch)


def test_first_run_is_decided_by_the_baselines(tmp_path, monkeypatch, capsys):
    project = small_project.make(tmp_path / "p", monkeypatch, crowned=False)
    capsys.readouterr()
    code, report = project.promote()
    assert (code, report["decision"], report["mode"], report["champion"]) == (0, "promoted", "first", None)
    assert "baselines" in report["reason"]
    assert project.aliases() == {"challenger": "1", "champion": "1"}
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == (f"promoted: {report['reason']}\n", "")


@pytest.mark.parametrize("reset", [None, "start anew"])
def test_the_champion_itself_stays_and_is_not_its_own_previous(project, reset):
    code, report = project.promote(reset=reset)
    assert (code, report["decision"]) == (0, "unchanged")
    assert project.aliases() == {"challenger": "1", "champion": "1"}


def test_better_is_promoted_then_worse_is_refused_then_rolled_back(project, capsys):
    project.repro(GOOD)
    code, report = project.promote(dry_run=True)
    assert (code, report["decision"], report["dry_run"], report["look"]) == (0, "promoted", True, 1)
    assert capsys.readouterr().out.startswith("would be promoted: ")
    assert project.aliases() == {"challenger": "2", "champion": "1"}
    code, report = project.promote()
    assert (code, report["decision"], report["mode"], report["look"]) == (0, "promoted", "superior", 1)
    assert report["rows"] == {"test": 600, "overlap_dropped": 0, "compared": 600}
    assert all(test["passed"] for test in report["tests"])
    assert project.aliases() == {"challenger": "2", "champion": "2", "previous": "1"}
    tags = tracking.client().get_registered_model(tracking.NAME).tags
    (looked,) = [json.loads(value) for key, value in tags.items() if key.startswith("look.")]
    when = record.read_parquet(verdict.TEST)["when"]  # so that a window moved a little is known for one
    assert looked == {"look": 1, "from": str(when.min()), "until": str(when.max())}

    project.repro(GOOD * 1.001)  # as good, which is not better
    code, report = project.promote()
    assert (code, report["decision"], report["look"], report["alpha"]) == (3, "refused", 2, pytest.approx(0.05 / 6))
    assert "champion superior brier: bound" in report["reason"]
    assert report["gates"] == ["superior"]
    assert project.aliases() == {"challenger": "3", "champion": "2", "previous": "1"}
    assert versions.rollback(tracking.client()) == ("1", "2")
    assert project.aliases() == {"challenger": "3", "champion": "1", "previous": "2"}


def test_what_was_judged_is_promoted_later_without_the_data(project):
    project.repro(GOOD)
    _, said = project.promote(dry_run=True)
    for folder in ("data", "model"):
        shutil.rmtree(folder)
    code, report = project.promote(judged=True)
    assert (code, report) == (0, {**said, "dry_run": False})
    assert project.aliases() == {"challenger": "2", "champion": "2", "previous": "1"}
    assert versions.by_alias(tracking.client(), "champion").tags["promotion"] == "every test passed"
    assert project.promote(judged=True) == (0, report)  # as after a kill
    assert project.aliases() == {"challenger": "2", "champion": "2", "previous": "1"}


def test_the_same_model_with_another_threshold_is_a_version_of_its_own(project):
    """What it decides is another thing, though its file is the same; it need not be better than itself."""
    project.repro(GOOD)
    project.promote()
    tree = record.read_json(verdict.TRAINING)
    record.write_json(verdict.TRAINING, {**tree, "recipe": "of another cost", "threshold": 0.11})
    version = versions.by_digest(tracking.client(), tree["digest"], "of another cost")
    assert version is None
    assert versions.by_digest(tracking.client(), tree["digest"], tree["recipe"]).version == 2


def test_what_was_judged_is_not_judged_otherwise(project):
    project.promote(dry_run=True)
    with pytest.raises(InputError, match="give --production or --reset to that"):
        promotion.main(False, None, production=True, judged=True)


def test_an_empty_report_decides_nothing(project):
    record.write_json(promotion.REPORT, {})
    with pytest.raises(InputError, match="is not what"):
        project.promote(judged=True)


def test_a_first_champion_is_promoted_later_too(tmp_path, monkeypatch):
    project = small_project.make(tmp_path / "p", monkeypatch, crowned=False)
    assert project.promote(dry_run=True)[0] == 0
    assert project.aliases() == {"challenger": "1"}
    assert project.promote(judged=True)[1]["mode"] == "first"
    assert project.aliases() == {"challenger": "1", "champion": "1"}


@pytest.mark.parametrize("key", ["decision", "reason", "champion", "challenger"])
def test_a_report_that_was_edited_promotes_nothing(project, key):
    project.repro(GOOD)
    project.promote(dry_run=True)
    said = record.read_json(promotion.REPORT)
    record.write_json(promotion.REPORT, {**said, key: {"version": "1"} if isinstance(said[key], dict) else "promoted!"})
    with pytest.raises(InputError, match="is not what `promote --dry-run` said"):
        project.promote(judged=True)
    assert project.aliases()["champion"] == "1"


def test_a_refused_model_is_not_promoted_later(project):
    project.repro(GOOD)
    project.promote()
    project.repro(GOOD * 1.001)
    assert project.promote(dry_run=True)[0] == 3
    with pytest.raises(InputError, match="is not what"):
        project.promote(judged=True)
    promotion.REPORT.unlink()
    with pytest.raises(InputError, match="run `promote --dry-run` first"):
        project.promote(judged=True)


def test_what_was_judged_against_another_champion_is_not_promoted(project):
    project.repro(GOOD)
    project.promote(dry_run=True)
    said = promotion.REPORT.read_text(encoding="utf-8")
    project.repro(GOOD * 1.5)
    project.promote(reset="somebody else's")
    promotion.REPORT.write_text(said, encoding="utf-8")
    with pytest.raises(InputError, match="the champion is version 3 by now, no longer version 1"):
        project.promote(judged=True)
    assert project.aliases()["champion"] == "3"


def test_what_was_rolled_back_since_is_not_promoted(project):
    project.repro(GOOD)
    project.promote(dry_run=True)
    said = promotion.REPORT.read_text(encoding="utf-8")
    project.promote()
    versions.rollback(tracking.client())
    promotion.REPORT.write_text(said, encoding="utf-8")
    with pytest.raises(InputError, match="was rolled back since"):
        project.promote(judged=True)
    assert project.aliases()["champion"] == "1"


def test_same_recipe_on_newer_rows_need_not_be_better_than_champion_and_anchor(project):
    project.window(0, 65, 95)
    project.repro()
    code, report = project.promote()
    assert (code, report["decision"], report["mode"]) == (0, "promoted", "non_inferior")
    assert [test["test"] for test in report["tests"]] == ["champion non_inferior", "guardrail"]
    project.window(0, 70, 100)
    project.repro()
    code, report = project.promote()
    assert code == 0
    assert [test["test"] for test in report["tests"]][-1] == "anchor 1 non_inferior"
    assert versions.by_alias(tracking.client(), "champion").tags["anchor"] == "1"
    project.repro(GOOD)
    assert project.promote()[1]["mode"] == "superior"
    assert versions.by_alias(tracking.client(), "champion").tags["anchor"] == "4"


def test_rows_the_champion_was_trained_on_are_dropped_and_counted(project):
    project.window(0, 50, 90)
    project.set("promote.min_rows", 600)  # as many as there are: enough
    project.set("promote.min_units", 30)
    project.repro(GOOD)
    code, report = project.promote()
    assert (code, report["rows"]) == (0, {"test": 800, "overlap_dropped": 200, "compared": 600})
    assert report["units"] == 30


def test_too_few_new_rows_are_refused_and_spend_no_look(project):
    project.window(0, 30, 65)
    project.repro(GOOD)
    code, report = project.promote()
    assert (code, report["decision"]) == (3, "refused")
    assert (report["gates"], report["tests"]) == (["rows"], [])
    assert "only 100 rows in 5 units are new" in report["reason"]
    assert "widen" in report["reason"]
    assert not tracking.client().get_registered_model(tracking.NAME).tags
    assert project.aliases()["champion"] == "1"


def test_reset_needs_no_comparison_and_keeps_its_reason(project):
    project.repro(WEAK / 10)
    code, report = project.promote(reset="the sensor was replaced")
    assert (code, report["mode"], report["reason"]) == (0, "reset", "reset: the sensor was replaced")
    assert report["tests"] == []
    assert project.aliases() == {"challenger": "2", "champion": "2", "previous": "1"}
    tags = versions.lineage_of(tracking.client(), "champion")
    assert (tags["promotion"], tags["anchor"]) == ("reset: the sensor was replaced", "2")


def break_verdict(project: Project) -> None:
    report = record.read_json(Path("reports/posttrain.json"))
    report["gates"][0]["verdict"] = "fail"
    record.write_json(Path("reports/posttrain.json"), report)


def stale_verdict(project: Project) -> None:
    predictions = record.read_parquet(Path("data/predictions.parquet"))
    record.write_parquet(predictions.assign(predicted=predictions["actual"]), Path("data/predictions.parquet"))


def stale_lock(project: Project) -> None:
    record.write_parquet(small_project.rows(0, 5), Path("data/raw.parquet"))


def uncommitted(project: Project) -> None:
    Path("tests/posttrain/helper.txt").write_text("new\n")


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (break_verdict, "reports/posttrain.json is red (checked)"),
        (stale_verdict, "predictions differ"),
        (stale_lock, "data/raw.parquet is not the one in dvc.lock"),
        (uncommitted, "not committed: tests/posttrain/helper.txt; commit the code first"),
        (lambda _: Path("reports/pretrain.json").unlink(), "is missing: run `dvc repro`"),
    ],
)
def test_a_model_without_standing_evidence_is_refused_and_not_registered(project, fault, says):
    project.repro(GOOD)
    fault(project)
    code, report = project.promote()
    assert (code, report["decision"], report["challenger"]) == (3, "refused", None)
    assert says in report["reason"]
    assert project.aliases() == {"challenger": "1", "champion": "1"}
    assert len(tracking.client().search_model_versions(f"name = '{tracking.NAME}'")) == 1


@pytest.mark.parametrize("name", ["model.skops", "train_keys.parquet", f"code/{tracking.NAME}/model.py"])
def test_a_champion_whose_files_were_changed_is_not_believed(project, name):
    stored = next(Path(".mlflow/artifacts").glob("*/artifacts/model_*")) / name
    stored.write_bytes(stored.read_bytes() + b"\n")
    project.repro(GOOD)
    code, report = project.promote()
    assert (code, report["decision"]) == (3, "refused")
    assert "version 1 is not what was registered (its files were changed): restore" in report["reason"]


def test_a_champion_that_reads_a_column_which_is_gone_is_refused_with_the_way_out(project):
    small = {k: v for k, v in small_project.SCHEMA["columns"].items() if k != "z"}
    Path("schema.yaml").write_text(yaml.safe_dump(small_project.SCHEMA | {"columns": small}, sort_keys=False))
    for name in ("train", "test"):
        path = Path(f"data/{name}.parquet")
        record.write_parquet(record.read_parquet(path).drop(columns="z"), path)
    project.repro(GOOD)
    code, report = project.promote()
    assert (code, report["decision"]) == (3, "refused")
    assert "the champion reads z" in report["reason"]
    assert "promote --reset REASON" in report["reason"]
    assert project.promote(reset="no z any more")[0] == 0


def test_a_champion_of_another_task_is_refused_with_the_way_out(project):
    version = versions.register(tracking.client(), config.load())
    with pytest.raises(InputError, match="regression: start anew with `promote --reset"):
        promotion.judge(tracking.client(), config.load(), version, version.tags | {"task": "regression"})


def test_the_champion_predicts_with_its_own_features_in_a_child(project, monkeypatch):
    """The model of version 1 was fitted on x as it is; the edited module would hand it -x."""
    monkeypatch.setattr(promotion, "subprocess", subprocess)
    test = record.read_parquet(Path("data/test.parquet"))
    expected = record.read_parquet(Path("data/predictions.parquet"))["predicted"]
    features = Path(tracking.NAME, "features.py")
    features.write_text(features.read_text().replace("return columns.astype(", "return -columns.astype("))
    client = tracking.client()
    predicted, seen = promotion.predictions_of(client, versions.by_alias(client, "champion"), test)
    np.testing.assert_array_equal(predicted, expected)
    assert not seen.any()
    with pytest.raises(InputError, match="version 1 cannot predict the test rows: the champion reads x, which"):
        promotion.predictions_of(client, versions.by_alias(client, "champion"), test.drop(columns="x"))


def test_a_champion_that_tells_other_classes_apart_is_refused_with_the_way_out(project):
    swapped = {**small_project.SCHEMA["columns"]["late"], "values": [1, 0]}
    columns = {**small_project.SCHEMA["columns"], "late": swapped}
    Path("schema.yaml").write_text(yaml.safe_dump(small_project.SCHEMA | {"columns": columns}, sort_keys=False))
    client = tracking.client()
    said = r"version 1 tells \[0, 1\] apart, this schema.yaml \[1, 0\]: start anew with `promote --reset REASON`"
    with pytest.raises(InputError, match=said):
        promotion.predictions_of(client, versions.by_alias(client, "champion"), small_project.rows(60, 62))


def test_a_child_that_dies_silently_still_gives_a_line(project, monkeypatch):
    monkeypatch.setattr(promotion.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], -9, "", ""))
    client = tracking.client()
    with pytest.raises(InputError, match="no reason given"):
        promotion.predictions_of(client, versions.by_alias(client, "champion"), small_project.rows(60, 62))


def test_going_back_to_old_parameters_names_the_old_version(project):
    kept = {p: p.read_bytes() for p in Path().glob("[dmr]*/*") if p.is_file()}
    lock, params = Path("dvc.lock").read_bytes(), Path("params.yaml").read_bytes()
    project.repro(GOOD)
    assert versions.register(tracking.client(), config.load()).version == 2
    for path, content in {**kept, Path("dvc.lock"): lock, Path("params.yaml"): params}.items():
        path.write_bytes(content)  # as dvc restores them, without running a stage
    code, report = project.promote()
    assert (code, report["decision"], report["challenger"]["version"]) == (0, "unchanged", "1")
    assert project.aliases()["challenger"] == "1"


def test_looks_count_pairs_of_models_once(project):
    client = tracking.client()
    assert [promotion.count_look(client, digest, "old", None) for digest in ("a", "b", "a", "c")] == [1, 2, 1, 3]
    assert promotion.count_look(client, "a", "new", None) == 4


def test_a_window_that_moved_a_little_is_no_fresh_look(project):
    client = tracking.client()
    looks = []
    for first in (60, 70, 90):  # 30 days each: 20 shared with the first window, then none
        project.window(0, first, first + 30)
        times = record.read_parquet(Path("data/test.parquet"))["when"]
        looks.append(promotion.count_look(client, "a", "old", times))
    assert looks == [1, pytest.approx(1 + 20 / 30), pytest.approx(1 + 10 / 30)]


def test_a_version_that_was_rolled_back_is_not_promoted_again_unless_told_why(project):
    project.repro(GOOD)
    assert project.promote()[0] == 0
    client = tracking.client()
    versions.rollback(client)
    code, report = project.promote()
    assert (code, report["gates"]) == (3, ["rolled_back"])
    assert "version 2 was rolled back: train another model" in report["reason"]
    assert project.aliases()["champion"] == "1"
    assert project.promote(reset="it was the sensor after all")[0] == 0
    assert project.aliases()["champion"] == "2"
    assert "rolled_back" not in client.get_model_version(tracking.NAME, "2").tags


def test_a_promotion_that_was_killed_between_the_aliases_is_completed_by_the_next(project, monkeypatch):
    project.repro(GOOD)
    calls = []

    def settle(client: Any) -> dict[str, str]:
        calls.append("settle")
        if len(calls) == 2:  # the first one looks for what an earlier kill left
            raise KeyboardInterrupt
        return versions.aliases(client)

    with monkeypatch.context() as patch:
        patch.setattr(versions, "settle", settle)
        with pytest.raises(KeyboardInterrupt):
            project.promote()
    assert project.aliases() == {"challenger": "2", "champion": "2"}
    code, report = project.promote()
    assert (code, report["decision"]) == (0, "unchanged")
    assert project.aliases() == {"challenger": "2", "champion": "2", "previous": "1"}


def test_a_champion_that_moved_during_the_comparison_is_a_refusal(project, monkeypatch):
    project.repro(GOOD)
    judge = promotion.judge

    def slow(client: Any, *rest: Any) -> dict[str, Any]:
        client.create_model_version(tracking.NAME, source="elsewhere")
        client.set_registered_model_alias(tracking.NAME, "champion", "3")
        return judge(client, *rest)

    monkeypatch.setattr(promotion, "judge", slow)
    code, report = project.promote()
    assert (code, report["decision"], report["gates"]) == (3, "refused", [])
    assert report["reason"] == "the champion is version 3 by now, no longer version 1: run the command again"
    assert project.aliases() == {"challenger": "2", "champion": "3"}


def test_a_store_that_does_not_answer_decides_nothing(project, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(tracking.StoreError, match=r"http://127.0.0.1:9 cannot be used"):
        promotion.main(dry_run=False, reset=None)
    assert not promotion.REPORT.exists()


def test_a_store_that_fails_half_way_decides_nothing(project, monkeypatch):
    def fails(*_: Any) -> None:
        raise tracking.StoreError("gone")

    monkeypatch.setattr(versions, "register", fails)
    with pytest.raises(tracking.StoreError, match="gone"):
        project.promote()
    assert not promotion.REPORT.exists()


def test_a_report_without_room_moves_no_alias(project, monkeypatch):
    project.repro(GOOD)
    before, write = project.aliases(), Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if len(data) == promotion.ROOM:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(tracking.StoreError, match=r"cannot write .*room: No space left on device"):
        promotion.main(dry_run=False, reset=None)
    assert project.aliases() == before
    monkeypatch.undo()


def test_a_disk_that_is_full_while_versions_predict_decides_nothing(project, monkeypatch):
    project.repro(GOOD)
    before = project.aliases()["champion"]
    full = subprocess.CompletedProcess((), tracking.StoreError.CODE, "", "cannot write out.parquet: full\n")
    monkeypatch.setattr(promotion.subprocess, "run", lambda *_, **__: full)
    with pytest.raises(tracking.StoreError, match="cannot predict the test rows: cannot write out.parquet: full"):
        promotion.main(dry_run=False, reset=None)
    assert project.aliases()["champion"] == before
    assert not promotion.REPORT.exists()


def test_keys_are_compared_by_the_columns_that_the_champion_declared(project):
    contract = versions.schema.load()
    frame = small_project.rows(0, 2)
    keys = bundles.row_keys(frame, contract)
    assert keys.equals(bundles.row_keys(frame.assign(x=0.0), contract))
    assert keys.is_unique
    bare = contract.model_copy(update={"columns": {k: v for k, v in contract.columns.items() if k != "id"}})
    assert not bundles.row_keys(frame, bare).equals(bundles.row_keys(frame.assign(x=0.0), bare))
    assert isinstance(keys, pd.Series)
    with pytest.raises(InputError, match="key column id is missing"):
        bundles.row_keys(frame.drop(columns="id"), contract)


def test_a_version_that_does_not_predict_as_it_did_is_refused(project, monkeypatch):
    """What is judged is a table of predictions: the model that the registry gives back must be the one that made it."""
    project.repro(GOOD)
    project.commit()
    predict = promotion.model.predict
    monkeypatch.setattr(promotion.model, "predict", lambda *given: predict(*given) + 1e-9)
    code, report = project.promote()
    assert (code, report["gates"]) == (3, ["parity"])
    assert "version 2 does not predict here as it did" in report["reason"]
    assert project.aliases()["champion"] == "1"
