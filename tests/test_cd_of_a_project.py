"""From main to production, run by act: a real engine and image registry, doubles of releases and attestations alone."""

from __future__ import annotations

import json
import tarfile
import tempfile
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from acting import Ran, act, calls
from asking import Api
from baking import commit
from conftest import Bake
from engine import Engine
from killing import rows
from running import set_param

REPOSITORY, NAME = "Team/project", "team/project"
STUB = {"on": "workflow_call", "jobs": {"pass": {"runs-on": "ubuntu-latest", "steps": [{"run": "true"}]}}}
DELIVERED = ("pass", "model", "image", "staging", "production", "record")


class Site(NamedTuple):
    """A repository, what GitHub has of it, and the engine that its images run on."""

    project: Path
    home: Path
    engine: Engine

    def push(self, what: str) -> Ran:
        """Commit what was changed, and let act run what a push to main starts, without the checks of `ci`."""
        (self.project / ".github/workflows/ci.yml").write_text(yaml.safe_dump(STUB), encoding="utf-8")
        commit(self.project, self.home)
        run = self.home / what
        run.mkdir()
        (run / "gh").symlink_to(self.home / "gh")
        options = ("--workflows", ".github/workflows/cd.yml", "--env", f"GITHUB_REPOSITORY={REPOSITORY}")
        registry = ("--var", f"IMAGE_REGISTRY={self.engine.registry}")
        return act(self.project, run, "push", None, *options, *registry, **self.engine.variables)

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
        return self.engine.docker("inspect", "--format", "{{.Config.Image}}", f"project-{environment}")

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


def served(environment: str) -> str:
    """Return the digest of the model that answers in an environment."""
    port = {"staging": 8001, "production": 8000}[environment]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/version", timeout=30) as answer:
        return str(json.load(answer)["digest"])


@pytest.fixture(scope="module")
def site(bake: Bake, tmp_path_factory: pytest.TempPathFactory, engine: Engine) -> Site:
    """Return a fresh project after its first push."""
    home = tmp_path_factory.mktemp("site")
    (home / "gh").mkdir()
    made = Site(bake(home / "bake"), home, engine)
    ran = made.push("cold_start")
    assert {job: ran.jobs.get(job) for job in DELIVERED} == dict.fromkeys(DELIVERED, "success"), ran.red
    return made


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
    assert done == {*DELIVERED} - {"staging", "production"}, ran.red
    assert "unchanged" in ran.summary
    assert "nothing to deploy" in ran.summary
    assert (site.releases(), site.image("production")) == before


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
    dockerfile.write_text(right.replace("USER 10001", "RUN chmod -R go= bundle\nUSER 10001"), encoding="utf-8")
    ran = site.push("failed_smoke")
    assert (ran.jobs["image"], ran.jobs["staging"], ran.jobs["record"]) == ("success", "failure", "success"), ran.red
    assert "production" not in {job for job, result in ran.jobs.items() if result == "success"}
    assert f"staging runs {staged} again" in ran.red
    assert site.image("staging") == staged
    assert served("staging") == served("production") == champion == site.champion()
    assert len(site.releases()) == releases

    dockerfile.write_text(right, encoding="utf-8")
    ran = site.push("mended")
    assert {job: ran.jobs.get(job) for job in DELIVERED} == dict.fromkeys(DELIVERED, "success"), ran.red
    assert served("staging") == served("production") == site.champion() != champion
    assert len(site.releases()) == releases + 1
