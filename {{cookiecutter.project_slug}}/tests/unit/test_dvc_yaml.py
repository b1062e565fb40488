"""dvc.yaml names what each stage really depends on, and the package imports downwards only."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
import yaml

from {{ cookiecutter.project_slug }} import __main__ as command
from {{ cookiecutter.project_slug }}.gates import verdict

PACKAGE = command.PACKAGE
ROOT = PACKAGE.parent
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
#: The journal: `train` calls it when all is written, and goes on whatever it does, so that no result depends on it.
JOURNAL = {"registry.journal"}
#: Who may import whom: a layer imports its own rank (within itself) or a lower one.
RANKS = {"__main__": 9, "loop": 8, "serving": 4, "report": 5, "monitoring": 5, "stages": 3, "gates": 2, "registry": 2}


def source(module: str) -> Path:
    """The file of a module, by its name inside the package."""
    path = PACKAGE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def imports(module: str) -> frozenset[str]:
    """Modules of the package that `module` imports, inside functions too, but not for type checkers."""
    tree = ast.parse(source(module).read_text(encoding="utf-8"))
    typing = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    skipped = {id(inner) for node in typing for inner in ast.walk(node)}
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level and id(node) not in skipped:
            base = [*module.split("."), ""][: -node.level - 1] + (node.module or "").split(".")
            start = ".".join(filter(None, base))
            names = [".".join(filter(None, [start, alias.name])) for alias in node.names]
            found |= {name if source(name).is_file() else start for name in names}
    return frozenset(found - {""})


def closure(module: str) -> set[str]:
    """`module` and all that it imports, directly or not, short of the journal."""
    seen: set[str] = set()
    waiting = {module}
    while waiting:
        seen |= waiting
        waiting = {name for one in waiting for name in imports(one)} - seen - JOURNAL
    return seen


def of_the_package(file: Path) -> set[Path]:
    """Files of the package that a test at `file` runs with, directly or not."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == PACKAGE.name:
            start = (node.module or "").partition(".")[2]
            names = [".".join(filter(None, [start, alias.name])) for alias in node.names]
            found |= {name if source(name).is_file() else start for name in names}
    return {source(one) for name in found - {""} for one in closure(name)}


MODULES = sorted(
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    for path in PACKAGE.rglob("*.py")
    if path.name != "__init__.py"
)


def test_every_stage_of_the_command_line_is_in_the_pipeline_in_order():
    assert list(STAGES) == list(command.STAGES)
    for name, stage in STAGES.items():
        assert stage["cmd"] == f"python -m {PACKAGE.name} {name}"


@pytest.mark.parametrize("name", list(STAGES))
def test_deps_cover_every_module_the_stage_imports(name):
    deps = [Path(dep) for dep in STAGES[name]["deps"]]
    used = {source(module).relative_to(ROOT) for module in closure(f"stages.{name}")}
    missing = {path for path in used if not any(path.is_relative_to(dep) for dep in deps)}
    assert not missing


@pytest.mark.parametrize("name", ["pretrain", "posttrain"])
def test_deps_cover_every_module_the_gates_import(name):
    """The tests run in a process of the stage's own, which imports what they name."""
    deps = [Path(dep) for dep in STAGES[name]["deps"]]
    used = {path.relative_to(ROOT) for file in (ROOT / "tests" / name).glob("*.py") for path in of_the_package(file)}
    assert used
    assert not {path for path in used if not any(path.is_relative_to(dep) for dep in deps)}


@pytest.mark.parametrize("name", list(STAGES))
def test_params_are_those_a_verdict_hashes(name):
    assert tuple(STAGES[name]["params"]) == verdict.STAGE_PARAMS[name]


@pytest.mark.parametrize("name", list(STAGES))
def test_outputs_are_named_without_time_or_host(name):
    stage = STAGES[name]
    outs = [next(iter(o)) if isinstance(o, dict) else o for o in [*stage.get("outs", []), *stage.get("metrics", [])]]
    assert outs
    assert all(re.fullmatch(r"(data|model|reports)/[a-z/_.]+", out) for out in outs)


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down_only(module):
    top = module.partition(".")[0]
    for name in imports(module):
        theirs = name.partition(".")[0]
        beside = theirs == top or {theirs, top} == {"gates", "registry"}
        assert beside or RANKS.get(theirs, 1) < RANKS.get(top, 1) or not {theirs, top} & set(RANKS), name
