"""From main to production and back, run by act: a real engine and image registry; of GitHub itself doubles alone.

The tests are one story, told in order on one repository, which the first push has brought to production.
"""

from __future__ import annotations

import json
import re
import tarfile
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from acting import Ran, act, calls
from asking import Api
from baking import commit, git
from conftest import Bake
from engine import Engine
from killing import rows
from running import SLUG, set_param
from stores import Registry

STUB = """
on:
  workflow_call:
    outputs: {passed: {value: "${{ jobs.pass.outputs.passed }}"}}
jobs:
  pass:
    runs-on: ubuntu-latest
    outputs: {passed: "${{ steps.one.outputs.passed }}"}
    steps: [{id: one, run: 'echo passed=true >> "$GITHUB_OUTPUT"'}]
"""
pytestmark = pytest.mark.slow
DELIVERED = ("pass", "model", "image", "staging", "production", "champion", "record")
#: A client that asks about rows of the table, with the code of the image.
ASK = f"""
import sys
import pandas as pd
from {SLUG} import config, schema
from {SLUG}.serving.client import Client
contract, rows = schema.load(), pd.read_parquet("/demo/flights.parquet")
rows = rows[(rows[contract.time] >= sys.argv[1]) & (rows[contract.time] < sys.argv[2])]
Client("http://127.0.0.1:8000").predict(rows[[*contract.key, *contract.inputs]], contract, config.load().serve)
print(len(rows))
"""


class Site(NamedTuple):
    """A repository, what GitHub has of it, and the engine that its images run on."""

    project: Path
    home: Path
    engine: Engine
    name: str
    server: str = ""

    def push(self, what: str) -> Ran:
        """Commit what was changed, and let act run what a push to main starts, without the checks of `ci`."""
        (self.project / ".github/workflows/ci.yml").write_text(STUB, encoding="utf-8")
        commit(self.project, self.home)
        return self.start(what, "cd", "push")

    def start(self, what: str, workflow: str, event: str, payload: dict[str, Any] | None = None) -> Ran:
        """Let act run a workflow; what it leaves is in a folder of this name."""
        run = self.home / what
        run.mkdir()
        (run / "gh").symlink_to(self.home / "gh")
        options = ("--workflows", f".github/workflows/{workflow}.yml", "--env", f"GITHUB_REPOSITORY=Team/{self.name}")
        stores = ("--var", f"IMAGE_REGISTRY={self.engine.registry}", "--var", f"MLFLOW_TRACKING_URI={self.server}")
        return act(self.project, run, event, payload, *options, *stores, **self.engine.variables)

    def ask(self, start: str, end: str) -> int:
        """Ask production about the table's own rows of these days, and wait for its log; how many there are."""
        run = ("run", "--rm", "--network", "host", "--volume", f"{self.project}/demo:/demo:ro")
        found = self.engine.docker(*run, "--entrypoint", "python", self.image("production"), "-c", ASK, start, end)
        time.sleep(5)
        return int(found)

    def releases(self) -> list[dict[str, Any]]:
        """Return the releases, oldest first."""
        found: list[dict[str, Any]] = json.loads((self.home / "gh" / "releases.json").read_text(encoding="utf-8"))
        return found

    def assets(self, tag: str) -> list[str]:
        """Return the names of what a release holds."""
        (release,) = (one for one in self.releases() if one["tag_name"] == tag)
        return [str(one["name"]) for one in release["assets"]]

    def image(self, environment: str) -> str:
        """Return the image, by its digest, that runs in an environment."""
        return self.engine.docker("inspect", "--format", "{{.Config.Image}}", f"{self.name}-{environment}")

    def champion(self) -> str:
        """Return the digest of the champion in the registry of record."""
        (release,) = (one for one in self.releases() if one["tag_name"] == "registry")
        newest = max(release["assets"], key=lambda one: str(one["name"]))
        with tempfile.TemporaryDirectory() as folder:
            with tarfile.open(self.home / "gh" / "assets" / str(newest["id"])) as tar:
                tar.extractall(folder, filter="data")
            return aliases_in(Path(folder, ".mlflow/mlflow.db"))["champion"]


def aliases_in(store: Path) -> dict[str, str]:
    """Return the digest that each alias points to."""
    query = """select alias, value from registered_model_aliases join model_version_tags using (name, version)
               where key = 'digest'"""
    return dict(rows(store, query))


