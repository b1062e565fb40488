"""The model card: filled from the run, written by people, and asked for by production alone."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from {{ cookiecutter.project_slug }} import __main__ as command
from {{ cookiecutter.project_slug }} import record
from {{ cookiecutter.project_slug }}.errors import GateClosed
from {{ cookiecutter.project_slug }}.registry import card, promotion
from {{ cookiecutter.project_slug }}.report import card as filling

from . import reported, small_project, test_page
from .small_project import GOOD, HERE, Project

SHIPPED = (HERE / "docs/model_card.md").read_text(encoding="utf-8")


def with_findings(project: Project, hostile: str = "HA") -> None:
    """Write verdicts that the declared gates stand behind, slices among them."""
    project.set("gates.pretrain", {"checked": {}, "drift": {"margin": 0.2, "accept": {"odd | one": "seen"}}})
    project.set("gates.posttrain", {"checked": {}, "slices": {"harm": 0.03}, "calibration": {}})
    project.verdicts(reported.gates(hostile))


@pytest.fixture
def project(tmp_path, monkeypatch) -> Project:
    """A project whose weak model is champion, with slices in its verdict and the card as it ships."""
    made = small_project.make(tmp_path / "p", monkeypatch)
    with_findings(made)
    test_page.without_pictures(monkeypatch)
    record.write_json(Path("reports/split.json"), {"by": "time", "first_test_time": "2020-03-01 00:00:00"})
    Path("docs").mkdir()
    card.CARD.write_text(re.sub(r"\*\*To be written:\*\*[^\n]*(\n[^\n#<]+)*", "An answer.", SHIPPED), encoding="utf-8")
    return made


def report() -> str:
    """Fill the card; its text."""
    assert command.main(["report"]) == 0
    return card.CARD.read_text(encoding="utf-8")


def test_the_card_that_ships_asks_in_every_section():
    assert card.blank(SHIPPED) == list(card.SECTIONS)
    assert [line[3:] for line in SHIPPED.splitlines() if line.startswith("## ")] == list(card.SECTIONS)


@pytest.mark.parametrize(
    "answer",
    ["", "**To be written:** by Ann", "TODO", "Ann knows. TBD", "which decision does\nit serve?", "*Why?*\n\nSoon."],
)
def test_what_does_not_answer_is_blank(answer):
    """The question without its mark, a note to oneself, nothing."""
    text = "".join(f"## {name}\n\nWhy not? Since it is so.\n\n" for name in card.SECTIONS)
    assert card.blank(text) == []
    changed = text.replace("## Factors\n\nWhy not? Since it is so.", f"## Factors\n\n{answer}")
    assert card.blank(changed) == ["Factors"]


def test_the_parts_from_the_run_are_filled_and_the_rest_is_left(project):
    before = card.CARD.read_text(encoding="utf-8")
    after = report()
    assert card.BLOCK.sub(r"\1\4", after) == card.BLOCK.sub(r"\1\4", before)
    parts = {name: text for _, name, text, _ in card.BLOCK.findall(after)}
    digest = record.read_json(Path("model/training.json"))["digest"]
    for part, words in {
        "details": ["- task: binary, of `late`", digest, "- inputs: when, x, z"],
        "factors": ["- slices: none are declared", "- rows that belong together: day"],
        "metrics": ["- what decides: brier", "- decision threshold: 0.", "false positive: 1, of a false negative: 1"],
        "evaluation_data": ["- test rows: 600, in 30 blocks", "- chosen by: time", "- first: 2020-03-01 00:00:00"],
        "training_data": ["- source: rows.csv", "- window: open to open", "- training rows: 1200"],
        "results": ["| metric | model | linear | dummy |\n| --- | --- | --- | --- |\n| brier | 0.",
                    "\n\n| gate | stage |", "| slices | posttrain | pass | slices says pass |",
                    "| carrier=HA | -0.01 | -0.5 to 0.05 | 9 | insufficient |"],
        "caveats": ["- slices with too few rows to tell: carrier=one block, carrier=HA\n",
                    "- accepted, odd \\| one: seen\n"],
        "seal": ["`" + card.seal(parts) + "`"],
    }.items():  # fmt: skip
        assert not [word for word in words if word not in parts[part]], part
    assert "| slice |" not in parts["caveats"]
    assert len({line.count("|") for line in parts["results"].splitlines() if line.startswith("| brier")}) == 1


def test_filling_again_changes_nothing_and_no_hook_would(project):
    first = report()
    assert report() == first
    assert not [line for line in first.splitlines() if line != line.rstrip()]
    assert first.endswith("\n")
    assert not first.endswith("\n\n")
    assert "\n\n\n" not in first


@pytest.mark.parametrize("name", ["<!-- end -->", "<script>", "a | b", "two\nlines", "`code`", "&amp;"])
def test_names_in_the_data_cannot_end_a_part_or_a_cell(name, project):
    with_findings(project, name)
    after = report()
    assert [one for _, one, _, _ in card.BLOCK.findall(after)] == [one for _, one, _, _ in card.BLOCK.findall(SHIPPED)]
    assert "<script" not in after
    row = next(line for line in after.splitlines() if line.startswith("| carrier=") and "| -0.01 |" in line)
    assert len(re.findall(r"(?<!\\)\|", row)) == 6
    assert report() == after


def test_production_is_refused_until_every_section_is_written_and_the_parts_are_those_of_this_run(project, capsys):
    answered = card.CARD.read_text(encoding="utf-8")
    card.CARD.write_text(SHIPPED, encoding="utf-8")
    assert promotion.main(dry_run=False, reset=None) == 0  # without production nobody asks
    capsys.readouterr()
    assert command.main(["promote", "--production"]) == 3
    found = record.read_json(promotion.REPORT)
    assert (found["decision"], found["gates"]) == ("refused", ["card"])
    assert found["reason"].startswith("docs/model_card.md: not written: Model details, Intended use, Factors")
    assert "gate closed: card: docs/model_card.md" in capsys.readouterr().out
    card.CARD.write_text(answered, encoding="utf-8")
    assert command.main(["promote", "--production"]) == 3
    assert "is not of model" in record.read_json(promotion.REPORT)["reason"]
    report()
    assert command.main(["promote", "--production"]) == 0
    assert record.read_json(promotion.REPORT)["decision"] == "unchanged"


def test_another_model_needs_its_own_card(project):
    report()
    card.require()
    project.set("gates.pretrain", {"checked": {}})
    project.set("gates.posttrain", {"checked": {}})
    project.repro(GOOD)
    digest = record.read_json(Path("model/training.json"))["digest"]
    with pytest.raises(GateClosed, match=f"is not of model {digest[:12]}: run `python -m .* report`"):
        card.require()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda text: text.replace("| brier | 0.", "| brier | 0.0"), "what comes from the run is not of model"),
        (lambda text: re.sub(r"<!-- from the run: caveats.*?<!-- end -->", "", text, flags=re.S), "is not of model"),
        (lambda text: text.replace("<!-- from the run: seal", "<!-- from the run: none"), "is not of model"),
        (lambda text: text.replace("## Factors", "## Facts"), "not written: Factors; answer"),
        (lambda text: text.replace("## Factors\n", "## Factors\n\n**To be written:** who?\n"), "not written: Factors;"),
        (lambda text: re.sub(r"(## Metrics.*?)An answer\.", r"\1<!-- later -->", text, count=1, flags=re.S),
         "not written: Metrics;"),
        (lambda _: "", "not written: Model details, Intended use, Factors, Metrics, Evaluation data, Training data"),
    ],
)  # fmt: skip
def test_a_card_that_was_changed_by_hand_does_not_count(harm, said, project):
    text = report()
    card.require()
    assert harm(text) != text
    card.CARD.write_text(harm(text), encoding="utf-8")
    with pytest.raises(GateClosed, match=re.escape(said)) as caught:
        card.require()
    assert caught.value.gates == ("card",)


def test_a_report_that_changed_since_is_not_on_the_card(project):
    report()
    card.require()
    found = record.read_json(Path("reports/evaluate.json"))
    record.write_json(Path("reports/evaluate.json"), found | {"rows": 601})
    with pytest.raises(GateClosed, match="is not of model"):
        card.require()


def test_a_card_that_is_not_there_cannot_be_filled_and_does_not_count(project, capsys):
    shutil.rmtree("docs")
    assert command.main(["report"]) == 0
    assert "docs/model_card.md: left as it is" in capsys.readouterr().out
    assert not card.CARD.exists()
    with pytest.raises(GateClosed, match="not written: Model details"):
        card.require()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("from the run: factors", "from the run: facts", "(factors, facts)"),
        ("## Factors", "<!-- from the run: details -->\n<!-- end -->\n## Factors", "(one stands twice)"),
        ("<!-- from the run: seal -->", "", "(seal)"),
    ],
)  # fmt: skip
def test_parts_that_nobody_knows_are_not_filled(old, new, said, project, capsys):
    text = card.CARD.read_text(encoding="utf-8").replace(old, new)
    card.CARD.write_text(text, encoding="utf-8")
    assert command.main(["report"]) == 1
    error = capsys.readouterr().err
    assert "its generated parts must be details, factors, metrics" in error
    assert said in error
    assert card.CARD.read_text(encoding="utf-8") == text


def test_numbers_have_four_digits_and_nothing_is_a_dash():
    assert [filling.inert(value) for value in (0.123456, 7, None, "a|b")] == ["0.1235", "7", "–", "a\\|b"]


def test_the_command_line_asks_for_the_card_in_production_alone(project, monkeypatch):
    asked = []
    monkeypatch.setattr(promotion, "main", lambda *given: asked.append(given) or 0)
    command.main(["promote"])
    command.main(["promote", "--production", "--dry-run"])
    assert asked == [(False, None, False, False), (True, None, True, False)]


def test_every_part_of_the_card_has_a_template():
    template = (Path(filling.__file__).parent / "card.md").read_text(encoding="utf-8")
    named = [name for _, name, _, _ in card.BLOCK.findall(template)]
    assert [*named, card.SEAL] == [name for _, name, _, _ in card.BLOCK.findall(SHIPPED)]
    assert yaml.safe_load("[" + ", ".join(named) + "]") == list(dict.fromkeys(named))
