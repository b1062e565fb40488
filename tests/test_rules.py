"""The rules of the template: what Cookiecutter may touch (R1) and what a choice is (R2, R4, R7)."""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path

import pytest
from baking import CLOUDS, CONTRACT, EXPRESSION, PROJECT, QUESTIONS, VERBATIM, files_of, is_verbatim
from conftest import Bake
from running import SLUG

PLAIN = re.compile(r"\{\{ ?cookiecutter\.[a-z_]+ ?\}\}")

CONDITIONS = 3

# R1 by kind of file, whatever _copy_without_render says.
COPIED = [
    *(f"{PROJECT}/", ".github/", "monitoring/"),
    *(".tf", ".hcl", ".sql", ".lock", ".parquet", "/action.yml", "/deploy.py"),
]
# Patterns that wait for the first file they are for; a waiting pattern that matches is red.
WAITING: set[str] = set()


def verbatim_files(template: Path) -> list[str]:
    """Return the files of the template that are copied without rendering."""
    return [path for path in files_of(template / PROJECT) if is_verbatim(path)]


def rendered_files(template: Path) -> dict[str, str]:
    """Return the text of the files that Cookiecutter renders, by path."""
    folder = template / PROJECT
    paths = [path for path in files_of(folder) if not is_verbatim(path)]
    return {path: (folder / path).read_text(encoding="utf-8") for path in paths}


def in_project(path: str, cloud: str) -> str:
    """Return where a file of the template ends up in a project."""
    return path.replace(PROJECT, SLUG).replace(f"infra/{cloud}/", "infra/")


def of_another_cloud(path: str, cloud: str) -> bool:
    """Say whether a file goes because another cloud was chosen."""
    return path.startswith("infra/") and path.split("/")[1] in set(CLOUDS) - {cloud}


@pytest.mark.parametrize("cloud", CLOUDS)
def test_verbatim_files_are_copied_byte_for_byte(cloud: str, template: Path, bake: Bake) -> None:
    """R1: bytes in the template are bytes in the project."""
    project = bake(cloud=cloud)
    expected = [path for path in verbatim_files(template) if not of_another_cloud(path, cloud)]
    changed = [
        path
        for path in expected
        if (template / PROJECT / path).read_bytes() != (project / in_project(path, cloud)).read_bytes()
    ]
    assert expected
    assert changed == []


def test_code_and_data_are_verbatim(template: Path) -> None:
    """R1: package, workflows, actions, Terraform, alert rules, locks and data are not rendered."""
    copied = [
        path
        for path in files_of(template / PROJECT)
        if any(path.startswith(kind) or f"/{path}".endswith(kind) for kind in COPIED)
    ]
    assert copied
    assert [path for path in copied if not is_verbatim(path)] == []


@pytest.mark.parametrize("pattern", VERBATIM)
def test_every_verbatim_pattern_is_used(pattern: str, template: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """R1: a pattern that matches no file protects nothing, unless it is known to wait."""
    monkeypatch.setattr("baking.VERBATIM", [pattern])
    assert bool(verbatim_files(template)) == (pattern not in WAITING)


def test_files_are_rendered_with_answers_only(template: Path) -> None:
    """R1: outside verbatim files, a template expression is one answer and nothing else."""
    texts = rendered_files(template)
    found = [(path, one) for path, text in texts.items() for one in EXPRESSION.findall(text)]
    assert found
    assert [one for one in found if not PLAIN.fullmatch(one[1])] == []


def test_conditions_are_rare(template: Path) -> None:
    """R1: at most three conditions in the whole template, and no other tag and no comment."""
    texts = rendered_files(template)
    named = "\n".join(files_of(template / PROJECT))
    tags = re.findall(r"\{%[-+]?\s*(\w+)", "\n".join([*texts.values(), named]))
    assert set(tags) <= {"if", "elif", "else", "endif"}
    assert tags.count("if") <= CONDITIONS
    assert [path for path, text in texts.items() if "{#" in text] == []


def test_python_uses_answers_in_strings_and_imports_only(template: Path) -> None:
    """R1: rendered Python has answers in strings, comments and import lines, nowhere else."""
    elsewhere = []
    for path, text in rendered_files(template).items():
        if path.endswith(".py"):
            source = EXPRESSION.sub("ANSWER", text)
            for token in tokenize.generate_tokens(io.StringIO(source).readline):
                named = token.type == tokenize.NAME and "ANSWER" in token.string
                if named and not re.match(r"\s*(import|from)\b", token.line):
                    elsewhere.append(f"{path}:{token.start[0]}")
    assert elsewhere == []


def test_every_cloud_is_one_folder_with_the_same_files(template: Path) -> None:
    """R2: the answers are the folders, and each has every file of the contract."""
    infra = template / PROJECT / "infra"
    assert sorted(path.name for path in infra.iterdir()) == sorted(CLOUDS)
    lacking = {cloud: sorted(CONTRACT - set(files_of(infra / cloud))) for cloud in CLOUDS}
    assert lacking == {cloud: [] for cloud in CLOUDS}


def test_nothing_asks_for_the_cloud_at_run_time(template: Path) -> None:
    """R7: the choice was paid in the template; package and workflows do not ask again."""
    asking = re.compile(r"\b(if|elif|case|match)\b.*\bcloud\b|\bcloud\b\s*(==|!=| in )", re.I)
    folder = template / PROJECT
    texts = [path for path in files_of(folder) if path.startswith((f"{PROJECT}/", ".github/"))]
    assert texts
    assert [path for path in texts if asking.search((folder / path).read_text("utf-8"))] == []


def test_a_choice_changes_whole_files_only(template: Path) -> None:
    """R4: the one choice is `cloud`, whose every value has its own tree; no file asks for it by name."""
    choices = [name for name, answer in QUESTIONS.items() if isinstance(answer, list) and name[0] != "_"]
    texts = rendered_files(template)
    assert choices == ["cloud"]
    assert [path for path, text in texts.items() if re.search(r"cookiecutter\.cloud\b", text)] == []
