"""Reproduction: what counts as equal, what is named when it is not, and where the clone gets its data."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.project_slug }}.errors import InputError
from {{ cookiecutter.project_slug }}.registry import lineage, reproduce, tracking, versions

from . import small_project

TABLE = pd.DataFrame({"id": [1, 2], "actual": [0.0, 1.0], "predicted": [0.25, 0.5], "linear": [0.1, 0.2]})


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project whose weak model is champion, as version 1."""
    return small_project.make(tmp_path / "p", monkeypatch)


def test_the_difference_is_the_models_alone():
    assert reproduce.largest_difference(TABLE, TABLE.assign(linear=0.9)) == 0.0
    assert reproduce.largest_difference(TABLE, TABLE.assign(predicted=[0.25, 0.25])) == 0.25
    classes = pd.DataFrame({"actual": [0.0], "predicted.0": [0.5], "predicted.1": [0.5]})
    assert reproduce.largest_difference(classes, classes.assign(**{"predicted.1": [0.375]})) == 0.125


@pytest.mark.parametrize(
    "made",
    [TABLE.iloc[:1], TABLE.assign(id=[2, 1]), TABLE.assign(actual=1.0), TABLE.rename(columns={"linear": "straight"})],
)
def test_other_rows_are_not_compared(made):
    assert reproduce.largest_difference(TABLE, made) == float("inf")


def test_what_differs_is_named_with_both_values():
    old = {"a": 1, "packages": {"numpy": "2.1", "gone": "1.0"}}
    new = {"a": 2, "packages": {"numpy": "2.2", "new": "3.0"}}
    assert reproduce.differing(old, new) == [
        "a: 1 -> 2", "packages.gone: 1.0 -> None", "packages.new: None -> 3.0", "packages.numpy: 2.1 -> 2.2",
    ]  # fmt: skip
    assert reproduce.differing(old, old) == []


def test_a_prediction_that_became_nothing_is_not_equal():
    recorded = pd.DataFrame({"id": [1, 2], "predicted": [0.1, 0.2]})
    assert reproduce.largest_difference(recorded, recorded) == 0
    assert not reproduce.largest_difference(recorded, recorded.assign(predicted=[0.1, np.nan])) <= reproduce.TOLERANCE


def test_a_figure_cut_to_the_other_side_is_the_same_and_one_further_away_is_not():
    """Two machines' 0.008206355 and a little less are written as 0.00820636 and 0.00820635."""
    assert reproduce.differing({"error": 0.00820635}, {"error": 0.00820636}) == []
    assert reproduce.differing({"error": 0.999999}, {"error": 1.0}) == []
    assert reproduce.differing({"error": 0.0}, {"error": 0.0}) == []
    assert reproduce.differing({"error": 0.100000}, {"error": 0.100002}) == ["error: 0.1 -> 0.100002"]
    assert reproduce.differing({"error": 0.999997}, {"error": 0.999999}) == ["error: 0.999997 -> 0.999999"]
    assert reproduce.differing({"rows": 10_000_000}, {"rows": 10_000_001}) == ["rows: 10000000 -> 10000001"]


def report(**changed):
    return {"version": "3", "equal": True, "largest_difference": 0.0, "same_bytes": True, "same_training_rows": True,
            "metrics": [], "machine": []} | changed  # fmt: skip


def test_what_is_told():
    assert reproduce.told(report()) == [
        "version 3 equal: predictions differ by 0 at most; model: the same bytes",
    ]
    unequal = reproduce.told(report(equal=False, largest_difference=0.5, same_bytes=False))
    assert unequal[0] == "version 3 NOT equal: predictions differ by 0.5 at most; model: other bytes"
    assert unequal[1:] == ["rows, Python, packages, BLAS and CPU are the same: look for randomness without the seed"]
    named = reproduce.told(report(equal=False, metrics=["model.auc.value: 1 -> 2"], machine=["cpu: a -> b"]))
    assert named[1:] == ["metric model.auc.value: 1 -> 2", "machine cpu: a -> b"]
    assert "training rows differ" in reproduce.told(report(equal=False, same_training_rows=False))[1]


