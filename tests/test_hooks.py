"""The hooks: what they may do (R2, R3) and the names they keep from being taken (R5)."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from baking import CLOUDS, CONTRACT, EXPRESSION, PROJECT, ROOT, files_of
from conftest import Bake
from cookiecutter.exceptions import FailedHookException  # type: ignore[import-untyped]
from cookiecutter.hooks import run_hook_from_repo_dir  # type: ignore[import-untyped]

HOOKS = sorted((ROOT / "hooks").glob("*.py"))
MODULES = {"__future__", "json", "keyword", "pathlib", "re", "shutil", "sys", "typing"}
MODULES |= {"unicodedata"}

# What a hook would need to run a program, ask a question or write a file.
REACHING_OUT = {"__import__", "compile", "eval", "exec", "getattr", "input", "modules", "open"}
REACHING_OUT |= {"popen", "run", "stdin", "system", "write_bytes", "write_text"}

# Libraries that the lock installs on other systems only.
ELSEWHERE = {"isapi", "pythoncom", "pythonwin", "pywintypes", "waitress"}
ELSEWHERE |= {"win32", "win32com", "win32comext"}


def load_hook(name: str) -> ModuleType:
    """Return a hook as a module, with no answer rendered into it."""
    source = (ROOT / "hooks" / f"{name}.py").read_text(encoding="utf-8")
    module = ModuleType(name)
    exec(EXPRESSION.sub("{}", source), module.__dict__)
    return module


def test_both_hooks_know_every_cloud() -> None:
    """R2: both hooks name the same clouds, and every answer is one of them."""
    pre, post = load_hook("pre_gen_project"), load_hook("post_gen_project")
    assert pre.CLOUDS == post.CLOUDS
    assert set(CLOUDS) <= set(pre.CLOUDS)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_chosen_folder_becomes_infra(cloud: str, bake: Bake) -> None:
    """R2: the contract's files are in infra/ itself, and no folder of a cloud is left."""
    infra = bake(cloud=cloud) / "infra"
    assert set(files_of(infra)) >= CONTRACT
    assert [name for name in load_hook("post_gen_project").CLOUDS if (infra / name).exists()] == []


def test_a_cloud_without_a_folder_is_refused(template: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """R2: a replayed answer this version of the template has no folder for ends in a sentence."""
    (tmp_path / "infra" / "local").mkdir(parents=True)
    context = {"cookiecutter": {"cloud": "azure"}}
    with pytest.raises(FailedHookException):
        run_hook_from_repo_dir(str(template), "post_gen_project", tmp_path, context, False)
    assert capfd.readouterr().err.startswith("cloud is 'azure', which has no infra folder: choose")
    assert (tmp_path / "infra" / "local").is_dir()


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.stem)
def test_hooks_only_refuse_move_and_delete(hook: Path) -> None:
    """R3: no hook imports or calls what reaches git, the network, a program or a person."""
    imported, used = set(), set()
    for node in ast.walk(ast.parse(hook.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or ".")
        elif isinstance(node, ast.Name):
            used.add(node.id)
        elif isinstance(node, ast.Attribute):
            used.add(node.attr)
    assert imported - MODULES == set()
    assert used & REACHING_OUT == set()


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.stem)
def test_hooks_hold_one_expression(hook: Path) -> None:
    """R3: a hook is rendered before it runs; anything else that looks like Jinja would break it."""
    text = hook.read_text(encoding="utf-8")
    assert EXPRESSION.findall(text) == ["{{cookiecutter | tojson}}"]
    assert "json.loads(r'{{cookiecutter | tojson}}')" in text, "single quotes: tojson escapes those"
    assert not re.search(r"\{%|\{#", text)


def test_post_gen_runs_twice_and_spares_other_files(template: Path, bake: Bake) -> None:
    """R3: run again on its own result the hook changes nothing, a user's own file included."""
    project = bake()
    (project / "infra" / "our_network.md").write_text("ours", encoding="utf-8")
    before = {path: (project / path).read_bytes() for path in files_of(project)}
    context = {"cookiecutter": {"cloud": "local"}}
    run_hook_from_repo_dir(str(template), "post_gen_project", project, context, False)
    assert {path: (project / path).read_bytes() for path in files_of(project)} == before


def test_baking_over_a_project_spares_other_files(bake: Bake) -> None:
    """R3: the hook lifts into an infra/ that has files of the user's own, and leaves them."""
    project = bake()
    before = set(files_of(project))
    (project / "infra" / "our_network.md").write_text("ours", encoding="utf-8")
    bake(folder=project.parent, again=True)
    assert set(files_of(project)) == before | {"infra/our_network.md"}


@pytest.fixture(scope="session")
def locked(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Return the top-level modules of an environment made from the project's lock."""
    home = tmp_path_factory.mktemp("locked")
    lock = ROOT / PROJECT / "requirements.lock"
    install = ["uv", "pip", "install", "--quiet", "--require-hashes", "--target", "site"]
    subprocess.run(
        [sys.executable, "-m", *install, "--python", sys.executable, "-r", str(lock)],
        cwd=home,
        check=True,
    )
    files = [
        file
        for distribution in importlib.metadata.distributions(path=[str(home / "site")])
        for file in distribution.files or []
    ]
    modules = [file for file in files if file.suffix in {".py", ".pyd", ".so"}]
    return {file.parts[0].split(".")[0].lower() for file in modules} - {"bin"}


def test_reserved_slugs_are_the_locked_modules(locked: set[str]) -> None:
    """R5: no project has the name of a library it installs."""
    hook = load_hook("pre_gen_project")
    listed = set(hook.LOCKED.split())
    possible = {name for name in locked if re.fullmatch(hook.SLUG, name)}
    assert possible
    assert (sorted(possible - listed), sorted(listed - possible - ELSEWHERE)) == ([], [])


def test_reserved_slugs_are_the_projects_folders(project: Path) -> None:
    """R5: no package has the name of something at the top of the project, now or after a run."""
    shipped = {path.stem for path in project.iterdir() if path.is_dir() or path.suffix == ".py"}
    pipeline = (project / "dvc.yaml").read_text(encoding="utf-8")
    written = set(re.findall(r"^\s+- ([a-z]+)/", pipeline, re.MULTILINE))
    names = {name for name in shipped | written if not name.startswith(".")} - {project.name}
    assert written
    assert names - set(load_hook("pre_gen_project").taken()) == set()