def removed(site: Site) -> None:
    """Let nothing run in any environment, and keep no log: ports are few, and an engine may be somebody's own."""
    for container in site.engine.docker("ps", "--all", "--quiet", "--filter", f"name=^{site.name}-").split():
        site.engine.docker("rm", "--force", container)
    for volume in site.engine.docker("volume", "ls", "--quiet", "--filter", f"name={site.name}-").split():
        site.engine.docker("volume", "rm", volume)


def shown(environment: str, page: str) -> str:
    """Return a page of what runs in an environment."""
    port = {"staging": 8001, "production": 8000}[environment]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{page}", timeout=30) as answer:
        return str(answer.read().decode())


def served(environment: str) -> str:
    """Return the digest of the model that answers in an environment."""
    return str(json.loads(shown(environment, "/version"))["digest"])


def unreadable(dockerfile: str) -> str:
    """Return a Dockerfile whose server may not read its model."""
    copied = "COPY bundle bundle"
    assert copied in dockerfile
    return dockerfile.replace(copied, f"USER 0\n{copied}\nRUN chmod -R go= bundle\nUSER 10001")


@pytest.fixture(scope="module")
def site(bake: Bake, tmp_path_factory: pytest.TempPathFactory, engine: Engine) -> Iterator[Site]:
    """Return a fresh project after its first push; what it runs ends with these tests."""
    home = tmp_path_factory.mktemp("site")
    (home / "gh").mkdir()
    made = Site(bake(home / "bake"), home, engine, f"project{uuid.uuid4().hex[:8]}")
    try:
        ran = made.push("cold_start")
        assert {job: ran.jobs.get(job) for job in DELIVERED} == dict.fromkeys(DELIVERED, "success"), ran.red
        yield made
    finally:
        removed(made)


def test_a_cold_start_reaches_production(site: Site, api: Api) -> None:
    """The first push: the first champion, one image for both environments, the registry and the model released."""
    assert [one["tag_name"] for one in site.releases()] == ["registry", "model-v1"]
    assert [one["draft"] for one in site.releases()] == [False, False]
    assert len(site.assets("registry")) == 1
    assert site.assets("model-v1") == ["bundle.tar.gz", "sbom.json", "model_card.md", "promotion.json"]
    assert site.image("staging") == site.image("production") != ""
    assert served("staging") == served("production") == site.champion()
    attested = (site.home / "cold_start" / "attested").read_text(encoding="utf-8").splitlines()
    assert attested[0] == site.image("production")
    assert attested[1].endswith("  delivery/bundle.tar.gz")
    made = calls(site.home)
    assert [fault for call in made for fault in api.faults(call)] == []


def test_the_list_of_libraries_is_that_of_the_image(site: Site) -> None:
    """The SBOM is made beside the image, from the same lock: nothing more and nothing less is in it."""
    told = json.loads((site.home / "cold_start/artifacts/delivery/sbom.json").read_text(encoding="utf-8"))
    listed = {f"{one['name'].lower().replace('_', '-')}=={one['version']}" for one in told["components"]}
    code = "import importlib.metadata as m; print(*(f'{d.name}=={d.version}' for d in m.distributions()))"
    found = site.engine.docker("run", "--rm", "--entrypoint", "python", site.image("production"), "-c", code)
    assert listed == {one.lower().replace("_", "-") for one in found.split()}
    assert len(listed) > 50


def test_what_is_not_in_the_image_deploys_nothing(site: Site) -> None:
    """A change of texts: the same champion, no version, no image, no approval asked for."""
    before = (site.releases(), site.image("production"))
    with (site.project / "docs" / "runbook.md").open("a", encoding="utf-8") as text:
        text.write("\nMore.\n")
    ran = site.push("nothing_changed")
    done = {job for job, result in ran.jobs.items() if result == "success"}
    assert done == {*DELIVERED} - {"staging", "production", "champion"}, ran.red
    assert "unchanged" in ran.summary
    assert "Production runs this image already" in ran.summary
    assert (site.releases(), site.image("production")) == before


