"""The exact files of a project, and the shape of its package."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from baking import CLOUDS, files_of
from conftest import Bake

TREES = Path(__file__).parent / "tree"
REWRITE = "pytest tests/test_tree.py --write-tree"
VAGUE = {"base", "helper", "helpers", "manager", "managers", "util", "utils"}
MODULE_LINES, PACKAGE_LINES = 250, 7600


def lines_of(path: Path) -> int:
    """Return the number of lines of a file."""
    return len(path.read_text(encoding="utf-8").splitlines())


def lines_of_code(path: Path) -> int:
    """Return the number of lines of a module that Python runs: no comment, no docstring, no empty line."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node) is not None:
            del node.body[0]
    placed = [node for node in ast.walk(tree) if isinstance(node, (ast.stmt, ast.expr))]
    return len({line for node in placed for line in (node.lineno, node.end_lineno)})


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_project_has_exactly_the_listed_files(cloud: str, bake: Bake, request: pytest.FixtureRequest) -> None:
    """Nothing ships by accident and nothing gets lost: every file is in tests/tree/<cloud>.txt."""
    found = list(files_of(bake(cloud=cloud)))
    listed = TREES / f"{cloud}.txt"
    if request.config.getoption("--write-tree"):
        listed.write_text("\n".join([*found, ""]), encoding="utf-8", newline="\n")
    expected = listed.read_text(encoding="utf-8").splitlines()
    added, lost = sorted(set(found) - set(expected)), sorted(set(expected) - set(found))
    assert (added, lost) == ([], []), f"meant? then run: {REWRITE}"


def test_every_list_belongs_to_a_cloud() -> None:
    """No list of files outlives its cloud."""
    assert sorted(path.stem for path in TREES.iterdir()) == sorted(CLOUDS)


def test_no_folder_is_empty(project: Path) -> None:
    """R7: an empty folder promises something that is not there."""
    folders = [path for path in project.rglob("*") if path.is_dir()]
    assert folders
    assert [path.name for path in folders if not any(path.iterdir())] == []


def test_no_file_has_a_vague_name(template: Path) -> None:
    """R7: a module is named for its promise, here and in the project."""
    names = [path for path in files_of(template) if VAGUE & set(Path(path).stem.split("_"))]
    assert names == []


def test_a_module_is_read_in_one_go(project: Path) -> None:
    """R7: no module of the package is longer than 250 lines."""
    package = project / project.name
    sizes = {path: lines_of(package / path) for path in files_of(package) if path.endswith(".py")}
    assert sizes
    assert {path: size for path, size in sizes.items() if size > MODULE_LINES} == {}


def test_the_package_stays_small(project: Path) -> None:
    """R7: more lines of code than these want something deleted first."""
    modules = list((project / project.name).rglob("*.py"))
    assert modules
    assert 0 < sum(map(lines_of_code, modules)) <= PACKAGE_LINES
