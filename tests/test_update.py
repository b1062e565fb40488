"""Updates: what a team changed in its project lives through a newer template, and a conflict is no success."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from baking import PROJECT, commit, environment, git, settings
from running import SLUG, run, set_param, uv_cache, works

MINE = "\nAsk us in room 4.\n"
THEIRS = "\nThe template added this line.\n"
WORKFLOW = ".github/workflows/ci.yml"


class Followed(NamedTuple):
    """A team's project, the template that it was made from, and a home for both."""

    project: Path
    upstream: Path
    home: Path

    def update(self) -> subprocess.CompletedProcess[str]:
        """Run the project's own session, as a team would."""
        variables = {"COOKIECUTTER_CONFIG": str(settings(self.home)), "UV_CACHE_DIR": uv_cache()}
        return subprocess.run(
            [sys.executable, "-m", "nox", "-s", "update"],
            check=False,
            cwd=self.project,
            env=environment(self.home) | variables,
            capture_output=True,
            encoding="utf-8",
        )


def change(path: Path, *lines: str, first: str = "", old: str = "", new: str = "") -> None:
    """Put text at the top and the end of a file, and something in the place of something that is there."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(first + text.replace(old, new, 1) + "".join(lines), encoding="utf-8")


def followed(template: Path, home: Path) -> Followed:
    """Return a project that cruft made from the template, with a first commit."""
    upstream, project = home / "upstream", home / SLUG
    shutil.copytree(template, upstream)
    commit(upstream, home)
    done = subprocess.run(
        [sys.executable, "-m", "cruft", "create", str(upstream), "--no-input"],
        check=False,
        cwd=home,
        env=environment(home) | {"COOKIECUTTER_CONFIG": str(settings(home))},
        capture_output=True,
        encoding="utf-8",
    )
    works(done)
    commit(project, home)
    return Followed(project, upstream, home)


def edit_as_a_team(project: Path) -> None:
    """Change, add and delete files the way a team does."""
    change(project / "README.md", MINE)
    change(project / "params.yaml", old="linear_margin: 0.005", new="linear_margin: 0.006")
    change(project / SLUG / "features.py", "# Our own feature.\n")
    change(project / WORKFLOW, old="timeout-minutes: 20", new="timeout-minutes: 25")
    (project / "infra" / "our_network.md").write_text("ours\n", encoding="utf-8")
    shutil.rmtree(project / "demo")


@pytest.fixture(scope="module")
def updated(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project after: bake, the team's edits, a newer template, `nox -s update`."""
    made = followed(template, tmp_path_factory.mktemp("update"))
    edit_as_a_team(made.project)
    commit(made.project, made.home)
    inner = made.upstream / PROJECT
    change(inner / "docs" / "runbook.md", THEIRS)
    change(inner / "infra" / "local" / "README.md", THEIRS)
    change(inner / "README.md", first="<!-- The template's own first line. -->\n")
    change(inner / "params.yaml", "# The template's own last line.\n")
    change(inner / WORKFLOW, first="# The template's own first line.\n")
    change(inner / PROJECT / "errors.py", "# A comment of the template's.\n")
    commit(made.upstream, made.home, "a newer template")
    works(made.update())
    return made.project


def test_the_update_brings_the_template_changes(updated: Path) -> None:
    """R3: the hooks ran for the old and the new version, and the difference arrived, lifted."""
    assert THEIRS in (updated / "docs" / "runbook.md").read_text(encoding="utf-8")
    assert THEIRS in (updated / "infra" / "README.md").read_text(encoding="utf-8")
    for name in (f"{SLUG}/errors.py", "params.yaml", WORKFLOW, "README.md"):
        assert "template's" in (updated / name).read_text(encoding="utf-8"), name
    assert not (updated / "infra" / "local").exists()


def test_the_update_keeps_the_teams_changes(updated: Path) -> None:
    """Edits, new files and deletions of the team stay as they were."""
    kept = {"README.md": MINE, "params.yaml": "linear_margin: 0.006", f"{SLUG}/features.py": "Our own",
            WORKFLOW: "timeout-minutes: 25", "infra/our_network.md": "ours\n"}  # fmt: skip
    for name, text in kept.items():
        assert text in (updated / name).read_text(encoding="utf-8"), name
    assert not (updated / "demo").exists()


def test_the_update_leaves_no_conflict(updated: Path, tmp_path: Path) -> None:
    """The index and the markers count, not only what the session says."""
    assert git("ls-files", "--unmerged", cwd=updated, home=tmp_path) == b""
    changed = git("diff", "HEAD", cwd=updated, home=tmp_path)
    assert b"\n+" in changed
    assert b"\n+<<<<<<<" not in changed
    assert list(updated.rglob("*.rej")) == []
    recorded = json.loads((updated / ".cruft.json").read_text(encoding="utf-8"))
    assert recorded["context"]["cookiecutter"]["cloud"] == "local"


def test_a_conflict_is_named_and_red(template: Path, tmp_path: Path) -> None:
    """Cruft ends with 0 on it, and its `check` says success; what is not committed stops the session before."""
    made = followed(template, tmp_path)
    change(made.project / "params.yaml", old="linear_margin: 0.005", new="linear_margin: 0.006")
    before = made.update()
    assert before.returncode != 0
    assert "not committed: commit them first" in before.stderr
    commit(made.project, made.home)
    change(made.upstream / PROJECT / "params.yaml", old="linear_margin: 0.005", new="linear_margin: 0.004")
    commit(made.upstream, made.home, "a newer template")
    done = made.update()
    assert done.returncode != 0
    assert "meet yours in params.yaml: settle each" in done.stderr
    (made.project / ".cruft.json").unlink()
    assert "does not know its template" in made.update().stderr


@pytest.mark.slow
def test_an_updated_project_passes_its_gates(template: Path, started: Path, tmp_path: Path) -> None:
    """With a threshold of its own, and features, and a changed module of the package."""
    made = followed(template, tmp_path)
    set_param(made.project, "train.arguments.max_iter", 80)
    change(made.project / SLUG / "features.py", "# Our own feature.\n")
    commit(made.project, made.home)
    change(made.upstream / PROJECT / PROJECT / "errors.py", "# A comment of the template's.\n")
    commit(made.upstream, made.home, "a newer template")
    works(made.update())
    commit(made.project, made.home)
    (made.project / ".venv").symlink_to(started / ".venv")
    works(run(made.project, "dvc", "repro"))
    verdict = json.loads((made.project / "reports" / "posttrain.json").read_text(encoding="utf-8"))["verdict"]
    assert verdict == "pass"
