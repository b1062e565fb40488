"""The scripts of a delivery at their edges: no answer is not taken for nothing there, a kill leaves old or new."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from acting import DOUBLES, calls
from asking import Api
from baking import PROJECT, ROOT, environment

REGISTRY = ROOT / PROJECT / ".github" / "registry.py"
DEPLOY = ROOT / PROJECT / "infra" / "local" / "deploy.py"


def registry(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the script in a folder, as a workflow does; `gh` writes to `folder/gh`."""
    (folder / "gh").mkdir(exist_ok=True)
    known = {"GITHUB_REPOSITORY": "team/project", "GITHUB_SHA": "0" * 40, "GH_TOKEN": "t",
             "GH_DOUBLE": str(folder / "gh"), "PATH": os.pathsep.join([str(DOUBLES), os.environ["PATH"]])}  # fmt: skip
    return subprocess.run([sys.executable, str(REGISTRY), *arguments], check=False, capture_output=True, text=True,
                          cwd=folder, env=environment(folder) | known | variables)  # fmt: skip


def archive(folder: Path, text: str) -> str:
    """Write a store with one file, and return the name of its archive."""
    (folder / "made").mkdir(exist_ok=True)
    (folder / "made" / "mlflow.db").write_text(text, encoding="utf-8")
    with tarfile.open(folder / "store.tar.gz", "w:gz") as tar:
        tar.add(folder / "made", ".mlflow")
    return "store.tar.gz"


def releases(folder: Path) -> Any:
    """Return the releases as GitHub has them."""
    return json.loads((folder / "gh" / "releases.json").read_text(encoding="utf-8"))


def change(folder: Path, **values: Any) -> None:
    """Change the first release at GitHub."""
    found = releases(folder)
    found[0].update(values)
    (folder / "gh" / "releases.json").write_text(json.dumps(found), encoding="utf-8")


def restored(folder: Path, name: str, **variables: str) -> str:
    """Return the content of the store that somebody else restores."""
    (folder / name).mkdir()
    (folder / name / "gh").symlink_to(folder / "gh")
    done = registry(folder / name, "restore", **variables)
    assert done.returncode == 0, done.stderr
    return (folder / name / ".mlflow" / "mlflow.db").read_text(encoding="utf-8")


def test_what_is_kept_last_is_restored(tmp_path: Path, api: Api) -> None:
    """Before the first there is none; of more than five the oldest go; every call is one that GitHub knows."""
    done = registry(tmp_path, "restore")
    assert (done.returncode, (tmp_path / ".mlflow").exists()) == (0, False)
    assert "none yet" in done.stdout
    for number in range(7):
        assert registry(tmp_path, "keep", archive(tmp_path, f"store {number}")).returncode == 0
    (kept,) = releases(tmp_path)
    assert (kept["tag_name"], kept["draft"], kept["prerelease"], len(kept["assets"])) == ("registry", False, True, 5)
    output = tmp_path / "output"
    assert restored(tmp_path, "there", GITHUB_OUTPUT=str(output)) == "store 6"
    assert output.read_text(encoding="utf-8") == f"store={kept['assets'][-1]['name']}\n"
    made = calls(tmp_path)
    assert [fault for call in made for fault in api.faults(call)] == []
    assert [call["body"]["draft"] for call in made if call["path"].endswith("/releases")] == [True]


@pytest.mark.parametrize(
    ("variables", "said"),
    [({"GH_TOKEN": ""}, "registry: releases"), ({"PATH": str(Path(sys.executable).parent)}, "gh")],
)
def test_no_answer_is_not_a_cold_start(tmp_path: Path, variables: dict[str, str], said: str) -> None:
    """Else whatever is trained next would be champion without a comparison."""
    registry(tmp_path, "keep", archive(tmp_path, "store"))
    done = registry(tmp_path, "restore", **variables)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert said in done.stderr
    assert not (tmp_path / ".mlflow").exists()


def test_a_release_that_lost_its_stores_is_not_a_cold_start(tmp_path: Path) -> None:
    """Somebody deleted them, or the last has not arrived whole."""
    registry(tmp_path, "keep", archive(tmp_path, "store"))
    half = {**releases(tmp_path)[0]["assets"][0], "state": "starter"}
    for assets in ([], [half]):
        change(tmp_path, assets=assets)
        done = registry(tmp_path, "restore")
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
        assert "has no store" in done.stderr


