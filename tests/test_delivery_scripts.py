"""The scripts of a delivery at their edges: no answer is not taken for nothing there, a kill leaves old or new."""

from __future__ import annotations

import json
import os
import shutil
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
    known = {"GITHUB_REPOSITORY": "team/project", "GITHUB_SHA": "0" * 40, "GITHUB_REF_NAME": "main", "GH_TOKEN": "t",
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


def kept(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Keep a store with one file in place of the newest."""
    made = releases(folder) if (folder / "gh" / "releases.json").exists() else []
    newest = [asset["name"] for one in made for asset in one["assets"] if asset["state"] == "uploaded"][-1:]
    return registry(folder, "keep", archive(folder, text), *newest or [""])


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
        assert kept(tmp_path, f"store {number}").returncode == 0
    (made,) = releases(tmp_path)
    assert (made["tag_name"], made["draft"], made["prerelease"], len(made["assets"])) == ("registry", False, True, 5)
    assert made["target_commitish"] == "main"
    output = tmp_path / "output"
    assert restored(tmp_path, "there", GITHUB_OUTPUT=str(output)) == "store 6"
    assert output.read_text(encoding="utf-8") == f"store={made['assets'][-1]['name']}\n"
    told = calls(tmp_path)
    assert [fault for call in told for fault in api.faults(call)] == []
    assert [call["body"]["draft"] for call in told if call["path"].endswith("/releases")] == [True]


@pytest.mark.parametrize(
    ("variables", "said"),
    [({"GH_TOKEN": ""}, "registry: releases"), ({"PATH": str(Path(sys.executable).parent)}, "gh")],
)
def test_no_answer_is_not_a_cold_start(tmp_path: Path, variables: dict[str, str], said: str) -> None:
    """Else whatever is trained next would be champion without a comparison."""
    kept(tmp_path, "store")
    done = registry(tmp_path, "restore", **variables)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert said in done.stderr
    assert not (tmp_path / ".mlflow").exists()


def test_a_release_that_lost_its_stores_is_not_a_cold_start(tmp_path: Path) -> None:
    """Somebody deleted them, or the last has not arrived whole."""
    kept(tmp_path, "store")
    half = {**releases(tmp_path)[0]["assets"][0], "state": "starter"}
    for assets in ([], [half]):
        change(tmp_path, assets=assets)
        done = registry(tmp_path, "restore")
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
        assert "has no store" in done.stderr


def test_a_store_that_arrived_by_half_is_passed_over(tmp_path: Path) -> None:
    """The one before it counts."""
    kept(tmp_path, "whole")
    found = releases(tmp_path)[0]["assets"]
    change(tmp_path, assets=[*found, {"id": 99, "name": "registry-9.tar.gz", "state": "starter"}])
    assert restored(tmp_path, "there") == "whole"


def test_a_kill_before_the_first_store_leaves_a_cold_start(tmp_path: Path) -> None:
    """The release is a draft until its store is there, and is used again."""
    kept(tmp_path, "store")
    change(tmp_path, assets=[], draft=True)
    assert kept(tmp_path, "again").returncode == 0
    (made,) = releases(tmp_path)
    assert (made["draft"], len(made["assets"])) == (False, 1)


def test_a_registry_that_moved_on_is_not_overwritten(tmp_path: Path) -> None:
    """Neither a slow monitor nor a delivery that waited for its approval takes back what the other has recorded."""
    kept(tmp_path, "old")
    old = releases(tmp_path)[0]["assets"][-1]["name"]
    assert kept(tmp_path, "asked").returncode == 0
    for name in (old, "", "registry-20200101T000000000000.tar.gz"):
        done = registry(tmp_path, "keep", archive(tmp_path, "late"), name)
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
        assert "another workflow was faster" in done.stderr
    assert restored(tmp_path, "there") == "asked"


def test_a_registry_that_is_gone_is_not_begun_again(tmp_path: Path) -> None:
    """Who restored a store expects it to be there still."""
    done = registry(tmp_path, "keep", archive(tmp_path, "late"), "registry-20200101T000000000000.tar.gz")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert releases(tmp_path) == []


def test_a_store_that_lies_here_is_not_overwritten(tmp_path: Path) -> None:
    """A laptop's own runs are not the registry of record."""
    kept(tmp_path, "store")
    (tmp_path / ".mlflow").mkdir()
    done = registry(tmp_path, "restore")
    assert done.returncode == 1
    assert "is here already" in done.stderr


def test_a_tracking_server_is_asked_by_others(tmp_path: Path) -> None:
    """With one, neither is anything restored nor kept; a model is released all the same."""
    server = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    assert registry(tmp_path, "restore", **server).returncode == 0
    assert registry(tmp_path, "keep", "not_there.tar.gz", "", **server).returncode == 0
    assert calls(tmp_path) == []
    assert registry(tmp_path, "release", "3", "d" * 64, archive(tmp_path, "model"), **server).returncode == 0
    (made,) = releases(tmp_path)
    assert (made["tag_name"], made["draft"], made["prerelease"]) == ("model-v3", False, False)
    assert [one["name"] for one in made["assets"]] == ["store.tar.gz"]


def test_a_model_is_released_once_and_whole(tmp_path: Path) -> None:
    """What was broken off is completed: a file that arrived by half is sent anew, one that is whole is not."""
    (tmp_path / "card.md").write_text("a card", encoding="utf-8")
    release = ("release", "3", "d" * 64, archive(tmp_path, "model"), "card.md")
    assert registry(tmp_path, *release).returncode == 0
    whole, half = releases(tmp_path)[0]["assets"]
    change(tmp_path, draft=True, assets=[whole, half | {"state": "starter"}])
    assert registry(tmp_path, *release).returncode == 0
    (made,) = releases(tmp_path)
    assert [(one["name"], one["state"]) for one in made["assets"]] == [
        ("store.tar.gz", "uploaded"),
        ("card.md", "uploaded"),
    ]
    assert made["assets"][0] == whole
    assert not made["draft"]


def test_a_version_of_another_registry_is_not_taken_for_this_one(tmp_path: Path) -> None:
    """Numbers begin at 1 again where somebody started anew; a release may not claim to be of another model."""
    assert registry(tmp_path, "release", "1", "a" * 64, archive(tmp_path, "first")).returncode == 0
    before = releases(tmp_path)
    done = registry(tmp_path, "release", "1", "b" * 64, archive(tmp_path, "second"))
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "is of another model" in done.stderr
    assert releases(tmp_path) == before


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


def test_a_missing_program_is_not_a_missing_image(tmp_path: Path) -> None:
    """Docker's words for both are alike."""
    said = "error getting credentials: exec: docker-credential-x: executable file not found in PATH"
    assert deploy(tmp_path, said, 1, "current", "production", "team/project").returncode == 1
    said = "failed to resolve reference: ghcr.io/team/project:production: not found"
    assert deploy(tmp_path, said, 1, "current", "production", "team/project").stdout == "\n"


def test_an_environment_that_is_not_known_is_refused(tmp_path: Path) -> None:
    """A tag of the image is not an environment."""
    done = deploy(tmp_path, "", 0, "roll-out", "latest", "team/project@sha256:0")
    assert done.returncode == 2
    assert "staging" in done.stderr


OLD, NEW = "team/project@sha256:old", "team/project@sha256:new"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a folder with the scripts as a project has them, and a Docker of its own."""
    (tmp_path / ".github").mkdir()
    (tmp_path / "infra").mkdir()
    (tmp_path / "docker").mkdir()
    shutil.copy(REGISTRY.with_name("deploy.sh"), tmp_path / ".github")
    shutil.copy(DEPLOY, tmp_path / "infra")
    return tmp_path


def with_docker(site: Path, *command: str, faults: str = "") -> subprocess.CompletedProcess[str]:
    """Run a script, while Docker goes wrong."""
    path = os.pathsep.join([str(DOUBLES / "engine"), os.environ["PATH"]])
    variables = {"PATH": path, "DOCKER_DOUBLE": str(site / "docker"), "DOCKER_FAULTS": faults}
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=site, start_new_session=True,
                          env=environment(site) | variables)  # fmt: skip


def delivered(site: Path, image: str, faults: str = "") -> subprocess.CompletedProcess[str]:
    """Deploy an image to production."""
    return with_docker(site, "bash", ".github/deploy.sh", "production", image, faults=faults)


def test_what_the_monitor_found_is_given_to_what_runs(site: Path) -> None:
    """Where nothing runs there is nobody to give it to."""
    (site / "reports").mkdir()
    (site / "reports" / "monitor.json").write_text('{"decision": "é"}', encoding="utf-8")
    command = (sys.executable, "infra/deploy.py", "show", "production", "team/project")
    assert with_docker(site, *command).returncode == 0
    inside = site / "docker" / "project-production"
    assert not inside.exists()
    assert delivered(site, OLD).returncode == 0
    assert with_docker(site, *command).returncode == 0
    (found,) = (path for path in inside.rglob("*") if path.is_file())
    assert found == inside / "reports" / "monitor.json"
    assert found.read_text(encoding="utf-8") == '{"decision": "é"}'


def state(site: Path) -> tuple[str | None, str | None]:
    """Return what runs in production, and what is recorded to run there."""
    found = json.loads((site / "docker" / "state.json").read_text(encoding="utf-8"))
    return found["runs"].get("project-production"), found["tags"].get("team/project:production")


def test_what_passes_is_what_there_is_to_go_back_to(site: Path) -> None:
    """First with nothing before it, then with something."""
    for image in (OLD, NEW):
        done = delivered(site, image)
        assert done.returncode == 0, done.stderr
        assert f"production runs {image} at http://127.0.0.1:8000" in done.stdout
        assert state(site) == (image, image)


@pytest.mark.parametrize("fault", [f"run {NEW}", f"smoke {NEW}"])
def test_what_does_not_pass_leaves_what_was_there(site: Path, fault: str) -> None:
    """It did not start, or answers wrongly: red, the old one answers again, and the next run tries the new one."""
    assert delivered(site, NEW, fault).returncode == 1
    assert state(site) == (None, None)
    delivered(site, OLD)
    done = delivered(site, NEW, fault)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "production runs what it ran before"
    assert state(site) == (OLD, OLD)
    assert delivered(site, NEW).returncode == 0


def test_a_kill_before_the_smoke_test_has_passed_leaves_the_old_one_recorded(site: Path) -> None:
    """Else the next run would take for delivered what nobody has tried."""
    delivered(site, OLD)
    assert delivered(site, NEW, "kill production").returncode == -9
    assert state(site)[1] == OLD
    assert delivered(site, NEW).returncode == 0
    assert state(site) == (NEW, NEW)


def test_where_the_old_one_does_not_pass_either_nobody_says_that_it_runs(site: Path) -> None:
    """Red, with the reason of both."""
    delivered(site, OLD)
    done = delivered(site, NEW, f"smoke {NEW}, smoke {OLD}")
    assert done.returncode == 1
    assert "runs what it ran before" not in done.stdout