def pulls(site: Site) -> list[dict[str, Any]]:
    """Return the pull requests."""
    path = site.home / "gh" / "pulls.json"
    return list(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else []


def test_a_healthy_champion_is_a_line(site: Site) -> None:
    """The last week of what it was tested on: production shows it, and nothing is written anywhere else."""
    assert site.ask("2013-08-25", "2013-09-01") > 200
    releases = site.releases()
    ran = site.start("healthy", "monitor", "workflow_dispatch", {"inputs": {"until": "2013-09-01"}})
    assert ran.jobs["look"] == "success", ran.red
    assert "healthy: nothing calls for a retraining" in ran.summary
    assert 'monitor_decision{decision="healthy"} 1.0' in shown("production", "/metrics")
    assert ran.jobs.get("request", "skipped") == "skipped"
    assert (site.releases(), pulls(site)) == (releases, [])


def test_an_old_champion_brings_exactly_one_request(site: Site, api: Api) -> None:
    """The window moved, trained, judged, and asked for; asked again while it is open, nothing happens."""
    champion, stores = site.champion(), len(site.assets("registry"))
    assert site.ask("2013-11-24", "2013-12-01") > 200
    theirs = {"id": 1, "number": 1, "head": {"ref": "retrain/2013-11-30", "repo": {"full_name": "stranger/it"}}}
    (site.home / "gh" / "pulls.json").write_text(json.dumps([theirs]), encoding="utf-8")  # holds up nobody
    made = len(calls(site.home))
    ran = site.start("retrain", "monitor", "schedule")
    assert ran.jobs == {"look": "success", "record": "success", "request": "success"}, ran.red
    assert "retrain: " in ran.summary
    _, pull = pulls(site)
    assert pull["body"].splitlines()[0].startswith("ci waits below for somebody with write access")
    assert "\n## ✅ All 18 gates passed" in pull["body"]
    assert "| champion non_inferior | brier |" in pull["body"]
    assert "would be promoted: every test passed" in pull["body"]
    assert "days old (max_age_days)" in pull["body"]
    changed = git("diff", "--name-only", f"master...{pull['head']['ref']}", cwd=site.project, home=site.home).decode()
    assert {"params.yaml", "dvc.lock", "reports/posttrain.json"} <= set(changed.split())
    window = git("diff", f"master...{pull['head']['ref']}", "--", "params.yaml", cwd=site.project, home=site.home)
    lines = [line for line in window.decode().splitlines() if re.match(r"[-+] ", line)]
    assert lines == ['-  end: "2013-09-01"', '+  end: "2013-11-30"']
    assert (site.champion(), len(site.assets("registry"))) == (champion, stores + 1)
    told = calls(site.home)[made:]
    assert [fault for call in told for fault in api.faults(call)] == []

    again = site.start("again", "monitor", "schedule")
    assert again.jobs["look"] == "success", again.red
    assert "open already: #1001" in again.summary
    assert (pulls(site), len(site.assets("registry"))) == ([theirs, pull], stores + 1)


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"until": "2013-12-01; touch harmed", "digest": "0" * 64}, "until must be a day"),
        ({"until": "2013-12-01", "digest": "$(touch harmed)"}, "digest must be 64 hexadecimal digits"),
        ({"until": "2013-12-01"}, "both needed: until, digest"),
        ({"until": "2013-12-01", "digest": "0" * 64}, "asks about 000000000000, but the champion is"),
    ],
)
def test_what_comes_from_outside_is_held_to_what_it_may_be(site: Site, payload: dict[str, str], said: str) -> None:
    """A request of another server is refused before anything is done with it."""
    (site.home / "gh" / "pulls.json").unlink(missing_ok=True)
    before = site.releases()
    folder = f"outside_{len(list(site.home.glob('outside_*')))}"
    ran = site.start(folder, "monitor", "repository_dispatch", {"action": "retrain", "client_payload": payload})
    assert ran.jobs["look"] == "failure"
    assert said in ran.red
    assert (site.releases(), pulls(site)) == (before, [])
    assert list((site.home / folder).rglob("harmed*")) == []
    assert not (site.project / "harmed").exists()


