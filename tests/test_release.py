"""A release of the template, run by act: a tag brings notes and an example, nothing where the changelog is silent."""

from __future__ import annotations

import re
import shutil
import tarfile
from pathlib import Path

import pytest
from acting import Ran, act, calls
from asking import Api
from baking import commit, git

NAME = "team/template"
#: In the place of the first command, which other tests run: a project with one file, as git holds it.
STARTED = """\
          mkdir -p "$RUNNER_TEMP/flight_delays" && cd "$RUNNER_TEMP/flight_delays" && git init -q
          echo "$GITHUB_REF_NAME" > made_by && touch "only_$GITHUB_REF_NAME"
          mkdir -p .github/workflows && touch .github/workflows/ci.yml
          git add . && git -c user.name=a -c user.email=a@b commit -qm made
"""


@pytest.fixture
def repository(template: Path, tmp_path: Path) -> Path:
    """Return the template as a repository whose changelog knows two versions."""
    copy = Path(shutil.copytree(template, tmp_path / "repository"))
    path = copy / ".github" / "workflows" / "release.yml"
    text = path.read_text(encoding="utf-8")
    quick = re.sub(r" +python3 -m venv .*\n.*nox -s start.*\n", STARTED.replace("\\", r"\\"), text)
    assert quick != text
    path.write_text(quick, encoding="utf-8")
    told = "# Changelog\n\n## 1.1.0 (2026-02-01)\n\n- Second.\n\n## 1.0.0\n\n- First.\n"
    (copy / "CHANGELOG.md").write_text(told, encoding="utf-8")
    commit(copy, tmp_path)
    return copy


def tagged(repository: Path, home: Path, tag: str) -> Ran:
    """Let act run what a pushed tag starts; addresses of GitHub lead to the repository on this machine."""
    instead = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.file://{repository}.insteadOf",
               "GIT_CONFIG_VALUE_0": f"https://github.com/{NAME}"}  # fmt: skip
    variables = instead | {"GITHUB_REPOSITORY": NAME, "GITHUB_REF_NAME": tag, "RUNNER_TEMP": str(home / "temp")}
    options = [part for name, value in variables.items() for part in ("--env", f"{name}={value}")]
    payload = {"ref": f"refs/tags/{tag}"}
    return act(repository, home, "push", payload, "--workflows", ".github/workflows/release.yml", *options)


def test_a_tag_becomes_a_release_and_the_example(repository: Path, tmp_path: Path, api: Api) -> None:
    """The next one adds a commit to the example, and its own notes are in its release."""
    for tag in ("v1.0.0", "v1.1.0"):
        ran = tagged(repository, tmp_path / tag, tag)
        assert ran.jobs == {"example": "success", "publish": "success"}, ran.red
        made, upload, shown = calls(tmp_path / tag)
        assert [fault for call in (made, upload, shown) for fault in api.faults(call)] == []
        assert (made["body"]["tag_name"], made["body"]["draft"]) == (tag, True)
        assert made["body"]["body"].strip() == {"v1.0.0": "- First.", "v1.1.0": "- Second."}[tag]
        assert (upload["path"].partition("?")[2], shown["body"]) == ("name=example.tar.gz", {"draft": False})
        with tarfile.open(tmp_path / tag / "gh" / "assets" / "1") as tar:
            assert sorted(tar.getnames()) == [".github", ".github/workflows", ".github/workflows/ci.yml", "made_by",
                                              f"only_{tag}"]  # fmt: skip
    log = git("log", "--format=%s", "example", cwd=repository, home=tmp_path).decode().split("\n")
    assert log[:2] == ["Made by v1.1.0", "Made by v1.0.0"]
    assert git("show", "example:made_by", cwd=repository, home=tmp_path) == b"v1.1.0\n"
    held = git("ls-tree", "-r", "--name-only", "example", cwd=repository, home=tmp_path).decode().split()
    assert held == ["made_by", "only_v1.1.0"]  # GitHub lets no workflow write a workflow


def test_a_tag_that_the_changelog_does_not_know_publishes_nothing(repository: Path, tmp_path: Path) -> None:
    """Nor does one that another begins with."""
    ran = tagged(repository, tmp_path / "home", "v1.0")
    assert ran.jobs["example"] == "failure"
    assert "CHANGELOG.md has nothing below '## 1.0'" in ran.red
    assert calls(tmp_path / "home") == []
