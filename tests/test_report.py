"""The report page in a real browser: nothing leaves it, the verdict first, on a phone and a desk, light and dark."""

from __future__ import annotations

import json
import runpy
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import DESKTOP, FAINT, PHONE, READABLE, asked, browser, colour, complaints, script, show
from running import SLUG, command, copy_of, digest, one_line, run, works
from selenium import webdriver

HOSTILE = '<script>window.harmed=1</script><img src=x onerror="window.harmed=1">'
SECTIONS = [
    "gates",
    "metrics",
    "rivals",
    "slices",
    "quality",
    "importance",
    "data",
    "change",
    "drift",
    "loop",
    "origin",
]
WAYS = [(width, scheme) for width in (PHONE, DESKTOP) for scheme in ("light", "dark")]


@pytest.fixture(scope="module")
def reporting(started: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with its first champion, and with reports of promotion, monitor and loop that were made up."""
    project = copy_of(started, tmp_path_factory.mktemp("reporting"))
    made = runpy.run_path(str(project / "tests/unit/reported.py"))
    reports = {"promotion": made["promotion"](digest(project)), "monitor": made["monitor"](), "loop": made["loop"]()}
    for name, report in reports.items():
        (project / f"reports/{name}.json").write_text(json.dumps(report), encoding="utf-8")
    return project


@pytest.fixture(scope="module")
def page(reporting: Path) -> Path:
    """Return the page of a project whose gates are open."""
    works(command(reporting, "report"))
    return reporting / "reports/report.html"


@pytest.fixture(scope="module")
def red(reporting: Path, page: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of the same project once a slice with a hostile name closed its gate."""
    project = copy_of(reporting, tmp_path_factory.mktemp("red"), "report.html")
    path = project / "reports/posttrain.json"
    report = json.loads(path.read_text(encoding="utf-8"))
    gate = next(gate for gate in report["gates"] if gate["gate"] == "slices")
    gate["cases"][0] |= {
        "case": f"carrier={HOSTILE}",
        "verdict": "fail",
        "reason": f"carrier={HOSTILE} is served worse",
    }
    gate["verdict"] = report["verdict"] = "fail"
    path.write_text(json.dumps(report), encoding="utf-8")
    works(command(project, "report"))
    return project / "reports/report.html"


@pytest.fixture(scope="module")
def driver() -> Iterator[webdriver.Chrome]:
    """Give a browser for all tests."""
    with browser() as one:
        yield one


@pytest.mark.parametrize(("width", "scheme"), WAYS)
def test_the_page_needs_nothing_but_itself(width: int, scheme: str, page: Path, driver: webdriver.Chrome) -> None:
    """With the network off it asks for itself alone, and the console stays empty."""
    asked(driver), complaints(driver)
    show(driver, page, width, scheme)
    assert {url for url in asked(driver) if not url.startswith("data:")} == {page.as_uri()}
    assert complaints(driver) == []
    assert script(driver, "performance.getEntriesByType('resource').length") == 0
    assert script(driver, "document.scripts.length") == 0


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_the_verdict_is_the_first_thing_seen(width: int, page: Path, driver: webdriver.Chrome) -> None:
    """It follows the title, without scrolling, and then come all parts."""
    show(driver, page, width, "light")
    assert script(driver, "document.querySelector('h1').nextElementSibling.id") == "verdict"
    said = script(driver, "document.querySelector('#verdict').textContent")
    assert said == "All 18 gates passed; the challenger was refused (superior); the monitor says retrain."
    assert script(driver, "document.querySelector('#verdict').getBoundingClientRect().bottom < innerHeight / 2")
    assert script(driver, "[...document.querySelectorAll('section')].map((one) => one.id)") == SECTIONS
    assert "not run" not in script(driver, "document.body.innerText")
    links = script(driver, "[...document.querySelectorAll('nav a')].map((one) => one.getAttribute('href'))")
    assert links == [f"#{name}" for name in SECTIONS]


@pytest.mark.parametrize(("width", "scheme"), WAYS)
def test_nothing_scrolls_sideways_but_tables_in_their_frames(width: int, scheme: str, page: Path, red: Path,
                                                             driver: webdriver.Chrome) -> None:  # fmt: skip
    """The page is as wide as the window; on a phone its widest tables scroll where they are."""
    for one in (page, red):
        show(driver, one, width, scheme)
        assert script(driver, "document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        frames = (
            "[...document.querySelectorAll('.scroll')].filter((one) => one.scrollWidth > one.clientWidth + 1).length"
        )
        assert (script(driver, frames) > 3) == (width == PHONE)
        wide = (
            "[...document.querySelectorAll('figure')].filter((one) => one.getBoundingClientRect().right > innerWidth)"
        )
        assert script(driver, f"{wide}.length") == 0


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_light_and_dark_differ_and_both_can_be_read(
    width: int, page: Path, red: Path, driver: webdriver.Chrome
) -> None:
    """Grounds differ, and each text stands out from what lies behind it, in pictures too."""
    grounds = []
    for scheme in ("light", "dark"):
        for one in (page, red):
            show(driver, one, width, scheme)
            ratios: list[tuple[float, str]] = driver.execute_script(FAINT)
            assert len(ratios) > 500
            assert [pair for pair in ratios if pair[0] < READABLE] == []
        grounds.append(sum(colour(driver, "body", "backgroundColor")))
    assert grounds[0] > 600
    assert grounds[1] < 150


def test_every_picture_and_table_says_what_it_is(page: Path, driver: webdriver.Chrome) -> None:
    """Pictures have a label and marks, tables a caption and heads with a scope."""
    show(driver, page, DESKTOP, "light")
    labels: list[str | None] = script(
        driver, "[...document.querySelectorAll('svg')].map((one) => one.getAttribute('aria-label'))"
    )
    assert len(labels) == 12
    assert all(len(label or "") > 20 for label in labels)
    drawn = "[...document.querySelectorAll('svg')].map((one) => one.querySelectorAll('path, use').length)"
    assert all(count > 5 for count in script(driver, drawn))
    marks = "[...document.querySelectorAll('svg use')]"
    assert script(driver, f"{marks}.length") > 100
    lost = f"{marks}.filter((one) => !document.querySelector(one.getAttribute('href')))"
    assert script(driver, f"{lost}.length") == 0
    tables = "[...document.querySelectorAll('table')]"
    assert script(driver, f"{tables}.length") == script(driver, f"{tables}.filter((one) => one.caption).length") > 8
    assert script(driver, "document.querySelectorAll('th:not([scope])').length") == 0
    assert script(driver, "document.querySelectorAll('figure:not(:has(figcaption))').length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_closed_gate_makes_the_verdict_red(scheme: str, page: Path, red: Path, driver: webdriver.Chrome) -> None:
    """Red stands out in both schemes, in words and in colour."""
    show(driver, page, DESKTOP, scheme)
    before = colour(driver, "#gates h2", "color"), colour(driver, "#verdict", "color")
    assert before[0] == before[1]
    show(driver, red, DESKTOP, scheme)
    assert "1 of 18 gates closed: slices" in script(driver, "document.querySelector('#verdict').textContent")
    strong, green, blue = colour(driver, "#verdict", "color")
    assert strong > 1.5 * max(green, blue)
    assert colour(driver, "#verdict", "borderLeftColor") == [strong, green, blue]


def test_a_hostile_category_stays_text(red: Path, driver: webdriver.Chrome) -> None:
    """Markup in the data is shown as it is, in tables and in pictures, and runs nowhere."""
    show(driver, red, DESKTOP, "light")
    assert script(driver, "document.scripts.length + document.images.length") == 0
    assert script(driver, "typeof window.harmed") == "undefined"
    assert f"carrier={HOSTILE}" in script(driver, "document.querySelector('#slices').textContent")
    texts: list[str] = script(
        driver, "[...document.querySelectorAll('#slices svg text')].map((one) => one.textContent)"
    )
    assert "carrier=<script>windo…" in texts


def test_the_same_files_give_the_same_page_and_card_in_another_process(reporting: Path, page: Path) -> None:
    """Written again, not one byte differs, and the project's own hooks change nothing of the card."""
    paths = (page, reporting / "docs/model_card.md")
    before = [path.read_bytes() for path in paths]
    page.unlink()
    works(command(reporting, "report"))
    assert [path.read_bytes() for path in paths] == before
    for hook in ("end-of-file-fixer", "trailing-whitespace-fixer"):
        works(run(reporting, hook, "docs/model_card.md"))
    assert [path.read_bytes() for path in paths] == before


def test_a_promotion_to_production_asks_for_the_card(copy: Path) -> None:
    """Blank it is refused by name, without the run it is refused, written and filled it passes; nobody else asks."""

    def decided() -> dict[str, Any]:
        found: dict[str, Any] = json.loads((copy / "reports/promotion.json").read_text(encoding="utf-8"))
        return found

    card = copy / "docs/model_card.md"
    assert command(copy, "promote", "--production").returncode == 3
    assert (decided()["decision"], decided()["gates"]) == ("refused", ["card"])
    assert "not written: Model details, Intended use" in decided()["reason"]
    works(command(copy, "promote"))
    paragraphs = card.read_text(encoding="utf-8").split("\n\n")
    answered = ["An answer." if part.startswith("**To be written:**") else part for part in paragraphs]
    card.write_text("\n\n".join([*answered[:-1], answered[-1].rstrip() + "\n"]), encoding="utf-8")
    assert command(copy, "promote", "--production").returncode == 3
    assert "is not of model" in decided()["reason"]
    works(command(copy, "report"))
    assert works(command(copy, "promote", "--production")).startswith("unchanged")


def test_a_damaged_report_is_one_line(reporting: Path, tmp_path: Path) -> None:
    """The page that was there stays, and the line says what to run."""
    project = copy_of(reporting, tmp_path)
    shutil.copy(project / "reports/loop.json", project / "reports/monitor.json")
    assert f"reports/monitor.json is damaged (KeyError: 'windows'): run `python -m {SLUG} monitor`" in one_line(
        command(project, "report")
    )
