"""The settings that the workflows rely on: looked at, set, and seen when somebody weakens them."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from acting import DOUBLES, calls
from asking import Api
from baking import PROJECT, ROOT, environment
from conftest import Bake

ASKED = ("--apply", "--owner", "@team/ml")


def settings(project: Path, home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the script as somebody who is logged in; `gh` writes to `home/gh`."""
    (home / "gh").mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join([str(DOUBLES), os.environ["PATH"]])
    known = environment(home) | {"PATH": path, "GH_TOKEN": "mine", "GH_DOUBLE": str(home / "gh")} | variables
    return subprocess.run([sys.executable, ".github/settings.py", *arguments], check=False, cwd=project, env=known,
                          capture_output=True, encoding="utf-8")  # fmt: skip


def edit(home: Path, *keys: Any, value: Any) -> None:
    """Change something in the ruleset that GitHub has."""
    path = home / "gh" / "rulesets.json"
    node = tree = json.loads(path.read_text(encoding="utf-8"))
    for key in (0, *keys[:-1]):
        node = node[key]
    node[keys[-1]] = value
    path.write_text(json.dumps(tree), encoding="utf-8")


def test_settings_are_missed_set_and_held(bake: Bake, tmp_path: Path, api: Api) -> None:
    """A fresh repository lacks all of them; they are set once, and changed where they are there already."""
    project, home = bake(), tmp_path / "home"
    lacking = settings(project, home)
    assert lacking.returncode == 1
    assert "there is no ruleset 'main'" in lacking.stdout
    assert "nobody owns /params.yaml" in lacking.stdout
    assert lacking.stdout.count("there is no environment") == 3
    assert settings(project, home, *ASKED).returncode == 0
    assert settings(project, home, *ASKED).returncode == 0
    assert settings(project, home).stdout == "settings: as the workflows rely on them\n"
    made = calls(home)
    assert [fault for call in made for fault in api.faults(call)] == []
    set_ = [(call["method"], call["path"].removeprefix("repos/team/project/")) for call in made]
    rights = ("PUT", "actions/permissions/workflow")
    first, again = [("POST", "rulesets"), rights], [("PUT", "rulesets/1000"), rights]
    for name in ("registry", "staging", "production"):
        first += [("PUT", f"environments/{name}"), ("POST", f"environments/{name}/deployment-branch-policies")]
        again += [("PUT", f"environments/{name}")]
    assert [one for one in set_ if one[0] != "GET"] == first + again
    owned = (project / ".github" / "CODEOWNERS").read_text(encoding="utf-8").splitlines()
    assert {"/params.yaml @team/ml", "/schema.yaml @team/ml", "/*/gates/ @team/ml"} <= set(owned)
    assert all((project / line.split()[0].strip("/").replace("*", project.name)).exists() for line in owned)


@pytest.mark.parametrize(
    ("keys", "value", "named"),
    [
        (("enforcement",), "disabled", "enforcement"),
        (("conditions", "ref_name", "include"), ["refs/heads/other"], "conditions.ref_name.include"),
        (("bypass_actors",), [{"actor_id": 1, "actor_type": "Team"}], "bypass_actors"),
        (("rules",), [], "rules.pull_request"),
        (("rules", 2, "parameters", "require_code_owner_review"), False, "require_code_owner_review"),
        (("rules", 3, "parameters", "required_status_checks"), [{"context": "lint"}], "required_status_checks"),
    ],
)
def test_what_somebody_weakened_is_named(
    bake: Bake, tmp_path: Path, keys: tuple[Any, ...], value: Any, named: str
) -> None:
    """Whatever GitHub adds on its own is none of it."""
    project, home = bake(), tmp_path / "home"
    assert settings(project, home, *ASKED).returncode == 0
    edit(home, "rules", 3, "parameters", "required_status_checks", value=[{"context": "pass", "integration_id": 15368}])
    edit(home, "source", value="team/project")
    assert settings(project, home).returncode == 0
    edit(home, *keys, value=value)
    done = settings(project, home)
    assert done.returncode == 1
    assert f"{named} is " in done.stdout


@pytest.mark.parametrize(
    ("name", "keys", "value", "named"),
    [
        ("permissions", ("default_workflow_permissions",), "write", "workflows: default_workflow_permissions is"),
        ("environments", (2, "protection_rules"), [], "environment production: nobody has to approve"),
        (
            "environments",
            (1, "deployment_branch_policy"),
            None,
            "environment staging: deployment_branch_policy is null",
        ),
        ("branches of production", (0, "name"), "*", "environment production: * may deploy, not main alone"),
    ],
)
def test_an_environment_that_is_open_is_named(
    bake: Bake, tmp_path: Path, name: str, keys: tuple[Any, ...], value: Any, named: str
) -> None:
    """A deployment that nobody approves, or that any branch may start."""
    project, home = bake(), tmp_path / "home"
    assert settings(project, home, *ASKED).returncode == 0
    path = home / "gh" / f"{name}.json"
    tree = json.loads(path.read_text(encoding="utf-8"))
    node = tree
    for key in keys[:-1]:
        node = node[key]
    node[keys[-1]] = value
    path.write_text(json.dumps(tree), encoding="utf-8")
    done = settings(project, home)
    assert (done.returncode, len(done.stdout.splitlines())) == (1, 1), done.stdout
    assert named in done.stdout
    # Applied without an owner, staging is set and nobody is taken away from production.
    assert settings(project, home, "--apply").returncode == ("production" in named)


