"""The report page: what lies here, verdict first; missing, stale, red and damaged reports each said as they are."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from {{ cookiecutter.project_slug }} import __main__ as command
from {{ cookiecutter.project_slug }} import config, record
from {{ cookiecutter.project_slug }}.errors import InputError
from {{ cookiecutter.project_slug }}.gates import verdict
from {{ cookiecutter.project_slug }}.registry import tracking
from {{ cookiecutter.project_slug }}.report import page, pictures, reading, rows

from . import reported, small_project
from .small_project import HERE, Project

HOSTILE = "<script>alert(1)</script>"


class Reader(HTMLParser):
    """Visible text by section id, and every tag."""

    def __init__(self, html: str) -> None:
        """Read a page."""
        super().__init__()
        self.sections: dict[str, str] = {"": ""}
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.here, self.hidden = "", False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag, and which section begins."""
        self.tags.append((tag, dict(attrs)))
        self.hidden = tag == "style"
        if tag == "section":
            self.here = str(dict(attrs)["id"])
            self.sections[self.here] = ""

    def handle_data(self, data: str) -> None:
        """Add text to its section."""
        self.sections[self.here] += "" if self.hidden else " " + " ".join(data.split())


@pytest.fixture
def project(tmp_path, monkeypatch) -> Project:
    """A project with every report of its pipeline, a champion, and a card that nobody has written."""
    made = small_project.make(tmp_path / "p", monkeypatch)
    monkeypatch.setattr(rows, "REPEATS", 2)
    made.set("gates.pretrain", {"checked": {}, "drift": {"margin": 0.2}})
    made.set("gates.posttrain", {"checked": {}, "slices": {"harm": 0.03}, "calibration": {}})
    record.write_json(Path("reports/split.json"), {"by": "time", "first_test_time": "2020-03-01 00:00:00"})
    Path("docs").mkdir()
    shutil.copy(HERE / "docs/model_card.md", "docs")
    made.verdicts(reported.gates())
    return made


