"""Updates: what a team changed in its project lives through a newer template."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from baking import PROJECT, commit, environment, git, settings
from running import SLUG

MINE = "\nAsk us in room 4.\n"
THEIRS = "\nThe template added this line.\n"


def cruft(*arguments: str, cwd: Path, home: Path) -> subprocess.CompletedProcess[str]:
    """Run the real cruft without the user's settings."""
    return subprocess.run(
        [sys.executable, "-m", "cruft", *arguments],
        check=False,
        cwd=cwd,
        env=environment(home) | {"COOKIECUTTER_CONFIG": str(settings(home))},
        capture_output=True,
        encoding="utf-8",
    )


def add_line(path: Path, line: str) -> None:
    """Append a line to a text file."""
    path.write_text(path.read_text(encoding="utf-8") + line, encoding="utf-8")


def add_first_line(path: Path, line: str) -> None:
    """Put a line at the top of a text file."""
    path.write_text(line + path.read_text(encoding="utf-8"), encoding="utf-8")


@pytest.fixture(scope="module")
def updated(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project after: bake, the team's edits, a newer template, `cruft update`."""
    home = tmp_path_factory.mktemp("update")
    upstream, project = home / "upstream", home / SLUG
    shutil.copytree(template, upstream)
    commit(upstream, home)
    created = cruft("create", str(upstream), "--no-input", cwd=home, home=home)
    assert created.returncode == 0
    edit_as_a_team(project)
    commit(project, home)
    add_line(upstream / PROJECT / "docs" / "runbook.md", THEIRS)
    add_line(upstream / PROJECT / "infra" / "local" / "README.md", THEIRS)
    add_first_line(upstream / PROJECT / "README.md", "<!-- The template's own first line. -->\n")
    add_line(upstream / PROJECT / PROJECT / "errors.py", "# A comment of the template's.\n")
    commit(upstream, home)
    done = cruft("update", "--skip-apply-ask", cwd=project, home=home)
    assert done.returncode == 0
    return project


def edit_as_a_team(project: Path) -> None:
    """Change, add and delete files the way a team does."""
    add_line(project / "README.md", MINE)
    add_line(project / SLUG / "features.py", "# Our own feature.\n")
    (project / "infra" / "our_network.md").write_text("ours\n", encoding="utf-8")
    shutil.rmtree(project / "demo")


def test_the_update_brings_the_template_changes(updated: Path) -> None:
    """R3: the hooks ran for the old and the new version, and the difference arrived, lifted."""
    assert THEIRS in (updated / "docs" / "runbook.md").read_text(encoding="utf-8")
    assert THEIRS in (updated / "infra" / "README.md").read_text(encoding="utf-8")
    assert "template's" in (updated / SLUG / "errors.py").read_text(encoding="utf-8")
    assert not (updated / "infra" / "local").exists()


def test_the_update_keeps_the_teams_changes(updated: Path) -> None:
    """Edits, new files and deletions of the team stay as they were."""
    readme = (updated / "README.md").read_text(encoding="utf-8")
    assert readme.endswith(MINE)
    assert readme.startswith("<!-- The template's own")
    assert "Our own" in (updated / SLUG / "features.py").read_text(encoding="utf-8")
    assert (updated / "infra" / "our_network.md").read_text(encoding="utf-8") == "ours\n"
    assert not (updated / "demo").exists()


def test_the_update_leaves_no_conflict(updated: Path, tmp_path: Path) -> None:
    """A conflict is none of cruft's errors: it ends with 0, so the index and the markers count."""
    assert git("ls-files", "--unmerged", cwd=updated, home=tmp_path) == b""
    changed = git("diff", "HEAD", cwd=updated, home=tmp_path)
    assert b"\n+" in changed
    assert b"\n+<<<<<<<" not in changed
    assert list(updated.rglob("*.rej")) == []
    recorded = json.loads((updated / ".cruft.json").read_text(encoding="utf-8"))
    assert recorded["context"]["cookiecutter"]["cloud"] == "local"
