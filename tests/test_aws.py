"""What `cloud: aws` makes: applied by the real provider against a local AWS API, used by the pipeline, destroyed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest
from acting import DOUBLES, SCRIPTS
from baking import ROOT
from clouds import ROLES, logged_in, terraform
from conftest import Bake
from engine import Engine
from running import SLUG, command, digest, free_port, run, works
from stores import Registry, Server, answers, binaries, healthy
from test_cd_of_a_project import ASK, DELIVERED, Site, removed, unreadable

ANSWERS = {
    "github_subject": "repo:Team@1/Flights@2",
    "region": "eu-central-1",
    "email": "team@example.org",
    "budget": "250",
    "protect": "false",
    "mlflow_image": "mlflow-1",
}
STATE = "state-of-the-tests"
#: A local API has no names for buckets in its address.
LOCAL = 'provider "aws" {\n  s3_use_path_style = true\n}\n'
#: As deploy.sh gives it.
IMAGE = "registry/team/flights@sha256:" + "a" * 64
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:botocore")


class Cloud(NamedTuple):
    """A local AWS: its address without TLS, what a client needs, and an `infra/` whose parts are made in it."""

    plain: str
    variables: dict[str, str]
    infra: Path

    def client(self, service: str, address: str | None = None) -> Any:
        """Return a client of a service."""
        known = {name: self.variables[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")}
        keys = {
            "aws_access_key_id": known["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": known["AWS_SECRET_ACCESS_KEY"],
        }
        return boto3.client(service, endpoint_url=address or self.variables["AWS_ENDPOINT_URL"], verify=self.bundle,
                            region_name=known["AWS_REGION"], **keys)  # fmt: skip

    @property
    def bundle(self) -> str:
        """Return the file with the certificate that the API shows."""
        return self.variables["AWS_CA_BUNDLE"]

    @property
    def created(self) -> dict[str, Any]:
        """Return what Terraform says that it made."""
        found: dict[str, Any] = json.loads((self.infra / "created.json").read_text(encoding="utf-8"))
        return found

    def deploy(self, folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run deploy.py in a folder."""
        path = os.pathsep.join([str(SCRIPTS), os.environ["PATH"]])
        return subprocess.run([sys.executable, self.infra / "deploy.py", *arguments], cwd=folder, check=False,
                              env=os.environ | self.variables | {"PATH": path} | variables,
                              capture_output=True, text=True)  # fmt: skip

    def task(self, family: str) -> dict[str, dict[str, Any]]:
        """Return the containers of the newest task definition of a family, by their names."""
        name = f"{self.created['name']}-{family}"
        found = self.client("ecs").describe_task_definition(taskDefinition=name)["taskDefinition"]
        return {container["name"]: container for container in found["containerDefinitions"]}

    def environment(self, container: dict[str, Any]) -> dict[str, str]:
        """Return what a container finds in its environment, secrets too."""
        store = self.client("secretsmanager")
        secrets = {
            one["name"]: store.get_secret_value(SecretId=one["valueFrom"])["SecretString"]
            for one in container.get("secrets", ())
        }
        return secrets | {one["name"]: one["value"] for one in container.get("environment", ())}


def settled(folder: Path, cloud: Cloud, *arguments: str) -> str:
    """Return what Terraform printed; it must have succeeded."""
    done = terraform(folder, *arguments, **cloud.variables)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout


@pytest.fixture(scope="session")
def infra(bake: Bake) -> Path:
    """Return the folder `infra` of a fresh project, its provider fetched; not to be changed."""
    folder = bake(cloud="aws") / "infra"
    for root in (folder, folder / "state"):
        assert terraform(root, "init", "-backend=false").returncode == 0
    return folder