def test_a_refused_model_is_red_and_its_look_is_kept(site: Site) -> None:
    """No image is made of it; that the test rows were looked at once more is in the registry of record."""
    before = (site.image("production"), site.champion(), len(site.assets("registry")))
    set_param(site.project, "train.arguments.max_iter", 101)
    ran = site.push("refused")
    assert (ran.jobs["model"], ran.jobs["record"]) == ("failure", "success"), ran.red
    assert "refused" in ran.summary
    assert not {"image", "staging", "production"} & {job for job, result in ran.jobs.items() if result == "success"}
    assert (site.image("production"), site.champion(), len(site.assets("registry")) - 1) == before
    set_param(site.project, "train.arguments.max_iter", 100)


def test_a_failed_smoke_test_takes_everything_back(site: Site) -> None:
    """A model that would be champion, in an image that cannot read it: nothing of it stays; mended, it is promoted."""
    staged, champion, releases = site.image("staging"), site.champion(), len(site.releases())
    set_param(site.project, "ingest.end", "2013-12-01")
    dockerfile = site.project / "Dockerfile"
    right = dockerfile.read_text(encoding="utf-8")
    dockerfile.write_text(unreadable(right), encoding="utf-8")
    ran = site.push("failed_smoke")
    assert (ran.jobs["image"], ran.jobs["staging"], ran.jobs["record"]) == ("success", "failure", "success"), ran.red
    assert "production" not in {job for job, result in ran.jobs.items() if result == "success"}
    assert f"staging runs {staged} at " in ran.red
    assert "staging runs what it ran before" in ran.red
    assert site.image("staging") == staged
    assert served("staging") == served("production") == champion == site.champion()
    assert len(site.releases()) == releases

    with (site.project / "docs" / "runbook.md").open("a", encoding="utf-8") as text:
        text.write("\nStill broken.\n")
    ran = site.push("still_broken")  # its image is there already, and that is no reason to take it for delivered
    assert (ran.jobs["image"], ran.jobs["staging"], ran.jobs["record"]) == ("success", "failure", "success"), ran.red
    assert (site.champion(), served("production"), len(site.releases())) == (champion, champion, releases)

    dockerfile.write_text(right, encoding="utf-8")
    ran = site.push("mended")
    assert {job: ran.jobs.get(job) for job in DELIVERED} == dict.fromkeys(DELIVERED, "success"), ran.red
    assert served("staging") == served("production") == site.champion() != champion
    assert len(site.releases()) == releases + 1


def test_with_a_tracking_server_that_one_is_the_registry(
    site: Site, bake: Bake, tmp_path_factory: pytest.TempPathFactory, server: Registry
) -> None:
    """Its champion is compared with, and moved once production serves the new one. No release holds a registry."""
    home = tmp_path_factory.mktemp("other")
    (home / "gh").mkdir()
    removed(site)
    other = Site(bake(home / "bake"), home, site.engine, f"other{uuid.uuid4().hex[:8]}", server.url)
    dockerfile = other.project / "Dockerfile"
    right = dockerfile.read_text(encoding="utf-8")
    try:
        dockerfile.write_text(unreadable(right), encoding="utf-8")
        ran = other.push("first_fails")
        assert (ran.jobs["staging"], ran.jobs["record"]) == ("failure", "success"), ran.red
        assert "champion" not in server.aliases()
        dockerfile.write_text(right, encoding="utf-8")
        ran = other.push("cold_start")
        assert {job: ran.jobs.get(job) for job in DELIVERED} == dict.fromkeys(DELIVERED, "success"), ran.red
        champion = server.aliases()["champion"]
        assert served("staging") == served("production") == champion
        assert [one["tag_name"] for one in other.releases()] == ["model-v1"]

        set_param(other.project, "ingest.end", "2013-12-01")
        dockerfile.write_text(unreadable(right), encoding="utf-8")
        ran = other.push("failed_smoke")
        assert (ran.jobs["staging"], ran.jobs["record"]) == ("failure", "success"), ran.red
        assert len(server.digests()) == 2
        assert server.aliases()["champion"] == served("production") == champion
        assert [one["tag_name"] for one in other.releases()] == ["model-v1"]

        dockerfile.write_text(right, encoding="utf-8")
        ran = other.push("mended")
        assert {job: ran.jobs.get(job) for job in DELIVERED} == dict.fromkeys(DELIVERED, "success"), ran.red
        assert served("staging") == served("production") == server.aliases()["champion"] != champion
        assert [one["tag_name"] for one in other.releases()] == ["model-v1", "model-v2"]
    finally:
        removed(other)