def test_a_store_that_arrived_by_half_is_passed_over(tmp_path: Path) -> None:
    """The one before it counts."""
    registry(tmp_path, "keep", archive(tmp_path, "whole"))
    found = releases(tmp_path)[0]["assets"]
    change(tmp_path, assets=[*found, {"id": 99, "name": "registry-9.tar.gz", "state": "starter"}])
    assert restored(tmp_path, "there") == "whole"


def test_a_kill_before_the_first_store_leaves_a_cold_start(tmp_path: Path) -> None:
    """The release is a draft until its store is there, and is used again."""
    registry(tmp_path, "keep", archive(tmp_path, "store"))
    change(tmp_path, assets=[], draft=True)
    assert registry(tmp_path, "keep", archive(tmp_path, "again")).returncode == 0
    (kept,) = releases(tmp_path)
    assert (kept["draft"], len(kept["assets"])) == (False, 1)


def test_a_registry_that_moved_on_is_not_overwritten(tmp_path: Path) -> None:
    """A slow monitor may not take back what a delivery has recorded meanwhile."""
    registry(tmp_path, "keep", archive(tmp_path, "old"))
    old = releases(tmp_path)[0]["assets"][-1]["name"]
    assert registry(tmp_path, "keep", archive(tmp_path, "asked"), "--instead-of", old).returncode == 0
    registry(tmp_path, "keep", archive(tmp_path, "promoted"))
    done = registry(tmp_path, "keep", archive(tmp_path, "late"), "--instead-of", old)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "no longer the newest" in done.stderr
    assert restored(tmp_path, "there") == "promoted"


def test_a_store_that_lies_here_is_not_overwritten(tmp_path: Path) -> None:
    """A laptop's own runs are not the registry of record."""
    registry(tmp_path, "keep", archive(tmp_path, "store"))
    (tmp_path / ".mlflow").mkdir()
    done = registry(tmp_path, "restore")
    assert done.returncode == 1
    assert "is here already" in done.stderr


def test_a_tracking_server_is_asked_by_others(tmp_path: Path) -> None:
    """With one, neither is anything restored nor kept; a model is released all the same, and once."""
    server = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    assert registry(tmp_path, "restore", **server).returncode == 0
    assert registry(tmp_path, "keep", archive(tmp_path, "store"), **server).returncode == 0
    assert calls(tmp_path) == []
    for _ in range(2):
        assert registry(tmp_path, "release", "3", "store.tar.gz", **server).returncode == 0
    (made,) = releases(tmp_path)
    assert (made["tag_name"], made["draft"], made["prerelease"]) == ("model-v3", False, False)
    assert [one["name"] for one in made["assets"]] == ["store.tar.gz"]


def deploy(tmp_path: Path, said: str, code: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the cloud's script with a Docker that says something on stderr, and ends with a code."""
    (tmp_path / "docker").write_text(f"#!/bin/sh\necho '{said}' >&2\nexit {code}\n", encoding="utf-8")
    (tmp_path / "docker").chmod(0o755)
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    return subprocess.run([sys.executable, str(DEPLOY), *arguments], check=False, capture_output=True, text=True,
                          env=environment(tmp_path) | {"PATH": path})  # fmt: skip


def test_a_registry_of_images_that_does_not_answer_is_not_an_empty_one(tmp_path: Path) -> None:
    """Else nothing would be known to go back to."""
    unknown = "Error response from daemon: manifest for team/project:production not found: manifest unknown"
    done = deploy(tmp_path, unknown, 1, "current", "production", "team/project")
    assert (done.returncode, done.stdout) == (0, "\n")
    done = deploy(tmp_path, "dial tcp: connection refused", 1, "current", "production", "team/project")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert done.stderr == "current production: docker pull: dial tcp: connection refused\n"


def test_an_environment_that_is_not_known_is_refused(tmp_path: Path) -> None:
    """A tag of the image is not an environment."""
    done = deploy(tmp_path, "", 0, "roll-out", "latest", "team/project@sha256:0")
    assert done.returncode == 2
    assert "staging" in done.stderr