def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw nothing and shuffle nothing, which takes the time."""
    monkeypatch.setattr(pictures, "forest", lambda *_: "<svg/>")
    monkeypatch.setattr(pictures, "curves", lambda *_: "<svg/>")
    monkeypatch.setattr(rows, "importance", lambda *_: [pictures.Mark("x", 0.1, 0.0, 0.2)])


@pytest.fixture
def quick(project, monkeypatch) -> None:
    """The project without pictures."""
    without_pictures(monkeypatch)


def written() -> str:
    """Write the page; its HTML."""
    assert command.main(["report"]) == 0
    return page.OUT.read_text(encoding="utf-8")


def digest() -> str:
    """The digest of the model that lies here."""
    return str(record.read_json(verdict.TRAINING)["digest"])


def lay(name: str, report: dict[str, Any]) -> None:
    """Write a report."""
    Path(f"reports/{name}.json").write_text(json.dumps(report), encoding="utf-8")


def test_everything_that_ran_is_on_the_page(project, capsys):
    lay("promotion", reported.promotion(digest()))
    lay("monitor", reported.monitor())
    lay("loop", reported.loop())
    found = Reader(written()).sections
    assert "All 6 gates passed; the challenger was refused (superior); the monitor says retrain." in found[""]
    assert list(found)[1:] == [name for name, *_ in page.PARTS]
    assert not [name for name, text in found.items() if "not run" in text]
    for part, words in {
        "gates": ["all 6 gates passed", "schema", "slices says pass", "posttrain"],
        "metrics": ["brier, which decides, is 0.", "on 600 test rows", "auc", "linear"],
        "rivals": ["refused: superior brier", "challenger: version 4; champion: version 3", "Look 2 at 10544 rows"],
        "slices": ["1 pass, 2 insufficient", "carrier=UA", "0.01 to 0.03", "carrier=one block"],
        "quality": ["calibration says pass", "Calibration: what came", "ROC", "Precision by recall"],
        "importance": ["shuffling x costs most", "2 shuffles of each input among 600 test rows", "not in blocks"],
        "data": ["1200 training rows of 5 columns", "2020-01-01 00:00:00 to 2020-02-29 00:00:00"],
        "change": ["no aspect of the test rows moved", "x came nearest", "0.05"],
        "drift": [
            "retrain: visib drifted",
            "version 3 until 2013-05-01",
            "5990 of 6000 due (arrive)",
            "0.16",
            "quiet",
            "1600 rows, 0 days without any, mean prediction 0.21 (test rows: 0.23)",
            "61 days old, at most 92",
        ],
        "loop": [
            "gated 0.168, always 0.169, frozen 0.183",
            "broken sensor",
            "-0.001 to 0.009",
            "the margin of 0.003 up to 92 days",
        ],
        "origin": ["this workspace's model is the champion", digest(), "train_sha256", "run_id"],
    }.items():
        missing = [word for word in words if word not in " ".join(found[part].split())]
        assert not missing, part
    assert capsys.readouterr().out.startswith("reports/report.html: All 6 gates passed")


def test_the_verdict_comes_first_and_nothing_leaves_the_file(project):
    html = written()
    read = Reader(html)
    tags = [tag for tag, _ in read.tags]
    assert tags[tags.index("h1") + 1] == "p"
    assert read.tags[tags.index("h1") + 1][1] == {"class": "verdict good", "id": "verdict"}
    assert not {"script", "img", "iframe", "object", "base"} & set(tags)
    addresses = [value for _, attrs in read.tags for key, value in attrs.items() if key in ("href", "src")]
    assert addresses
    assert all(str(value).startswith(("#", "data:,")) for value in addresses)
    assert not re.search(r"url\((?!#)", html)
    named = [attrs.get("id") for _, attrs in read.tags if attrs.get("id")]
    assert len(named) == len(set(named))


def test_every_table_has_a_caption_and_scopes_and_every_picture_a_label(project):
    lay("loop", reported.loop())
    read = Reader(written())
    tags = [tag for tag, _ in read.tags]
    assert tags.count("table") == tags.count("caption") == 9
    assert {attrs.get("scope") for tag, attrs in read.tags if tag == "th"} == {"row", "col"}
    pictures = [attrs for tag, attrs in read.tags if tag == "svg"]
    assert len(pictures) == tags.count("figure") == 9
    assert all(one["role"] == "img" and len(str(one["aria-label"])) > 20 for one in pictures)


def test_what_did_not_run_is_said_with_its_command(quick, project):
    for path in ("reports/promotion.json", "reports/pretrain.json"):
        Path(path).unlink()
    found = Reader(written()).sections
    assert (
        "The gates have not judged what lies here: run dvc repro ; no promotion has run; the monitor has not run."
        in (" ".join(found[""].split()))
    )
    name = command.PACKAGE.name
    for part, line in {"rivals": f"python -m {name} promote", "drift": f"python -m {name} monitor",
                       "loop": f"python -m {name} loop"}.items():  # fmt: skip
        assert f"not run: {line}" in " ".join(found[part].split())
    assert "pretrain : not run" in found["gates"].replace(": not run", " : not run")
    assert "no gate drift has compared" in " ".join(found["change"].split())


def test_a_bare_project_has_a_page(quick, project, capsys):
    for folder in ("reports", "model", "data", ".mlflow"):
        shutil.rmtree(folder)
    found = Reader(written()).sections
    assert "not run: dvc repro" in " ".join(found["gates"].split())
    for part in ("metrics", "quality", "importance", "data"):
        assert "not run: dvc repro" in " ".join(found[part].split()), part
    assert "no gate slices has judged any" in " ".join(found["slices"].split())
    assert "This workspace has no lineage" in found["origin"]
    assert "There is no registry yet" in found["origin"]
    assert not Path(".mlflow").exists()
    assert "docs/model_card.md: left as it is" in capsys.readouterr().out


def test_a_closed_gate_makes_the_verdict_red(quick, project):
    gates = reported.gates()
    red = reported.finding("carrier=UA", "fail", statistic=-0.1, threshold=0)
    gates["posttrain"][1] = reported.gate("slices", [red], "fail")
    project.verdicts(gates)
    read = Reader(written())
    assert ("p", {"class": "verdict bad", "id": "verdict"}) in read.tags
    assert "1 of 6 gates closed: slices" in read.sections[""]
    assert "slices (posttrain): carrier=UA: fail" in read.sections["gates"]
    assert "1 fail" in read.sections["slices"]
    first = re.search(
        r"gate verdict finding statistic bound threshold stage (\w+)", " ".join(read.sections["gates"].split())
    )
    assert first is not None
    assert first[1] == "slices"


def test_verdicts_on_something_else_are_said_to_be(quick, project):
    project.set("seed", 7)
    found = Reader(written()).sections
    assert "The gates have not judged what lies here" in found[""]
    assert "pretrain does not count: it judged something else: params changed since" in found["gates"]
    Path("data/raw.parquet").unlink()
    assert "validate does not count: data/raw.parquet is missing" in Reader(written()).sections["gates"]


@pytest.mark.parametrize(
    ("change", "said", "state"),
    [
        ({"decision": "promoted", "gates": [], "reason": "every test passed"}, "promoted", "good"),
        ({"decision": "promoted", "gates": [], "dry_run": True}, "would be promoted", "good"),
        ({"decision": "unchanged", "gates": [], "tests": []}, "champion already", "good"),
        ({"challenger": {"version": "9", "digest": "00"}}, "refused (superior) (another model)", "warn"),
    ],
)
def test_a_promotion_is_told_as_it_went(quick, project, change, said, state):
    lay("promotion", reported.promotion(digest()) | change)
    read = Reader(written())
    assert f"the challenger was {said};" in read.sections[""]
    assert ("p", {"class": f"verdict {state}", "id": "verdict"}) in read.tags
    assert ("does not count here" in read.sections["rivals"]) == ("another" in said)


@pytest.mark.parametrize(("decision", "state"), [("healthy", "good"), ("watch", "warn"), ("halted", "bad")])
def test_the_monitors_decision_colours_the_verdict(quick, project, decision, state):
    report = reported.monitor(decision)
    report["quality"] |= {"loss": None, "slices": []}
    lay("monitor", report | {"estimate": None})
    read = Reader(written())
    assert ("p", {"class": f"verdict {state}", "id": "verdict"}) in read.tags
    assert "An estimate" not in read.sections["drift"]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("monitor", "{", "damaged (JSONDecodeError: Expecting property name"),
        ("promotion", "[]", "damaged (no JSON object): run `python -m NAME promote`"),
        ("promotion", '{"decision": "odd", "challenger": null}', "damaged (UndefinedError: 'dict object' has no"),
        ("monitor", "{}", "damaged (KeyError: 'windows'): run"),
        ("loop", "{}", "damaged (KeyError: 'months'): run `python -m NAME loop`"),
        ("evaluate", "{}", "damaged (KeyError: 'model'): run `dvc repro`"),
        ("evaluate", '{"model": 3}', "damaged (TypeError: 'int' object is not subscriptable): run `dvc repro`"),
        ("posttrain", '{"gates": 3}', "damaged (TypeError: 'int' object is not iterable): run `dvc repro`"),
    ],
)  # fmt: skip
def test_a_damaged_report_is_one_line_and_no_page(quick, project, name, text, said, capsys):
    Path(f"reports/{name}.json").write_text(text, encoding="utf-8")
    card = Path("docs/model_card.md").read_bytes()
    assert command.main(["report"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"reports/{name}.json is {said.replace('NAME', command.PACKAGE.name)}" in error
    assert not page.OUT.exists()
    assert Path("docs/model_card.md").read_bytes() == card


def test_a_loop_that_cannot_say_everything_is_shown(project):
    report = reported.loop()
    report["months"][1]["policies"]["gated"]["loss"] = None
    report["staleness"]["interval_days"] = None
    lay("loop", report)
    assert "beyond the margin of 0.003 from the start" in Reader(written()).sections["loop"]
    lay("loop", report | {"staleness": None})
    read = Reader(written())
    assert "What age costs" not in read.sections["loop"]
    assert "2013-05 5000 – retrain promoted –" in " ".join(read.sections["loop"].split())


def test_a_damaged_plot_is_one_line(project):
    Path("reports/plots/roc.csv").write_text("a,b\n1,x\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"reports/plots/roc.csv is damaged: run `dvc repro`"):
        page.main()


def test_a_model_that_is_not_the_recorded_one_has_no_importance(project):
    verdict.MODEL.write_bytes(b"something else")
    assert "model/model.skops" in Reader(written()).sections["importance"]


def test_text_of_the_data_stays_text(project):
    project.verdicts(reported.gates(HOSTILE))
    html = written()
    assert "<script" not in html
    assert HOSTILE in Reader(html).sections["slices"]


def test_equal_files_give_an_equal_page(project):
    lay("monitor", reported.monitor())
    first = written()
    page.OUT.unlink()
    assert written() == first


def test_a_registry_that_does_not_answer_is_said(project, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert "http://127.0.0.1:9 cannot be used" in Reader(written()).sections["origin"]


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_other_tasks_have_a_page(task, project, contract_of, rows_of, params_of):
    from {{ cookiecutter.project_slug }} import model
    from {{ cookiecutter.project_slug }}.registry import artefact
    from {{ cookiecutter.project_slug }}.stages import evaluate

    contract, table = contract_of(task), rows_of(400)
    names = {"multiclass": "LogisticRegression", "regression": "Ridge"}
    record.write_parquet(table, verdict.TRAIN)
    record.write_parquet(table, verdict.TEST)
    text = contract.model_dump_json(exclude_defaults=True)
    Path("schema.yaml").write_text(text, encoding="utf-8")
    recipe = {"estimator": f"sklearn.linear_model.{names[task]}", "arguments": {}}
    project.set("train.estimator", recipe["estimator"])
    project.set("train.arguments", {})
    params = config.load()
    artefact.dump(model.fit(model.build(params.train, contract, 1), table, contract), verdict.MODEL)
    training = record.read_json(verdict.TRAINING) | {"digest": artefact.digest(verdict.MODEL), "threshold": None}
    record.write_json(verdict.TRAINING, training | {"task": task})
    evaluate.main()
    found = Reader(written()).sections
    assert {"multiclass": "brier", "regression": "mae"}[task] in found["metrics"]
    assert "size" in found["importance"]
    assert "ROC" not in found["quality"]
    assert "Calibration" in found["quality"]
    assert f"task: {task}" in Path("docs/model_card.md").read_text(encoding="utf-8")


def test_backquotes_become_code_and_an_odd_one_stays():
    assert page.coded("run `a <b>` now") == "run <code>a &lt;b&gt;</code> now"
    assert page.coded("5` <b>") == "5` &lt;b&gt;"


def test_every_file_of_the_page_is_one_that_a_command_writes():
    assert set(reading.COMMANDS) < set(reading.FILES)
    assert reading.command("monitor") == f"python -m {tracking.NAME} monitor"
    assert reading.command("evaluate") == "dvc repro"
