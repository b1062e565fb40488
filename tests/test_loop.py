"""The generated project does what its README says: from a bare folder to a gated champion, and no further."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from running import SLUG, aliases, command, run, set_param, works

GATES = {
    "schema", "quarantine", "row_accounting", "columns", "history", "drift", "split_leak", "target_leak", "smoke_train",
    "threshold", "baseline", "slices", "behaviour", "calibration", "refit", "artefact", "latency", "parity",
}  # fmt: skip
GUARDS = {
    "verdict", "lock", "committed", "digest", "rows", "superior", "non_inferior", "guardrail", "anchor", "rolled_back",
    "breaker", "card",
}  # fmt: skip


def test_the_first_command_ends_with_a_champion(started: Path) -> None:
    """From a bare folder: every declared gate passed, and the champion's lineage is complete."""
    seen: dict[str, str] = {}
    for stage in ("validate", "pretrain", "posttrain"):
        report = json.loads((started / f"reports/{stage}.json").read_text(encoding="utf-8"))
        seen |= {gate["gate"]: gate["verdict"] for gate in report["gates"]}
    assert seen == dict.fromkeys(GATES, "pass")
    facts = json.loads(works(command(started, "lineage", "champion", "--json")))
    assert {"version", "run_id", "git_commit", "code_sha256", "data_sha256", "params_sha256",
            "environment_sha256", "dvc_lock_sha256", "schema_sha256", "digest"} <= set(facts)  # fmt: skip
    assert all(facts.values())


def test_the_default_bake_promotes_with_margin(started: Path) -> None:
    """The lower bound of the gain on the dummy, over blocks of four days, is well above zero."""
    report = json.loads((started / "reports/posttrain.json").read_text(encoding="utf-8"))
    baseline = next(gate for gate in report["gates"] if gate["gate"] == "baseline")
    dummy = next(case for case in baseline["cases"] if case["case"] == "dummy")
    assert dummy["bound"] > 0.005
    assert dummy["units"] == 16


def test_a_project_is_clean_on_arrival(started: Path) -> None:
    """R6: its own hooks change nothing and its types pass; unit tests and faults run in its workflow, under act."""
    for session in ("lint", "types"):
        works(run(started, sys.executable, "-m", "nox", "-s", session))
    assert run(started, "git", "status", "--porcelain").stdout == ""


def test_a_second_run_does_nothing(copy: Path) -> None:
    """`dvc repro` on an unchanged project runs no stage, and promoting again changes nothing."""
    before = aliases(copy)
    assert "Running stage" not in works(run(copy, "dvc", "repro"))
    works(command(copy, "promote"))
    assert json.loads((copy / "reports/promotion.json").read_text())["decision"] == "unchanged"
    assert aliases(copy) == before


def test_a_changed_parameter_runs_what_depends_on_it(copy: Path) -> None:
    """A post-train threshold re-runs the last stage alone."""
    set_param(copy, "gates.posttrain.threshold.at_most", 0.2)
    ran = works(run(copy, "dvc", "repro"))
    assert [line for line in ran.splitlines() if "Running stage" in line] == ["Running stage 'posttrain':"]


def test_parameters_there_and_back_register_the_right_model(copy: Path) -> None:
    """A worse recipe is refused; back at the old parameters DVC restores the old model, and it is the champion."""
    champion = aliases(copy)["champion"]
    set_param(copy, "train.arguments.max_iter", 90)
    works(run(copy, "dvc", "repro"))
    refused = command(copy, "promote")
    decision = json.loads((copy / "reports/promotion.json").read_text())
    assert (refused.returncode, decision["decision"]) == (3, "refused")
    assert decision["mode"] == "superior"
    after = aliases(copy)
    assert after["champion"] == champion != after["challenger"]
    works(run(copy, "git", "checkout", "params.yaml"))
    works(run(copy, "dvc", "repro"))
    works(command(copy, "promote"))
    assert aliases(copy) == {"champion": champion, "challenger": champion}