def test_who_owns_nothing_any_more_is_named(bake: Bake, tmp_path: Path) -> None:
    """A path without an owner is one that anybody approves."""
    project, home = bake(), tmp_path / "home"
    assert settings(project, home, *ASKED).returncode == 0
    path = project / ".github" / "CODEOWNERS"
    path.write_text(path.read_text(encoding="utf-8").replace("/schema.yaml @team/ml", "/schema.yaml"), encoding="utf-8")
    done = settings(project, home)
    assert (done.returncode, done.stdout.count("nobody owns")) == (1, 1)
    assert "nobody owns /schema.yaml" in done.stdout


def test_what_decides_is_owned(bake: Bake) -> None:
    """Whatever must be tested in every branch, each gate's threshold and fault, and what calls them."""
    project = bake()
    script = runpy.run_path(str(project / ".github" / "settings.py"))
    owned = [pattern.strip("/").replace("*", project.name) for pattern in script["OWNED"]]
    decides = runpy.run_path(str(project / "noxfile.py"))["DECIDES"].split(",")
    files = [path.relative_to(project) for pattern in decides for path in project.glob(pattern)]
    files += [Path(name) for name in ("params.yaml", "noxfile.py", "tests/faults/run.py", ".github/workflows/cd.yml")]
    assert len(files) > len(decides)
    assert [str(path) for path in files if not any(path.is_relative_to(one) for one in owned)] == []


def test_what_a_plan_does_not_include_keeps_nothing_else_undone(bake: Bake, tmp_path: Path) -> None:
    """GitHub refuses rulesets of a private repository without a plan: the rest is set, and that one named."""
    project, home = bake(), tmp_path / "home"
    done = settings(project, home, *ASKED, GH_REFUSES="rulesets")
    assert (done.returncode, done.stderr) == (1, "")
    assert "GitHub refuses GET rulesets" in done.stdout
    assert len([line for line in done.stdout.splitlines() if "CODEOWNERS: written" not in line]) == 1
    done = settings(project, home, *ASKED, GH_REFUSES="codeowners/errors")
    assert "CODEOWNERS is not on the main branch yet" in done.stdout
    assert settings(project, home).returncode == 0


def test_where_nobody_can_approve_main_alone_deploys(bake: Bake, tmp_path: Path) -> None:
    """Of a private repository most plans take no reviewers: that is named, and no other branch deploys."""
    project, home = bake(), tmp_path / "home"
    done = settings(project, home, *ASKED, GH_PLAN="team")
    found = [line for line in done.stdout.splitlines() if "CODEOWNERS: written" not in line]
    assert (done.returncode, len(found)) == (1, 1)
    assert "environment production: nobody has to approve" in found[0]
    branches = json.loads((home / "gh" / "branches of production.json").read_text(encoding="utf-8"))
    assert [one["name"] for one in branches] == ["main"]


def test_releases_that_nobody_may_change_are_named(bake: Bake, tmp_path: Path, api: Api) -> None:
    """The registry of record is one that changes: switched off where that is the repository's own to say."""
    project, home = bake(), tmp_path / "home"
    assert settings(project, home, *ASKED).returncode == 0
    frozen = home / "gh" / "immutable.json"
    frozen.write_text('{"enabled": true, "enforced_by_owner": true}', encoding="utf-8")
    for asked in ((), ("--apply",)):
        done = settings(project, home, *asked)
        assert done.returncode == 1
        assert "releases are immutable" in done.stdout
    frozen.write_text('{"enabled": true, "enforced_by_owner": false}', encoding="utf-8")
    assert settings(project, home).returncode == 1
    assert settings(project, home, *ASKED).returncode == 0
    assert [fault for call in calls(home) for fault in api.faults(call)] == []


def test_without_a_login_one_line_says_so(bake: Bake, tmp_path: Path) -> None:
    """Nothing is written then, and nothing of a traceback shown."""
    project = bake()
    done = settings(project, tmp_path / "home", *ASKED, GH_TOKEN="")
    assert done.returncode == 1
    assert done.stderr.startswith("settings: GET repository")
    assert len(done.stderr.splitlines()) == 1
    assert not (project / ".github" / "CODEOWNERS").exists()
    assert settings(project, tmp_path / "home", "--owner", "@team/ml").returncode == 2


def test_the_required_check_is_a_job() -> None:
    """A check that no workflow reports would hold every pull request for ever."""
    script = (ROOT / PROJECT / ".github" / "settings.py").read_text(encoding="utf-8")
    workflow = (ROOT / PROJECT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert '"required_status_checks": [{"context": "pass"}]' in script
    assert "\n    name: pass\n" in workflow
