"""Answers: ordinary ones bake, hostile ones survive or are refused, and nothing lies between."""

from __future__ import annotations

import ast
import configparser
import json
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from baking import QUESTIONS, cookiecutter_command, files_of
from conftest import Bake
from cookiecutter.exceptions import FailedHookException  # type: ignore[import-untyped]
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jinja2 import TemplateError

Run = subprocess.CompletedProcess[str]

TEXTS = ("project_name", "description", "author")
REFUSED_TEXTS = {
    "double quote": 'a "b" c',
    "backslash": "a\\nb",
    "opening brace": "a{b",
    "closing brace": "a}b",
    "newline": "a\nb",
    "carriage return": "a\rb",
    "tab": "a\tb",
    "escape": "a\x1bb",
    "delete": "a\x7fb",
    "line separator": "a\u2028b",
    "right-to-left override": "a\u202eb",
    "byte order mark": "a\ufeffb",
    "no character": "a\uffffb",
    "outer space": "a ",
}
REFUSED_SLUGS = {
    "too short": "ab",
    "too long": "a" * 41,
    "capital": "Flights",
    "hyphen": "flight-delays",
    "digit first": "1flight",
    "underscore first": "_flight",
    "underscore last": "flight_",
    "three underscores": "a___1",
    "dot": "a.b.c",
    "slash": "flight/delays",
    "not ascii": "verspätung",
    "keyword": "lambda",
    "soft keyword": "match",
    "standard library": "json",
    "standard library elsewhere": "distutils",
    "test": "test",
    "tests": "tests",
    "library": "sklearn",
    "library in capitals": "fonttools",
    "folder": "infra",
    "folder of results": "reports",
}
SURVIVING = {
    "emoji": "Delays ✈️ 👩‍🔬",
    "apostrophes": "It's the team's 'best'",
    "Cyrillic": "Задержки рейсов",
    "Chinese": "航班　延误预测",
    "Arabic": "تأخر الرحلات",
    "Persian joiner": "پیش‌بینی تأخیر",
    "ampersand": "R&D & more",
    "angle": "<b>late</b> < 15",
    "hash": "# late # not a comment",
    "colon": "a: b",
    "percent": "100 % of %s %(x)s",
    "dollar": "$HOME costs $5",
    "backtick": "`late`",
    "leading hyphen": "- late",
    "outer hyphens": "-late-",
    "outer quotes": "'late'",
    "anchor": "&late *late",
    "at and bang": "!late @late | > ?",
    "yes": "yes",
    "null": "null",
    "number": "1e3",
    "octal": "0o17",
    "date": "2013-01-01",
    "document": "---",
    "long": "late " * 39 + "again",
}


PARSERS: dict[str, Callable[[str], Any]] = {
    ".yaml": lambda text: list(yaml.safe_load_all(text)),
    ".yml": lambda text: list(yaml.safe_load_all(text)),
    ".toml": tomllib.loads,
    ".json": json.loads,
    ".py": ast.parse,
    ".cfg": lambda text: configparser.ConfigParser().read_string(text),
}


def named(cases: dict[str, str]) -> list[Any]:
    """Return a parametrisation over the values of `cases`, each under its name."""
    return [pytest.param(value, id=name.replace(" ", "-")) for name, value in cases.items()]


def broken_files(project: Path) -> list[str]:
    """Return the files of a project that their own format's parser refuses."""
    broken = []
    for path in files_of(project):
        parse = PARSERS.get(Path(path).suffix)
        try:
            if parse:
                parse((project / path).read_text(encoding="utf-8"))
        except (ValueError, SyntaxError, yaml.YAMLError, configparser.Error) as error:
            broken.append(f"{path}: {error}")
    return broken


def assert_good(project: Path, name: str, description: str, author: str) -> None:
    """Check that a project parses and says literally what was answered."""
    assert broken_files(project) == []
    readme = (project / "README.md").read_text(encoding="utf-8")
    assert name in readme
    assert description in readme
    about = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert about["description"] == description
    assert about["authors"] == [{"name": author}]


