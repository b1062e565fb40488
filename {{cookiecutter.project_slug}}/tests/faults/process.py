"""What goes wrong around a model: evidence that is old, borrowed or edited, gates taken away."""

from __future__ import annotations

import json
import shutil

from project import PACKAGE, Copy, Fault, Unharmed

CONFTEST = "tests/posttrain/conftest.py"
#: What `nox -s gates` runs.
GATES = "dvc repro --force --single-item pretrain posttrain"


def redden(copy: Copy) -> None:
    """Make a gate after training red, cheaply: expect the opposite of what the model has learned."""

    def change(tree: dict) -> None:
        for direction in tree["posttrain"]["directions"]:
            direction["low"], direction["high"] = direction["high"], direction["low"]

    copy.settings(change)


def red_run(copy: Copy) -> None:
    """A run that ended at a red gate."""
    redden(copy)
    if copy.run("dvc repro").code == 0:
        raise Unharmed("no gate closed after training: mend the fault")


def stale(copy: Copy) -> None:
    """The rows are split anew by hand; the verdict is the old one."""
    copy.settings(lambda tree: tree.update(seed=tree["seed"] + 1))
    copy.settings(lambda tree: tree["split"].update(test_days=tree["split"]["test_days"] + 1))
    copy.must("split")


def borrow_report(copy: Copy) -> None:
    """The verdict on the champion stands beside another model."""
    copy.git("checkout", "-q", "HEAD~1", "--", "reports/posttrain.json")


def borrow_lock(copy: Copy) -> None:
    """A merge kept the other branch's dvc.lock."""
    copy.git("checkout", "-q", "HEAD~1", "--", "dvc.lock")


def edit_verdict(copy: Copy) -> None:
    """One word of a red report is changed."""
    red_run(copy)
    path = copy.root / "reports/posttrain.json"
    report = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**report, "verdict": "pass"}), encoding="utf-8")


def edit_report(copy: Copy) -> None:
    """Every `fail` of a red report is changed."""
    red_run(copy)
    copy.edit("reports/posttrain.json", '"fail"', '"pass"')


def tamper_model(copy: Copy) -> None:
    """The model file is swapped for one that was made elsewhere."""
    path = copy.root / "model/model.skops"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()
    path.write_bytes(bytes(content))


def edit_features(copy: Copy) -> None:
    """features.py is improved after the training."""
    copy.code("features.py", 'np.timedelta64(1, "m")', 'np.timedelta64(2, "m")')


def edit_thresholds(copy: Copy) -> None:
    """A threshold is moved after the run."""

    def change(tree: dict) -> None:
        gate = tree["gates"]["posttrain"]["behaviour"]
        gate["max_failure_rate"] = gate["max_failure_rate"] * 2

    copy.settings(change)


def commit_red(copy: Copy) -> None:
    """DVC is told that the red run is fine."""
    red_run(copy)
    copy.must("dvc commit -f")


def commit_edited(copy: Copy) -> None:
    """Every `fail` of a red report is changed, and DVC is told that this is the run's own."""
    edit_report(copy)
    copy.must("dvc commit -f")


def commit_red_early(copy: Copy) -> None:
    """DVC is told that red data are fine, so that the next stage may run."""
    red_before_training(copy)
    copy.must("dvc commit -f pretrain")


def red_before_training(copy: Copy) -> None:
    """A gate before training is red."""
    skip_gate(copy)
    if copy.run("dvc repro").code == 0:
        raise Unharmed("no gate closed before training: mend the fault")


def by_hand(copy: Copy) -> None:
    """The gates after training are run by hand, for other cases than the pipeline's."""
    copy.settings(lambda tree: tree["posttrain"].update(cases=tree["posttrain"]["cases"] - 1))
    copy.must("posttrain")


def uncommitted(copy: Copy) -> None:
    """The model is made by code that nobody committed."""
    (copy.root / PACKAGE / "tuning.py").write_text('"""Settings."""\n', encoding="utf-8")


def delete_gate(copy: Copy) -> None:
    """A gate's test is deleted."""
    (copy.root / "tests/pretrain/test_target_leak.py").unlink()


def skip_gate(copy: Copy) -> None:
    """A gate's test is skipped."""
    copy.edit("tests/pretrain/test_split_leak.py", "@pytest.mark.gate", "@pytest.mark.skip\n@pytest.mark.gate")