@pytest.mark.slow
def test_experiments_move_no_alias(copy: Path) -> None:
    """`dvc exp run`, in place, in a temporary folder and queued: shown, comparable, journalled, and no alias moves."""
    before = aliases(copy)
    works(run(copy, "dvc", "exp", "run", "-n", "temporary", "--temp", "-S", "train.arguments.max_iter=80"))
    works(run(copy, "dvc", "exp", "run", "-n", "queued", "--queue", "-S", "train.arguments.max_iter=70"))
    works(run(copy, "dvc", "queue", "start"))
    works(run(copy, "dvc", "queue", "logs", "--follow", "queued"))
    works(run(copy, "dvc", "exp", "run", "-n", "inplace", "-S", "train.arguments.max_iter=60"))
    shown = works(run(copy, "dvc", "exp", "show", "--csv"))
    assert all(name in shown for name in ("temporary", "queued", "inplace"))
    compared = run(copy, "dvc", "metrics", "diff", "HEAD")
    assert "brier" in works(compared)
    assert "failed" not in compared.stderr  # DVC takes a metric named error for a failure
    assert "index.html" in works(run(copy, "dvc", "plots", "show"))
    assert aliases(copy) == before
    assert not list(copy.glob("mlruns*"))


def test_a_clone_with_pulled_data_starts_its_own_registry(copy: Path, tmp_path: Path) -> None:
    """Clone and pull into an empty store: no champion is claimed, and promote registers the same model."""
    expected = aliases(copy)["champion"]
    works(run(copy, sys.executable, "-m", "nox", "-s", "remote"))
    works(run(copy, "git", "commit", "-qam", "Use the remote"))
    works(run(copy, "dvc", "push"))
    assert "in sync" in works(run(copy, "dvc", "status", "-c"))
    clone = tmp_path / "clones" / SLUG
    clone.parent.mkdir()
    works(run(copy, "git", "clone", "-q", str(copy), str(clone)))
    (clone / ".venv").symlink_to(copy / ".venv")
    storage = f"{SLUG}-storage"
    (clone.parent / storage).symlink_to(copy.parent / storage)
    works(run(clone, "dvc", "pull"))
    assert aliases(clone) == {}
    works(command(clone, "promote"))
    assert aliases(clone) == {"champion": expected, "challenger": expected}


def test_a_shuffled_target_makes_no_version(copy: Path) -> None:
    """Labels that mean nothing: the pipeline is red, nothing is registered, no alias moves."""
    before = aliases(copy)
    shuffle = (
        "import pandas as pd; p = 'demo/flights.parquet'; t = pd.read_parquet(p);"
        "t['late'] = t['late'].sample(frac=1, random_state=0).to_numpy(); t.to_parquet(p, index=False)"
    )
    works(run(copy, "python", "-c", shuffle))
    assert run(copy, "dvc", "repro").returncode != 0
    assert command(copy, "promote").returncode == 3
    assert json.loads((copy / "reports/promotion.json").read_text())["decision"] == "refused"
    assert aliases(copy) == before


def test_a_red_verdict_that_was_committed_does_not_count(copy: Path) -> None:
    """`dvc commit -f` on a red report: register and promote refuse, since a verdict is content."""
    before = aliases(copy)
    set_param(copy, "gates.posttrain.threshold.at_most", 0.1)
    assert run(copy, "dvc", "repro").returncode != 0
    works(run(copy, "dvc", "commit", "-f"))
    done = command(copy, "register")
    assert (done.returncode, "red" in done.stderr) == (1, True)
    assert command(copy, "promote").returncode == 3
    assert aliases(copy) == before


def test_the_runbook_has_a_line_for_everything_that_closes(started: Path) -> None:
    """Each gate and guard: what it means, and the way out."""
    text = (started / "docs/runbook.md").read_text(encoding="utf-8")
    assert [name for name in sorted(GATES | GUARDS) if f"| `{name}` |" not in text] == []