def assert_refused(run: Run, folder: Path, sentence: str) -> None:
    """Check a refusal: our sentence is first on stderr, the exit code is 1, nothing is left."""
    first = next(iter(run.stderr.splitlines()), "")
    assert first.startswith(sentence), first
    assert first.endswith("."), first
    assert run.returncode == 1
    assert list(files_of(folder / "out")) == []


def test_the_defaults_bake(project: Path) -> None:
    """The first command of the README works: the defaults bake into a folder named by the slug."""
    assert project.name == "flight_delays"
    assert_good(project, QUESTIONS["project_name"], QUESTIONS["description"], QUESTIONS["author"])


def test_every_question_is_asked_in_words() -> None:
    """Every answer has a prompt, and every choice is explained."""
    asked = {name for name in QUESTIONS if not name.startswith("_")}
    prompts = QUESTIONS["__prompts__"]
    assert set(prompts) == asked
    assert set(prompts["cloud"]) == {"__prompt__", *QUESTIONS["cloud"]}


@pytest.mark.parametrize("answer", TEXTS)
@pytest.mark.parametrize("text", named(REFUSED_TEXTS))
def test_a_breaking_text_is_refused(answer: str, text: str, template: Path, tmp_path: Path) -> None:
    """R5: quotes, backslashes, braces and unprintable characters are refused in every text."""
    run = cookiecutter_command(template, tmp_path, "--no-input", f"{answer}={text}")
    assert_refused(run, tmp_path, f"{answer} ")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("name", ["", "   "], ids=["empty", "spaces"])
def test_an_empty_name_is_refused(name: str, template: Path, tmp_path: Path) -> None:
    """R5: a project has a name."""
    run = cookiecutter_command(template, tmp_path, "--no-input", f"project_name={name}")
    assert_refused(run, tmp_path, "project_name is empty: give")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("slug", named(REFUSED_SLUGS))
def test_a_bad_slug_is_refused(slug: str, template: Path, tmp_path: Path) -> None:
    """R5: a slug is a package name, and not the name of anything the project needs."""
    run = cookiecutter_command(template, tmp_path, "--no-input", f"project_slug={slug}")
    assert_refused(run, tmp_path, f"project_slug is {slug!r}, ")
    assert not (tmp_path / "out" / slug).exists()


@pytest.mark.parametrize("slug", ["lag", "a__1", "a" * 40], ids=["shortest", "digit", "longest"])
def test_the_limits_of_a_slug_bake(slug: str, bake: Bake) -> None:
    """R5: what is refused begins exactly behind the limits."""
    assert (bake(project_slug=slug) / slug / "__init__.py").is_file()


def test_an_unknown_cloud_is_refused(template: Path, tmp_path: Path) -> None:
    """R5: Cookiecutter itself refuses a word that is not in its list; no folder is left."""
    run = cookiecutter_command(template, tmp_path, "--no-input", "cloud=mars")
    assert run.returncode == 1
    assert "mars provided for choice variable cloud" in run.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_a_replayed_cloud_is_refused(template: Path, tmp_path: Path) -> None:
    """R5: a replay file goes round Cookiecutter's own check, so the hook has one as well."""
    answers = {"project_name": "A", "project_slug": "trains", "description": "B", "author": "C"}
    answers |= {"cloud": "mars", "_copy_without_render": QUESTIONS["_copy_without_render"]}
    replay = tmp_path / "answers.json"
    replay.write_text(json.dumps({"cookiecutter": answers}), encoding="utf-8")
    run = cookiecutter_command(template, tmp_path, "--replay-file", str(replay))
    assert_refused(run, tmp_path, "cloud is 'mars', which is unknown: choose")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("answer", TEXTS)