def expect_failure(copy: Copy) -> None:
    """A gate that is red is expected to be."""
    redden(copy)
    copy.edit("tests/posttrain/test_behaviour.py", "@pytest.mark.gate", "@pytest.mark.xfail\n@pytest.mark.gate")


def empty_gate(copy: Copy) -> None:
    """A gate's test reads its thresholds and judges nothing."""
    path = copy.root / "tests/posttrain/test_threshold.py"
    text = path.read_text(encoding="utf-8")
    head, _, body = text.partition("    gate.judge(")
    if not body:
        raise Unharmed("test_threshold.py judges nothing as it is: mend the fault")
    path.write_text(head, encoding="utf-8")


def undeclare(copy: Copy) -> None:
    """A gate is struck from params.yaml; its test stays."""
    copy.settings(lambda tree: tree["gates"]["posttrain"].pop("threshold"))


def deselect(copy: Copy) -> None:
    """A conftest takes a red gate's test out of the list."""
    redden(copy)
    with (copy.root / CONFTEST).open("a", encoding="utf-8") as stream:
        stream.write("\n\ndef pytest_collection_modifyitems(items):\n"
                     '    items[:] = [item for item in items if "behaviour" not in item.nodeid]\n')  # fmt: skip


def deselect_by_file(copy: Copy) -> None:
    """pyproject.toml tells pytest to leave a red gate's test out."""
    redden(copy)
    copy.edit("pyproject.toml", 'addopts = "', "addopts = \"-k 'not behaviour' ")


def deselect_by_shell(copy: Copy) -> None:
    """The shell tells pytest to leave a red gate's test out."""
    redden(copy)
    copy.variables["PYTEST_ADDOPTS"] = "--deselect tests/posttrain/test_behaviour.py"


def tamper_store(copy: Copy) -> None:
    """The champion's model file is overwritten in the registry's store."""
    files = list((copy.root / ".mlflow").rglob("model.skops"))
    if not files:
        raise Unharmed("no model file in .mlflow: mend the fault")
    shutil.copy(copy.root / "model/model.skops", files[0])


FAULTS = (
    Fault("stale report", "the rows moved on, the report did not", "verdict", stale, "promote"),
    Fault("report of another model", "copied from the last release", "verdict", borrow_report, "promote", "rivals"),
    Fault("verdict edited", "one word in a red report", "verdict", edit_verdict, "promote"),
    Fault("report edited", "every word in a red report", "lock", edit_report, "promote"),
    Fault("red run committed", "dvc commit -f, then promote", "verdict", commit_red, "promote"),
    Fault("edited report committed", "so that promote reads it", "behaviour", commit_edited, GATES),
    Fault("red data committed", "dvc commit -f, then dvc repro", "verdict", commit_red_early, "dvc repro"),
    Fault("stage run past a red gate", "python -m ... train, by hand", "verdict", red_before_training, "train"),
    Fault("features edited after training", "promoted without dvc repro", "verdict", edit_features, "promote"),
    Fault("threshold edited after the run", "promoted without dvc repro", "verdict", edit_thresholds, "promote"),
    Fault("model file tampered with", "a file from elsewhere", "digest", tamper_model, "evaluate"),
    Fault("champion's files tampered with", "written in the store", "digest", tamper_store, "promote", "rivals"),
    Fault("stage run by hand", "python -m ... posttrain, other settings", "lock", by_hand, "promote"),
    Fault("dvc.lock of another branch", "a merge kept theirs", "lock", borrow_lock, "promote", "rivals"),
    Fault("uncommitted code", "promoted before the commit", "committed", uncommitted, "promote"),
    Fault("gate deleted", "its test was in the way", "target_leak", delete_gate),
    Fault("gate skipped", "for now", "split_leak", skip_gate),
    Fault("gate expected to fail", "xfail, until someone has time", "behaviour", expect_failure),
    Fault("gate emptied", "it judges nothing", "threshold", empty_gate),
    Fault("gate undeclared", "struck from params.yaml", "threshold", undeclare),
    Fault("gate deselected by conftest", "a hook filters tests", "behaviour", deselect),
    Fault("gate deselected by addopts", "-k in pyproject.toml", "behaviour", deselect_by_file),
    Fault("gate deselected by the shell", "PYTEST_ADDOPTS", "behaviour", deselect_by_shell),
)  # fmt: skip