@pytest.fixture(scope="session")
def cloud(infra: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Return a local AWS in which everything was made as infra/README.md says, its state in a bucket of its own."""
    home = tmp_path_factory.mktemp("aws")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key", "-out", "certificate",
                    "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
                   cwd=home, check=True, capture_output=True)  # fmt: skip
    port, plain = free_port(), free_port()
    address = f"https://127.0.0.1:{port}"
    variables = {
        "AWS_ENDPOINT_URL": address,
        "AWS_CA_BUNDLE": str(home / "certificate"),
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_REGION": ANSWERS["region"],
        "AWS_DEFAULT_REGION": ANSWERS["region"],
        "AWS_MAX_ATTEMPTS": "2",
    }
    api = Server([sys.executable, str(ROOT / "tests/stand_ins/aws.py"), str(port), str(plain), "certificate", "key"],
                 port, home / "log", up=lambda _: answers(f"http://127.0.0.1:{plain}"))  # fmt: skip
    found = Cloud(f"http://127.0.0.1:{plain}", variables, home / "infra")
    shutil.copytree(infra, found.infra, symlinks=True)
    for root in (found.infra, found.infra / "state"):
        (root / "local_override.tf").write_text(LOCAL, encoding="utf-8")
    given = "".join(f'{name} = "{value}"\n' for name, value in ANSWERS.items())
    with (found.infra / "terraform.tfvars").open("a", encoding="utf-8") as file:
        file.write(given)
    api.start()
    apply = ("apply", "-auto-approve", "-parallelism=20")
    settled(found.infra / "state", found, *apply, f"-var=bucket={STATE}", f"-var=region={ANSWERS['region']}")
    where = {"bucket": STATE, "key": "terraform.tfstate", "region": ANSWERS["region"], "use_path_style": "true"}
    settled(found.infra, found, "init", "-reconfigure", *(f"-backend-config={key}={it}" for key, it in where.items()))
    settled(found.infra, found, *apply)
    for name, how in (("created.json", ("-json", "created")), ("dvc.config", ("-raw", "dvc_config"))):
        (found.infra / name).write_text(settled(found.infra, found, "output", *how), encoding="utf-8")
    yield found
    api.end()


def test_terraform_is_well_formed(infra: Path, tmp_path: Path) -> None:
    """Formatted, valid, its own tests green, and red once a bucket keeps no versions."""
    assert terraform(infra, "fmt", "-check", "-recursive").stdout == ""
    assert "Success" in terraform(infra, "validate").stdout
    assert "2 passed, 0 failed" in terraform(infra / "state", "test").stdout
    copy = shutil.copytree(infra, tmp_path / "infra", symlinks=True)
    text = (copy / "bucket/main.tf").read_text(encoding="utf-8")
    assert text.count('status = "Enabled"\n  }') == 1
    (copy / "bucket/main.tf").write_text(text.replace('status = "Enabled"\n  }', 'status = "Suspended"\n  }'))
    done = terraform(copy / "state", "test")
    assert done.returncode == 1
    assert "A bucket must keep old versions." in done.stderr


def test_a_second_plan_has_nothing_to_do_and_no_secret_is_in_the_state(cloud: Cloud) -> None:
    """What was made is what is written; passwords are in the store alone."""
    assert terraform(cloud.infra, "plan", "-detailed-exitcode", **cloud.variables).returncode == 0
    state = cloud.client("s3").get_object(Bucket=STATE, Key="terraform.tfstate")["Body"].read().decode()
    assert cloud.created["predictions"] in state
    store = cloud.client("secretsmanager")
    names = [one["Name"] for one in store.list_secrets()["SecretList"]]
    secrets = {name: store.get_secret_value(SecretId=name)["SecretString"] for name in names}
    assert sorted(name.rpartition("/")[2] for name in secrets) == ["log-key", "promoter", "token", "trainer"]
    assert len(set(secrets.values())) == 4
    assert [name for name, value in secrets.items() if len(value) < 40 or value in state] == []
    database = cloud.client("rds").describe_db_instances()["DBInstances"][0]
    assert (database["PubliclyAccessible"], database["StorageEncrypted"]) == (False, True)


def test_a_bucket_answers_over_tls_only(cloud: Cloud) -> None:
    """Without TLS nobody puts anything in."""
    bucket = cloud.created["predictions"]
    cloud.client("s3").put_object(Bucket=bucket, Key="staging/x", Body=b"")
    plain = cloud.client("s3", cloud.plain)
    with pytest.raises(plain.exceptions.ClientError, match="403"):
        plain.put_object(Bucket=bucket, Key="staging/y", Body=b"")


def test_dvc_pushes_and_pulls(cloud: Cloud, copy: Path) -> None:
    """The remote is the bucket that was made; a clone's empty cache is filled from it."""
    shutil.copy(cloud.infra / "dvc.config", copy / ".dvc/config")
    works(run(copy, "dvc", "push", **cloud.variables))
    shutil.rmtree(copy / ".dvc/cache")
    shutil.rmtree(copy / "data")
    works(run(copy, "dvc", "pull", **cloud.variables))
    assert works(run(copy, "dvc", "status")).strip() == "Data and pipelines are up to date."


def test_an_image_is_rolled_out_and_back(cloud: Cloud, tmp_path: Path) -> None:
    """Which image runs is deploy.py's to say, how it runs Terraform's; what is not there is one line."""
    said = cloud.deploy(tmp_path, "current", "production", "registry/team/flights")
    assert (said.returncode, said.stdout) == (0, "\n")
    address = works(cloud.deploy(tmp_path, "roll-out", "production", IMAGE)).strip()
    assert address == cloud.created["environments"]["production"]
    assert cloud.task("production")["server"]["image"] == IMAGE
    assert cloud.task("production")["log"]["image"] != IMAGE
    told = cloud.environment(cloud.task("production")["server"])
    assert told["SERVE_TOKEN"] != told["LOG_KEY"]
    works(cloud.deploy(tmp_path, "accept", "production", IMAGE))
    assert works(cloud.deploy(tmp_path, "current", "production", "registry/team/flights")).strip() == IMAGE
    assert works(cloud.deploy(tmp_path, "current", "staging", "registry/team/flights")).strip() == ""
    # A deployment changes nothing of what Terraform holds.
    assert terraform(cloud.infra, "plan", "-detailed-exitcode", **cloud.variables).returncode == 0
    works(cloud.deploy(tmp_path, "stop", "production", "registry/team/flights"))
    found = cloud.client("ecs").describe_services(cluster=cloud.created["cluster"], services=["production"])
    assert found["services"][0]["desiredCount"] == 0
    dead = cloud.deploy(tmp_path, "current", "production", "x", AWS_ENDPOINT_URL="http://127.0.0.1:1")
    assert (dead.returncode, dead.stderr.count("\n")) == (1, 1)
    assert "Could not connect" in dead.stderr


def test_a_deployment_that_ecs_took_back_is_red(cloud: Cloud, tmp_path: Path) -> None:
    """Its circuit breaker ends with a service that is stable, on the old image."""
    real = SCRIPTS / "aws"
    stubborn = tmp_path / "aws"
    stubborn.write_text(f'#!/bin/sh\ncase "$*" in *update-service*) exit 0 ;; *) exec {real} "$@" ;; esac\n')
    stubborn.chmod(0o755)
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    done = cloud.deploy(tmp_path, "roll-out", "staging", IMAGE, PATH=path)
    assert done.returncode == 1
    assert f"no server of {IMAGE} became healthy" in done.stderr


def test_the_log_is_shipped_and_read(cloud: Cloud, tmp_path: Path) -> None:
    """By the very command of the container beside the server: whole files, once more when the task ends."""
    container = cloud.task("production")["log"]
    here = tmp_path / "task"
    hour = here / "2026-01-01/05"
    hour.mkdir(parents=True)
    (hour / "a-00000001-00000001.parquet").write_text("whole")
    (hour / ".a-00000002-00000002.parquet.partial").write_text("half")
    script = container["entryPoint"][-1].replace("/app/predictions", str(here))
    path = os.pathsep.join([str(SCRIPTS), os.environ["PATH"]])
    inside = os.environ | cloud.variables | cloud.environment(container) | {"PATH": path}
    inside["ECS_CONTAINER_METADATA_URI_V4"] = "http://169.254.170.2/v4/task-1"
    process = subprocess.Popen([*container["entryPoint"][:-1], script], env=inside, start_new_session=True)
    time.sleep(1)
    process.terminate()
    assert process.wait(60) == 0
    listed = cloud.client("s3").list_objects_v2(Bucket=cloud.created["predictions"], Prefix="production/")
    assert [one["Key"] for one in listed["Contents"]] == ["production/task-1/2026-01-01/05/a-00000001-00000001.parquet"]
    works(cloud.deploy(tmp_path, "log", "production", "x"))
    read = [str(one.relative_to(tmp_path)) for one in (tmp_path / "predictions").rglob("*") if one.is_file()]
    assert read == ["predictions/2026-01-01/05/a-00000001-00000001.parquet"]


def test_what_the_monitor_found_reaches_the_alarms(cloud: Cloud, tmp_path: Path) -> None:
    """Each alarm on what is found looks at a figure that `show` gives."""
    (tmp_path / "reports").mkdir()
    report = {"concerns": [{"gate": "drift", "asks": True}], "quality": {"verdict": "good"}, "decision": "retrain"}
    (tmp_path / "reports/monitor.json").write_text(json.dumps(report), encoding="utf-8")
    works(cloud.deploy(tmp_path, "show", "production", "x"))
    watch, name = cloud.client("cloudwatch"), cloud.created["name"]
    given = {one["MetricName"] for one in watch.list_metrics(Namespace=name)["Metrics"]}
    alarms = watch.describe_alarms(AlarmNamePrefix=f"{name}-")["MetricAlarms"]
    assert given == {one["MetricName"] for one in alarms if one.get("Namespace") == name}
    runbook = (ROOT / "{{cookiecutter.project_slug}}/docs/runbook.md").read_text(encoding="utf-8").lower()
    told = {one["AlarmDescription"].rpartition("docs/runbook.md#")[2] for one in alarms}
    assert {"predictionsslow", "trafficlost", "errorsserved", "serversaturated", "drift", "monitornotrun"} <= told
    assert [one for one in told if f"\n### {one}\n" not in runbook] == []


def test_who_may_log_in_is_told_by_the_token_alone(cloud: Cloud) -> None:
    """Each role by the subject that GitHub gives its jobs, in this repository alone, which images are named after."""
    of = "repo:Team@1/Flights@2"
    opened = {
        "reader": {f"{of}:pull_request", f"{of}:ref:refs/heads/*"},
        "trainer": {f"{of}:ref:refs/heads/main", f"{of}:ref:refs/heads/master"},
        "promoter": {f"{of}:environment:registry"},
        "deployer": {f"{of}:environment:staging", f"{of}:environment:production"},
    }
    assert set(cloud.created["roles"]) == set(opened)
    github = "token.actions.githubusercontent.com"
    for role, arn in cloud.created["roles"].items():
        found = cloud.client("iam").get_role(RoleName=arn.rpartition("/")[2])["Role"]["AssumeRolePolicyDocument"]
        (said,) = found["Statement"]
        assert said["Action"] == "sts:AssumeRoleWithWebIdentity"
        how = said["Condition"]
        assert set(how) <= {"StringEquals", "StringLike"}
        assert how["StringEquals"][f"{github}:aud"] == "sts.amazonaws.com"
        subjects = how["StringLike" if role == "reader" else "StringEquals"][f"{github}:sub"]
        assert ({subjects} if isinstance(subjects, str) else set(subjects)) == opened[role]
    assert cloud.created["registry"].endswith(".amazonaws.com")
    assert [one["repositoryName"] for one in cloud.client("ecr").describe_repositories()["repositories"]] == [
        "team/flights"
    ]


def test_each_role_logs_in_as_itself(cloud: Cloud, bake: Bake, tmp_path: Path) -> None:
    """By its own door, though the job's variable names another; no token is printed."""
    project = bake(cloud="aws")
    shutil.copy(cloud.infra / "created.json", project / "infra")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/aws").symlink_to(SCRIPTS / "aws")
    (tmp_path / "bin/docker").write_text(f'#!/bin/sh\ncat > /dev/null; echo "$@" >> {tmp_path}/docker\n')
    (tmp_path / "bin/docker").chmod(0o755)
    variables = {"PATH": str(tmp_path / "bin"), "ACTIONS_ID_TOKEN_REQUEST_URL": "https://github"}
    ran = logged_in(project, tmp_path / "home", **cloud.variables, **variables)
    assert set(ran.jobs.values()) == {"success"}, ran.red
    made = cloud.created
    said = {role: next(line for line in ran.said[role].splitlines() if "in=" in line) for role in ROLES}
    elsewhere = "uri=https://of-the-variable v4= "
    registry = made["registry"]
    assert said == {
        "reader": f"reader: in=true {elsewhere}images=ghcr.io token=0 .",
        "trainer": f"trainer: in=true uri={made['mlflow']['trainer']} v4=true images=ghcr.io token=0 .",
        "promoter": f"promoter: in=true uri={made['mlflow']['promoter']} v4=true images={registry} token=0 .",
        "deployer": f"deployer: in=true {elsewhere}images={registry} token=40 ***.",
    }
    assert sorted((tmp_path / "home/roles").read_text().split()) == sorted(made["roles"].values())
    logins = (tmp_path / "docker").read_text().splitlines()
    assert logins == [f"login {registry} --username AWS --password-stdin"] * 2


@pytest.fixture
def registry(cloud: Cloud, started: Path, postgres: Server) -> Iterator[dict[str, Registry]]:
    """Return the two MLflow servers of the task `mlflow`, as it starts them, on a real PostgreSQL."""
    containers = cloud.task("mlflow")
    inside = {name: cloud.environment(one) for name, one in containers.items()}
    psql = [str(binaries() / "psql"), "-q", "-h", "127.0.0.1", "-p", str(postgres.port), "-U", "mlflow", "postgres"]
    password = inside["promoter"]["PGPASSWORD"]
    make = f"create role promoter login createrole password '{password}'; create database mlflow owner promoter;"
    for statement in make.split("; "):
        subprocess.run([*psql, "-c", statement], check=True, env=os.environ | {"PGPASSWORD": "not-a-secret"})
    endpoint = cloud.client("rds").describe_db_instances()["DBInstances"][0]["Endpoint"]
    here = {
        f"@{endpoint['Address']}:{endpoint['Port']}": f"@127.0.0.1:{postgres.port}",
        "sslmode=require": "sslmode=prefer",
        "/opt/venv/bin": str(started / ".venv/bin"),
        "0.0.0.0": "127.0.0.1",
    }

    def local(text: str) -> str:
        for there, instead in here.items():
            text = text.replace(there, instead)
        return text

    found = {}
    for name in ("tables", "promoter", "roles", "trainer"):
        order = [local(word) for word in containers[name]["command"]]
        variables = cloud.variables | {key: local(value) for key, value in inside[name].items()}
        if name in ("tables", "roles"):
            for _ in range(2):  # each start of the task does it again
                subprocess.run(order, check=True, env=os.environ | variables)
            continue
        port = free_port()
        order = [f"--port={port}" if word.startswith("--port=") else word for word in order]
        found[name] = Registry(order, port, cloud.infra.parent / name, variables=variables, up=healthy)
        found[name].start()
    yield found
    for server in found.values():
        server.end()


def test_the_trainer_cannot_move_champion(cloud: Cloud, registry: dict[str, Registry], copy: Path) -> None:
    """It registers and judges; the alias moves, and what stands behind it, through the promoter's door alone."""
    shutil.rmtree(copy / ".mlflow")
    of = {
        name: cloud.variables | {"MLFLOW_TRACKING_URI": server.url, "MLFLOW_TRACKING_AWS_SIGV4": "true"}
        for name, server in registry.items()
    }
    first = digest(copy)
    works(command(copy, "promote", "--dry-run", **of["trainer"]))
    assert registry["trainer"].aliases() == {"challenger": first}
    refused = command(copy, "promote", **of["trainer"])
    assert refused.returncode != 0
    assert "champion" not in registry["trainer"].aliases()
    works(command(copy, "promote", "--dry-run", **of["trainer"]))
    works(command(copy, "promote", "--judged", **of["promoter"]))
    kept = {"challenger": first, "champion": first}
    assert registry["promoter"].aliases() == kept
    bucket = cloud.created["predictions"].replace("-predictions-", "-mlflow-")
    keys = [one["Key"] for one in cloud.client("s3").list_objects_v2(Bucket=bucket)["Contents"]]
    assert any(key.endswith("model.skops") for key in keys)
    works(command(copy, "promote", "--dry-run", **of["trainer"]))  # nothing new: it may look
    # No space in a query, which would be signed wrongly: these servers ask for no signature, AWS does.
    queries = re.findall(r'"(?:GET|DELETE) [^ ?]+\?([^ ]*) HTTP', registry["trainer"].log.read_text(errors="replace"))
    assert len(queries) > 5
    assert [one for one in queries if "+" in one or "%20" in one] == []
    trainer = registry["trainer"]
    attempts: list[tuple[str, str, dict[str, Any]]] = [
        ("registered-models/alias", "DELETE", {"alias": "champion"}),
        ("registered-models/alias", "POST", {"alias": "previous", "version": "1"}),
        ("registered-models/delete", "DELETE", {}),
        ("registered-models/rename", "POST", {"new_name": "other"}),
        ("model-versions/delete", "DELETE", {"version": "1"}),
        ("model-versions/set-tag", "POST", {"version": "1", "key": "digest", "value": "0"}),
        ("model-versions/update", "PATCH", {"version": "1", "description": "mine"}),
    ]
    for path, method, body in attempts:
        with pytest.raises(OSError, match="HTTP Error"):
            trainer.ask(path, method, name=SLUG, **body)
        assert registry["promoter"].aliases() == kept, path
    tags = registry["promoter"].ask("model-versions/get", name=SLUG, version="1")["model_version"]["tags"]
    assert {"key": "digest", "value": first} in tags
    trainer.ask("registered-models/alias", "POST", name=SLUG, alias="challenger", version="1")


@pytest.fixture
def site(cloud: Cloud, bake: Bake, engine: Engine, tmp_path: Path) -> Iterator[Site]:
    """Return a project whose images go to a real registry, and whose services run on a real engine."""
    project, name = bake(tmp_path / "bake", cloud="aws"), f"project{uuid.uuid4().hex[:8]}"
    here = {"staging": "http://127.0.0.1:8001", "production": "http://127.0.0.1:8000"}
    made = cloud.created | {"registry": engine.registry, "environments": here}
    (project / "infra/created.json").write_text(json.dumps(made), encoding="utf-8")
    for place in ("infra/dvc.config", ".dvc/config"):
        shutil.copy(cloud.infra / "dvc.config", project / place)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/aws").symlink_to(SCRIPTS / "aws")
    (tmp_path / "gh").mkdir()
    path = os.pathsep.join([str(DOUBLES / "fargate"), str(tmp_path / "bin"), engine.variables.get("PATH", "")])
    more = {"PATH": path, "FARGATE": name, "ACTIONS_ID_TOKEN_REQUEST_URL": "https://github"}
    found = Site(project, tmp_path, engine._replace(variables=engine.variables | cloud.variables | more), name)
    try:
        yield found
    finally:
        removed(found)


@pytest.mark.slow
def test_main_reaches_production_and_what_fails_is_taken_back(cloud: Cloud, site: Site) -> None:
    """By the workflows as they are: each job in its role, with the log of production and what the monitor found."""
    ran = site.push("first")
    assert {job: ran.jobs.get(job) for job in DELIVERED} == dict.fromkeys(DELIVERED, "success"), ran.red
    first, roles = site.image("production"), cloud.created["roles"]
    assert site.image("staging") == first
    assert works(cloud.deploy(site.home, "current", "production", "x")).strip() == first
    opened = (site.home / "first/roles").read_text(encoding="utf-8").split()
    assert opened == [roles[one] for one in ("trainer", "promoter", "deployer", "deployer", "promoter")]

    token = cloud.environment(cloud.task("production")["server"])["SERVE_TOKEN"]
    run = (
        "run",
        "--rm",
        "--network",
        "host",
        "--volume",
        f"{site.project}/demo:/demo:ro",
        "--env",
        f"SERVE_TOKEN={token}",
    )
    assert int(site.engine.docker(*run, "--entrypoint", "python", first, "-c", ASK, "2013-08-25", "2013-09-01")) > 200
    time.sleep(5)
    site.engine.docker("cp", f"{site.name}-production:/app/predictions", str(site.home / "task"))
    bucket = cloud.created["predictions"]
    for path in (site.home / "task").rglob("*.parquet"):
        key = f"production/task-1/{path.relative_to(site.home / 'task').as_posix()}"
        cloud.client("s3").upload_file(str(path), bucket, key)
    ran = site.start("healthy", "monitor", "workflow_dispatch", {"inputs": {"until": "2013-09-01"}})
    assert ran.jobs["look"] == "success", ran.red
    assert "healthy: nothing calls for a retraining" in ran.summary
    metrics = cloud.client("cloudwatch").list_metrics(Namespace=cloud.created["name"])["Metrics"]
    assert "Drift" in {one["MetricName"] for one in metrics}

    dockerfile = site.project / "Dockerfile"
    dockerfile.write_text(unreadable(dockerfile.read_text(encoding="utf-8")), encoding="utf-8")
    ran = site.push("broken")
    assert (ran.jobs["image"], ran.jobs["staging"]) == ("success", "failure"), ran.red
    assert "became healthy" in ran.red
    assert f"staging runs {first} at " in ran.red
    assert site.image("staging") == site.image("production") == first
    assert works(cloud.deploy(site.home, "current", "staging", "x")).strip() == first


def test_all_of_it_is_destroyed(cloud: Cloud) -> None:
    """Last, since nothing is left: what holds data goes because `protect` is false."""
    settled(cloud.infra, cloud, "destroy", "-auto-approve", "-parallelism=20")
    assert [one["Name"] for one in cloud.client("s3").list_buckets()["Buckets"]] == [STATE]
    for order in ("apply", "destroy"):
        settled(cloud.infra / "state", cloud, order, "-auto-approve", f"-var=bucket={STATE}", "-var=protect=false",
                f"-var=region={ANSWERS['region']}")  # fmt: skip
    assert cloud.client("s3").list_buckets()["Buckets"] == []
