"""What the tests share: the template as git would hold it, and the commands that bake it."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PROJECT = "{{cookiecutter.project_slug}}"
QUESTIONS: dict[str, Any] = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
CLOUDS: list[str] = QUESTIONS["cloud"]
EXPRESSION = re.compile(r"\{\{.*?\}\}", re.DOTALL)
CONTRACT = {"README.md", "deploy.py", "dvc.config", "login/action.yml"}  # what every infra/<cloud> has
VERBATIM: list[str] = QUESTIONS["_copy_without_render"]


def environment(home: Path) -> dict[str, str]:
    """Return this environment with another home, so that no setting of the user takes part."""
    names = {"COOKIECUTTER_CONFIG", "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "XDG_CONFIG_HOME"}
    kept = {name: value for name, value in os.environ.items() if name not in names}
    person = {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org"}
    person |= {"GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.org"}
    alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    return kept | person | alone | {"HOME": str(home), "PYTHONUTF8": "1", "TERM": "dumb"}


def git(*arguments: str, cwd: Path, home: Path) -> bytes:
    """Run git without the user's settings and return what it printed."""
    return subprocess.run(
        ["git", *arguments], cwd=cwd, env=environment(home), check=True, stdout=subprocess.PIPE
    ).stdout


def commit(folder: Path, home: Path, message: str = "change") -> None:
    """Commit everything that git does not ignore, in a repository that is made when there is none."""
    if not (folder / ".git").exists():
        git("init", "--quiet", cwd=folder, home=home)
    git("add", "--all", cwd=folder, home=home)
    git("commit", "--quiet", "--message", message, cwd=folder, home=home)


def export(folder: Path) -> Path:
    """Return the template below `folder`, as a commit of the working tree would hold it.

    Changes and new files count, ignored ones do not, and the repository itself is not written to:
    a second git directory looks at the same files.
    """
    template = folder / "template"
    template.mkdir()
    aside = (f"--git-dir={folder / 'aside.git'}", f"--work-tree={ROOT}")
    git(*aside, "init", "--quiet", cwd=ROOT, home=folder)
    git(*aside, "add", "--all", cwd=ROOT, home=folder)
    tree = git(*aside, "write-tree", cwd=ROOT, home=folder).decode().strip()
    archive = folder / "template.tar"
    git(*aside, "archive", f"--output={archive}", tree, cwd=ROOT, home=folder)
    with tarfile.open(archive) as tar:
        tar.extractall(template, filter="data")
    return template


def settings(folder: Path) -> Path:
    """Write Cookiecutter settings that keep its own files below `folder`; return their path."""
    path = folder / "cookiecutter.yaml"
    lines = [f'{name}_dir: "{folder.as_posix()}/{name}"' for name in ("cookiecutters", "replay")]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def cookiecutter_command(
    template: Path, folder: Path, *arguments: str, typed: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the real command in `folder`, where the project appears below `out`."""
    (folder / "out").mkdir()
    command = [sys.executable, "-m", "cookiecutter", str(template), "-o", "out"]
    return subprocess.run(
        [*command, "--config-file", str(settings(folder)), *arguments],
        check=False,
        cwd=folder,
        env=environment(folder),
        input=typed,
        capture_output=True,
        encoding="utf-8",
    )


def files_of(folder: Path) -> Iterator[str]:
    """Yield the files below a folder: relative paths with slashes, sorted."""
    yield from sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def is_verbatim(path: str) -> bool:
    """Say whether Cookiecutter copies a file without rendering it.

    It asks for the file and for each folder above it, and `*` crosses slashes.
    """
    above = Path(path).parents
    candidates = [path, *(folder.as_posix() for folder in above if folder != Path())]
    return any(fnmatch.fnmatch(name, pattern) for name in candidates for pattern in VERBATIM)