def test_the_clone_is_the_committed_project(project, tmp_path):
    Path("params.yaml").write_text("changed")
    made = reproduce.clone(lineage.git("rev-parse", "HEAD"), tmp_path / "clone")
    assert (made / "params.yaml").read_text() == lineage.git("show", "HEAD:params.yaml") + "\n"
    with pytest.raises(InputError, match=r"commit 0123 is not in this repository: fetch it"):
        reproduce.clone("0123", tmp_path / "another")


def test_a_project_below_the_repositorys_root_is_found(tmp_path, monkeypatch):
    inner = tmp_path / "all" / "one"
    inner.mkdir(parents=True)
    (inner / "file").write_text("x")
    monkeypatch.chdir(inner)
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "a"],
    ):
        subprocess.run(["git", *command], cwd=inner.parent, check=True)
    assert (reproduce.clone("HEAD", tmp_path / "clone") / "file").read_text() == "x"


def test_the_clone_reads_this_projects_cache_and_folders(project, tmp_path, monkeypatch):
    folder = tmp_path / "clone"
    Path(".dvc").mkdir(exist_ok=True)
    (folder / ".dvc").mkdir(parents=True)
    Path(".dvc/config.local").write_text("secret")
    said = {("cache", "dir"): "/c\n", ("remote", "list"): "near\t/a folder\t(default)\nfar\ts3://b\n"}
    asked = []

    def dvc(where, *arguments, shown=False):
        if where == folder:
            asked.append(arguments)
        return said.get(arguments, "")

    monkeypatch.setattr(reproduce, "dvc", dvc)
    reproduce.share_storage(folder)
    assert (folder / ".dvc/config.local").read_text() == "secret"
    assert asked == [("cache", "dir", "--local", "/c"), ("remote", "modify", "--local", "near", "url", "/a folder")]


def test_data_that_nobody_has_is_one_line(tmp_path, monkeypatch):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    with pytest.raises(
        InputError, match=r"the data of version 2 are neither in DVC's cache nor in a remote \(dvc pull"
    ):
        reproduce.fetch(tmp_path, "2")


def test_a_version_is_named_by_alias_or_number(project):
    with tracking.session() as client:
        facts = versions.lineage_of(client, "1")
        assert facts == versions.lineage_of(client, "champion")
        assert (facts["version"], facts["aliases"]) == ("1", "challenger, champion")
        with pytest.raises(InputError, match=r"no version 9: run `promote`"):
            versions.lineage_of(client, "9")


def test_a_bundle_says_where_it_was_registered(project):
    with tracking.session() as client, versions.bundle(client, versions.by_alias(client, "champion")) as bundle:
        assert (bundle / lineage.MACHINE).is_file()
    found = lineage.machine()
    assert {"python", "system", "cpu", "blas", "packages"} == set(found)
    assert found["cpu"]
    assert "openblas" in found["blas"] or found["blas"]
    assert found["packages"]["scikit-learn"]


def test_where_no_file_names_the_cpu_python_does(monkeypatch):
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: (_ for _ in ()).throw(OSError()))
    monkeypatch.setattr(lineage.platform, "processor", lambda: "")
    monkeypatch.setattr(lineage.platform, "machine", lambda: "m1")
    assert lineage.cpu() == "m1"


def test_the_command_trains_anew_and_its_exit_code_tells(project, tmp_path, monkeypatch, capsys):
    made = {"largest_difference": 0.0, "same_bytes": True, "same_training_rows": True, "metrics": [], "machine": []}
    monkeypatch.setattr(reproduce, "make_again", lambda facts, bundle, folder: made)
    assert small_project.command.main(["reproduce"]) == 0
    assert "version 1 equal" in capsys.readouterr().out
    made["largest_difference"] = 1e-8
    assert small_project.command.main(["reproduce", "1"]) == 1
    assert "NOT equal" in capsys.readouterr().out