@pytest.mark.parametrize("text", named(SURVIVING))
def test_a_hostile_text_survives(answer: str, text: str, bake: Bake) -> None:
    """R5: any alphabet and any other punctuation bakes, parses and appears as it was written."""
    answers = {name: QUESTIONS[name] for name in TEXTS} | {answer: text}
    assert_good(bake(project_slug="trains", **answers), *answers.values())


@pytest.mark.parametrize("text", named(SURVIVING))
def test_a_hostile_text_survives_being_typed(text: str, template: Path, tmp_path: Path) -> None:
    """R5: what is typed at the prompts arrives as it was typed."""
    typed = "\n".join([text, "trains", text, text, "1", ""])
    run = cookiecutter_command(template, tmp_path, typed=typed)
    assert run.returncode == 0
    assert_good(tmp_path / "out" / "trains", text, text, text)


@pytest.mark.parametrize("text", ["{{ 7*7 }}", '"', "a\\b"], ids=["braces", "quote", "backslash"])
@pytest.mark.parametrize("place", [0, 2, 3], ids=TEXTS)
def test_a_breaking_text_is_refused_when_typed(place: int, text: str, template: Path, tmp_path: Path) -> None:
    """R5: braces typed at a prompt arrive in the hook as they are, and are refused."""
    answers = ["Name", "trains", "About", "Team", "1", ""]
    answers[place] = text
    run = cookiecutter_command(template, tmp_path, typed="\n".join(answers))
    assert_refused(run, tmp_path, f"{list(QUESTIONS)[place]} contains ")


@pytest.mark.parametrize("answer", TEXTS)
def test_braces_given_without_prompts_leave_nothing(answer: str, template: Path, tmp_path: Path) -> None:
    """R5: Cookiecutter renders them before any hook; the project is clean of them."""
    arguments = ["--no-input", "project_slug=trains", f"{answer}=a {{{{ 7*7 }}}} b"]
    run = cookiecutter_command(template, tmp_path, *arguments)
    assert run.returncode == 0
    given = {name: QUESTIONS[name] for name in TEXTS} | {answer: "a 49 b"}
    assert_good(tmp_path / "out" / "trains", *given.values())


@pytest.mark.parametrize("text", ["{{", "{% raw %}{{ x }}{% endraw %}"], ids=["unclosed", "raw"])
def test_braces_that_do_not_render_leave_no_project(text: str, template: Path, tmp_path: Path) -> None:
    """R5: broken or escaped braces end in an error and no project folder."""
    run = cookiecutter_command(template, tmp_path, "--no-input", f"description={text}")
    assert run.returncode != 0
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Flight Delays", "flight_delays"),
        ("Bob's  R&D -- team_2", "bob_s_r_d_team_2"),
        ("Задержки рейсов", "zaderzhki_reisov"),
        ("航班延误", "hang_ban_yan_wu"),
        ("✈️🌍", "my_project"),
        ("b" * 200, "b" * 40),
    ],
)
def test_the_slug_comes_from_the_name(name: str, slug: str, bake: Bake) -> None:
    """A name in any alphabet has a slug of its own: lower case, the rest as single underscores."""
    assert bake(project_name=name).name == slug


def is_harmless(text: str) -> bool:
    """Say whether nothing in a text is a reason to refuse it."""
    return text.isprintable() and text == text.strip() and not set(text) & set('"\\{}')


texts = st.text(min_size=1, max_size=40) | st.text("-_:#'&*!%@`$<>|,[]?=~ .0aé", max_size=20)


@settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(name=texts, description=texts, author=texts)
def test_any_text_is_refused_or_bakes_well(
    name: str, description: str, author: str, bake: Bake, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """R5: there is no third way: a project that parses, or no project folder and a reason."""
    folder = tmp_path_factory.mktemp("any")
    answers = {"project_name": name, "description": description, "author": author}
    try:
        project = bake(folder=folder, project_slug="trains", **answers)
    except (FailedHookException, TemplateError):
        assert list(folder.iterdir()) == []
        assert not (name and all(map(is_harmless, answers.values())))
    else:
        assert_good(project, name, description, author)
