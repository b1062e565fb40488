"""Every `cloud`: clean on arrival, one contract, refused answers, and what linters and the providers' schemas say."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from baking import CLOUDS
from bindings import Bindings, check
from clouds import ROLES, checked, logged_in, terraform
from conftest import Bake
from running import run, works

REAL = [cloud for cloud in CLOUDS if cloud != "local"]
# Where no provider can be had: its bindings, at versions for providers that infra/ admits.
BOUND = {
    "gcp": ["cdktf-cdktf-provider-google==16.12.1"],
    "azure": ["cdktf-cdktf-provider-azurerm==14.23.1", "cdktf-cdktf-provider-azuread==14.3.1"],
}
# An answer that each variable of any cloud refuses.
BAD: dict[str, Any] = {
    "project": "Flight Delays",
    "github_subject": "Team/Flights",
    "github_oidc_provider": "arn:aws:iam::123456789012:oidc-provider/gitlab.com",
    "google_project": "My Project",
    "billing_account": "mine",
    "subscription": "mine",
    "region": "Frank-furt",
    "zones": ["a", "a"],
    "email": "team",
    "budget": 0,
    "mlflow_image": "registry/mlflow:1",
    "most_servers": 0,
    "keep_days": 0.5,
    "protect": None,
}
# What keeps the world out, what becomes of it, and what checkov calls that.
OPEN = {
    "aws": ("mlflow.tf", "publicly_accessible             = false", "publicly_accessible = true", "CKV_AWS_17"),
    "gcp": ("bucket/main.tf", 'public_access_prevention    = "enforced"', "", "CKV_GCP_114"),
    "azure": ("storage/main.tf", '= "TLS1_2"', '= "TLS1_0"', "CKV_AZURE_44"),
}
every_real = pytest.mark.parametrize("cloud", REAL)


def test_what_is_repeated_over_is_there() -> None:
    """Each cloud has what it is checked by."""
    assert sorted(REAL) == sorted(OPEN) == sorted([*BOUND, "aws"])


@pytest.fixture(scope="session")
def arrived(bake: Bake, started: Path) -> Callable[[str], Path]:
    """Return what bakes a project of a cloud as its team commits it first, with the environment of another."""
    known: dict[str, Path] = {}

    def fresh(cloud: str) -> Path:
        if cloud not in known:
            known[cloud] = bake(cloud=cloud)
            (known[cloud] / ".venv").symlink_to(started / ".venv")
            works(run(known[cloud], "git", "init", "-q"))
            works(run(known[cloud], "git", "add", "."))
        return known[cloud]

    return fresh


@every_real
def test_it_is_clean_on_arrival(cloud: str, arrived: Callable[[str], Path]) -> None:
    """Lint, which changes nothing, and types, those of what deploys too."""
    project = arrived(cloud)
    works(run(project, "pre-commit", "run", "--all-files"))
    works(run(project, "mypy"))
    works(run(project, "mypy", "--strict", "infra/deploy.py"))
    assert works(run(project, "git", "diff", "--stat")) == ""
    assert terraform(project / "infra", "fmt", "-check", "-recursive").stdout == ""


@pytest.mark.slow
@every_real
def test_its_unit_tests_pass(cloud: str, arrived: Callable[[str], Path]) -> None:
    """As those of a project of the cloud `local` do."""
    works(run(arrived(cloud), "pytest", "-q", "-n", "2"))


@every_real
def test_checkov_finds_nothing_that_is_not_explained(
    cloud: str, arrived: Callable[[str], Path], tmp_path: Path
) -> None:
    """What it is told to leave has its reason beside it; a door that is open is found."""
    project = arrived(cloud)
    found = checked(project)
    assert found["summary"]["passed"] > 40
    assert [(one["check_id"], one["resource"]) for one in found["results"]["failed_checks"]] == []
    skipped = found["results"]["skipped_checks"]
    assert skipped
    assert [one["check_id"] for one in skipped if len(one["check_result"]["suppress_comment"].split()) < 3] == []
    copy = tmp_path / "project"
    shutil.copytree(project / "infra", copy / "infra")
    shutil.copy(project / "Dockerfile", copy)
    name, right, wrong, told = OPEN[cloud]
    text = (copy / "infra" / name).read_text(encoding="utf-8")
    assert text.count(right) == 1
    (copy / "infra" / name).write_text(text.replace(right, wrong), encoding="utf-8")
    assert told in [one["check_id"] for one in checked(copy)["results"]["failed_checks"]]


@every_real
def test_a_plan_says_what_it_wants(cloud: str, arrived: Callable[[str], Path], tmp_path: Path) -> None:
    """A variable that lacks is named, and so is one that cannot be: none takes just anything."""
    shutil.copy(arrived(cloud) / "infra/variables.tf", tmp_path)
    text = (tmp_path / "variables.tf").read_text(encoding="utf-8")
    names = [line.split('"')[1] for line in text.splitlines() if line.startswith("variable ")]
    assert text.count("error_message") == len(names) > 5
    done = terraform(tmp_path, "plan")
    assert done.returncode == 1
    for name in ("project", "github_subject", "region", "email", "budget"):
        assert f'variable "{name}" is not set' in done.stderr
    (tmp_path / "terraform.tfvars.json").write_text(json.dumps({name: BAD[name] for name in names}), encoding="utf-8")
    done = terraform(tmp_path, "plan")
    assert done.returncode == 1
    said = " ".join(done.stderr.replace("\u2502", " ").split())
    assert [name for name in names if f"{name} must be " not in said] == []


@pytest.fixture(scope="session")
def bindings(tmp_path_factory: pytest.TempPathFactory) -> Bindings:
    """Return the bindings of all providers that cannot be had here."""
    folder = tmp_path_factory.mktemp("bindings")
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    subprocess.run([*command, *(wheel for wheels in BOUND.values() for wheel in wheels)], check=True)
    return Bindings(folder)


@pytest.mark.parametrize("cloud", BOUND)
def test_the_provider_has_what_is_asked_of_it(
    cloud: str, arrived: Callable[[str], Path], bindings: Bindings, tmp_path: Path
) -> None:
    """Each type, argument, block and attribute; one that is made up is found."""
    infra = arrived(cloud) / "infra"
    count, wrong = check(infra, bindings)
    assert wrong == []
    assert count > 25
    copy = shutil.copytree(infra, tmp_path / "infra")
    text = (copy / "mlflow.tf").read_text(encoding="utf-8")
    begin = text.index("\n}\n", text.index('\nresource "'))
    (copy / "mlflow.tf").write_text(f'{text[:begin]}\n  colour = "red"{text[begin:]}', encoding="utf-8")
    assert [one.rpartition(" ")[2] for one in check(copy, bindings)[1]] == ["colour"]
    (tmp_path / "empty").mkdir()
    assert len(check(tmp_path / "empty", bindings)[1]) == 1


@every_real
def test_what_the_database_allows_is_the_same_everywhere(cloud: str, arrived: Callable[[str], Path]) -> None:
    """What was tried on a real PostgreSQL for AWS."""
    ours, tried = (arrived(one) / "infra/roles.sql" for one in (cloud, "aws"))
    assert ours.read_bytes() == tried.read_bytes()


@every_real
def test_a_server_is_given_its_secrets(cloud: str, arrived: Callable[[str], Path]) -> None:
    """Who may ask it, and what hides private columns: without that, it would not start with one."""
    lines = (arrived(cloud) / "infra/service.tf").read_text(encoding="utf-8").splitlines()
    said = "\n".join(line.partition("#")[0] for line in lines)
    assert [name for name in ("SERVE_TOKEN", "LOG_KEY") if name not in said] == []


@every_real
def test_before_anything_was_made_deploy_says_so(cloud: str, arrived: Callable[[str], Path]) -> None:
    """In one line, whatever it is asked."""
    for asked in ("current", "roll-out", "accept", "stop", "log"):
        done = run(arrived(cloud), "python", "infra/deploy.py", asked, "production", "registry/team/project")
        assert done.returncode == 1
        assert done.stderr.startswith(f"{asked} production: infra/created.json is missing: ")
        assert done.stderr.count("\n") == 1


@every_real
def test_before_anything_was_made_training_goes_on(cloud: str, bake: Bake, tmp_path: Path) -> None:
    """A fresh project is green until it has something to deliver to."""
    ran = logged_in(bake(cloud=cloud), tmp_path / "home", ACTIONS_ID_TOKEN_REQUEST_URL="https://github")
    assert {role: ran.jobs[role] for role in ROLES} == {
        "reader": "success", "trainer": "success", "promoter": "failure", "deployer": "failure"
    }  # fmt: skip
    assert "infra/created.json is missing" in ran.said["promoter"]


@every_real
def test_who_has_no_token_of_github_is_told(cloud: str, bake: Bake, tmp_path: Path) -> None:
    """A change from a fork: it reads nothing, and whoever has to log in is red."""
    project = bake(cloud=cloud)
    (project / "infra/created.json").write_text("{}", encoding="utf-8")
    ran = logged_in(project, tmp_path / "home", ACTIONS_ID_TOKEN_REQUEST_URL="")
    assert {role: ran.jobs[role] for role in ROLES} == {
        "reader": "success", "trainer": "failure", "promoter": "failure", "deployer": "failure"
    }  # fmt: skip
    assert "reader: in= uri=" in ran.said["reader"]
    assert "GitHub gives this job no token" in ran.said["deployer"]