def test_a_gate_that_was_taken_out_lets_its_fault_pass(copy: Path) -> None:
    """With a gate's judgement weakened, `nox -s faults` goes red and names the fault that passed."""
    path = copy / "tests/pretrain/test_quarantine.py"
    text = path.read_text(encoding="utf-8")
    assert "gate.judge(bad <= limit * read," in text
    path.write_text(text.replace("gate.judge(bad <= limit * read,", "gate.judge(True,"), "utf-8")
    done = run(copy, "python", "tests/faults/run.py", "--only", "unit x 1000")
    assert done.returncode == 1
    assert "NOT CLOSED" in done.stdout


EMPTY = """import pytest


@pytest.mark.gate("{gate}")
def test_nothing(gate):
    for name in gate.thresholds:
        gate.threshold(name)
"""


@pytest.mark.parametrize(
    "gate",
    [
        "calibration",
        *(pytest.param(gate, marks=pytest.mark.slow) for gate in sorted(GATES - {"schema", "calibration"})),
    ],
)
def test_a_gate_that_was_emptied_is_named(copy: Path, gate: str) -> None:
    """Whichever it is: `nox -s faults` says that the unharmed project is red, by that gate, and proves nothing."""
    path = next(copy.glob(f"tests/p*train/test_{gate}.py"))
    path.write_text(EMPTY.format(gate=gate), encoding="utf-8")
    done = run(copy, "python", "tests/faults/run.py")
    assert done.returncode == 1
    assert "the unharmed copy is red, so no fault proves anything" in done.stdout
    assert f"({gate} closed)" in done.stdout


def test_the_project_lives_without_its_demo(copy: Path) -> None:
    """demo/ can be deleted once ingest.source names something else."""
    shutil.copy(copy / "demo/flights.parquet", copy / "mine.parquet")
    shutil.rmtree(copy / "demo")
    pipeline = copy / "dvc.yaml"
    pipeline.write_text(pipeline.read_text().replace("demo/flights.parquet", "mine.parquet"))
    set_param(copy, "ingest.source", "mine.parquet")
    works(run(copy, "dvc", "repro"))
    works(run(copy, "python", "-m", "pytest", "-q", "tests/unit/test_config.py"))


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        ("params.yaml: seed: 2013 -> seeds: 2013", "unknown key seeds"),
        ("params.yaml: smoke_rows: 2000 -> smoke_row: 2000", "missing key pretrain.smoke_rows"),
        ("params.yaml: source: demo/flights.parquet -> source: demo/nothing.parquet", "no file matches"),
        ("params.yaml: start: \"2013-01-01\" -> start: \"2015-01-01\"", "start must lie before end"),
        ("params.yaml: min_rows: 1000 -> min_rows: 100000", "valid rows of at least 100000"),
        ("schema.yaml: distance: {type: float -> distance: {type: datetime", "distance"),
        ("schema.yaml: visib: -> visibility:", "column visibility is missing"),
    ],
)  # fmt: skip
def test_bad_input_gets_one_readable_line(copy: Path, harm: str, says: str) -> None:
    """A wrong key, file, window or column: one line that names it, exit code 1, and no traceback."""
    name, _, change = harm.partition(": ")
    old, _, new = change.partition(" -> ")
    path = copy / name
    assert old in path.read_text(encoding="utf-8")
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    for stage in ("ingest", "validate"):
        done = command(copy, stage)
        if done.returncode:
            break
    assert done.returncode == 1
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_outside_git_a_command_says_what_to_do(copy: Path) -> None:
    """No git: `git init` first."""
    shutil.rmtree(copy / ".git")
    done = command(copy, "promote", GIT_CEILING_DIRECTORIES=str(copy.parent))
    assert (done.returncode, "git init" in done.stderr) == (1, True)
