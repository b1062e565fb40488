"""The same bytes anywhere: another folder, other threads, another locale, another BLAS; and versions made again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from running import SLUG, command, copy_of, run, set_param, works

#: Where and how the pipeline runs again, as environment variables.
SETTINGS = {
    "one thread, another zone and language": {
        "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TZ": "Asia/Kathmandu", "LC_ALL": "tr_TR.UTF-8",
    },
    "eight threads": {"OMP_NUM_THREADS": "8", "OPENBLAS_NUM_THREADS": "8", "TZ": "America/St_Johns"},
    "two threads": {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "PYTHONHASHSEED": "7"},
}  # fmt: skip
SLOW = ("two threads", "eight threads")
MADE = ("reports/evaluate.json", "model/training.json")
#: Edits of the team's own files: name, what stands there, what comes instead.
COARSER = (f"{SLUG}/features.py", 'np.timedelta64(1, "m"))', 'np.timedelta64(10, "m")) * 10')
SHORTER = ("params.yaml", "max_iter: 100", "max_iter: 80")
LUCKY = (f"{SLUG}/model.py", "random_state=seed)", "random_state=seed + int(__import__('os').getenv('LUCK', 1)))")
LINEAR = {"train.estimator": "sklearn.linear_model.LogisticRegression", "train.arguments": {"max_iter": 500},
          "train.encoding": "onehot", "gates.pretrain.smoke_train.min_tiny_fall": 0.1}  # fmt: skip


@pytest.mark.parametrize(
    "setting", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in SETTINGS]
)
def test_the_lock_is_the_same_bytes(started: Path, tmp_path: Path, setting: str) -> None:
    """A forced run elsewhere gives `dvc.lock` byte for byte, which holds the hash of everything that was made."""
    elsewhere = copy_of(started, tmp_path / "another place, déjà", "data", "model", ".mlflow")
    ran = works(run(elsewhere, "dvc", "repro", "--force", **SETTINGS[setting]))
    assert ran.count("Running stage") == 7
    assert (elsewhere / "dvc.lock").read_bytes() == (started / "dvc.lock").read_bytes()


def kernel(project: Path, **variables: str) -> str:
    """Return the BLAS that the project's environment calculates with."""
    asked = f"from {SLUG}.registry import lineage; print(lineage.machine()['blas'])"
    return works(run(project, "python", "-c", asked, **variables)).strip()


def test_another_kernel_gives_the_same_decisions_and_digits(copy: Path) -> None:
    """A linear model under another BLAS kernel: predictions within 1e-9, figures within one of their last digit."""
    other = {"OPENBLAS_CORETYPE": "Nehalem" if "Nehalem" not in kernel(copy) else "Sandybridge"}
    assert kernel(copy) != kernel(copy, **other)
    for key, value in LINEAR.items():
        set_param(copy, key, value)
    works(run(copy, "dvc", "repro", "evaluate"))
    shutil.copy(copy / "data/predictions.parquet", copy / "data/before.parquet")
    for name in MADE:
        shutil.copy(copy / name, copy / "data" / Path(name).name)
    works(run(copy, "dvc", "repro", "--force", "--single-item", "train", "evaluate", **other))
    compare = f"""if True:
        from pathlib import Path
        from {SLUG} import record
        from {SLUG}.registry import reproduce
        tables = (record.read_parquet(Path("data", name)) for name in ("before.parquet", "predictions.parquet"))
        print(reproduce.largest_difference(*tables))
        for name in {MADE}:
            before, after = (record.read_json(path) for path in (Path("data", Path(name).name), Path(name)))
            print(*reproduce.differing(before, after | {{"digest": before.get("digest")}}), sep="\\n")"""
    difference, *differing = works(run(copy, "python", "-c", compare)).split("\n")
    assert 0 < float(difference) <= 1e-9
    assert "".join(differing) == ""


def commit_version(project: Path, name: str, old: str, new: str) -> str:
    """Edit a file, run, commit and promote without a comparison; return the new version's digest."""
    path = project / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    works(run(project, "dvc", "repro"))
    works(run(project, "git", "commit", "-qam", f"Change {name}"))
    works(command(project, "promote", "--reset", "another version"))
    return str(json.loads(works(command(project, "lineage", "--json")))["digest"])


def test_an_earlier_version_is_made_again_from_its_own_code(copy: Path) -> None:
    """After features.py changed, `previous` comes out byte for byte, and nothing in the project changes."""
    commit_version(copy, *COARSER)
    before = works(run(copy, "git", "status", "--porcelain")), (copy / "model/model.skops").read_bytes()
    told = works(command(copy, "reproduce", "previous"))
    assert "version 1 equal: predictions differ by 0 at most; model: the same bytes" in told
    report = json.loads((copy / "reports/reproduce.json").read_text())
    assert (report["version"], report["equal"], report["same_bytes"], report["machine"]) == ("1", True, True, [])
    assert (works(run(copy, "git", "status", "--porcelain")), (copy / "model/model.skops").read_bytes()) == before


@pytest.mark.slow
def test_versions_of_four_commits_are_made_again(copy: Path) -> None:
    """Champion, previous and the one three commits back, while code, recipe and model file changed in between."""
    digests = [
        str(json.loads(works(command(copy, "lineage", "--json")))["digest"]),
        commit_version(copy, *COARSER),
        commit_version(copy, *SHORTER),
        commit_version(copy, *LUCKY),
    ]
    assert len(set(digests)) == 4
    for name, number in {"champion": 4, "previous": 3, "1": 1}.items():
        assert f"version {number} equal: predictions differ by 0 at most; model: the same bytes" in works(
            command(copy, "reproduce", name)
        )


def test_what_cannot_be_made_again_is_told(copy: Path) -> None:
    """A model that depends on a variable of the shell: exit code 1, the difference, and what it is not."""
    commit_version(copy, *LUCKY)
    done = command(copy, "reproduce", LUCK="2")
    assert done.returncode == 1
    assert "version 2 NOT equal: predictions differ by 0." in done.stdout
    assert "the same: look for randomness without the seed" in done.stdout
    assert not json.loads((copy / "reports/reproduce.json").read_text())["equal"]


def test_lost_data_and_unknown_versions_get_one_line(copy: Path) -> None:
    """No cache and no remote: which version, and what to do."""
    for path in (copy / ".dvc/cache/files").rglob("*"):
        if path.is_file():
            path.unlink()
    done = command(copy, "reproduce")
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (1, 1)
    assert "the data of version 1 are neither in DVC's cache nor in a remote" in done.stderr
    done = command(copy, "reproduce", "7")
    assert (done.returncode, "no version 7: run `promote`" in done.stderr) == (1, True)
