"""What goes wrong with a model: the recipe, the features, the code around the estimator."""

from __future__ import annotations

from typing import Any

import pandas as pd
from project import PACKAGE, Absent, Copy, Fault, Unharmed


def arguments(copy: Copy, **changed: object) -> None:
    """Change arguments of the estimator that are there. Raises Absent when they are not."""
    known = copy.read()["train"]["arguments"]
    missing = sorted(set(changed) - set(known))
    if missing:
        raise Absent(f"train.arguments has no {', '.join(missing)}")
    copy.settings(lambda tree: tree["train"]["arguments"].update(changed))


def answers(copy: Copy, after: str) -> None:
    """Change what `model.predict` returns: `after` is an expression of the answers `p` and the rows `frame`."""
    path = copy.root / PACKAGE / "model.py"
    head, mark, body = path.read_text(encoding="utf-8").partition("def predict(")
    if not mark:
        raise Unharmed("model.py has no predict: mend the fault")
    wrapped = (
        f"\n\ndef predict(pipeline: Any, frame: pd.DataFrame, contract: Schema) -> np.ndarray:\n"
        f"    p = answer(pipeline, frame, contract)\n    return {after}\n"
    )
    path.write_text(head + "def answer(" + body + wrapped, encoding="utf-8")


def freeze_learning(copy: Copy) -> None:
    """A learning rate of next to nothing."""
    arguments(copy, learning_rate=1e-6)


def no_seed(copy: Copy) -> None:
    """Each training draws its rows anew."""
    copy.code(
        "model.py",
        "    y = contract.encode_target(",
        "    frame = frame.sample(frac=0.9)\n    y = contract.encode_target(",
    )


def nan_on_missing(copy: Copy) -> None:
    """A row with a missing number gets NaN for an answer."""
    name = copy.columns("feature", "float", "int", nullable=True)[0]
    answers(copy, f'p + 0 * frame["{name}"].to_numpy(dtype=float).reshape(-1, *[1] * (p.ndim - 1))')


def learn_by_heart(copy: Copy) -> None:
    """Trees as deep as the training rows."""
    arguments(copy, learning_rate=0.3, max_iter=300, min_samples_leaf=2)


def raise_the_bar(copy: Copy) -> None:
    """Ask for more than any model can give."""

    def change(tree: dict[str, Any]) -> None:
        bar = tree["gates"]["posttrain"]["threshold"]
        bar.update({"at_least": 1.0} if "at_least" in bar else {"at_most": 1e-6})

    copy.settings(change)


def overconfident(copy: Copy) -> None:
    """Answers are pushed towards certainty; numbers away from their mean."""
    number = copy.read("schema.yaml")["task"] == "regression"
    sharper = "p**1.5 / (p**1.5 + (1 - p) ** 1.5) if p.ndim == 1 else p**2 / (p**2).sum(axis=1, keepdims=True)"
    answers(copy, "1.6 * p - 0.6 * p.mean()" if number else sharper)


def other_rows(copy: Copy) -> None:
    """Every answer stands beside the next row."""
    copy.code("stages/evaluate.py", "columns(model.predict(fitted, test, contract))",
              "np.roll(columns(model.predict(fitted, test, contract)), 1, axis=0)")  # fmt: skip


def break_slice(copy: Copy) -> None:
    """In the test rows' time, one small slice gets an answer that is certain (for classes: another one's).

    Not from the dummy: a slice is judged by what is gained on it.
    """
    name, time = copy.read()["evaluate"]["slices"][-1], copy.columns("time")[0]
    test = pd.read_parquet(copy.root / "data/test.parquet")
    value = (test[name].value_counts(normalize=True) - 0.015).abs().idxmin()
    chosen = f'((frame["{name}"] == {value!r}) & (frame["{time}"] >= "{test[time].min()}")).to_numpy()'
    ours = '("Dummy" not in type(pipeline[-1]).__name__)'
    answers(
        copy, f"np.where(({chosen} & {ours}).reshape(-1, *[1] * (p.ndim - 1)), 0.95 if p.ndim == 1 else p[:, ::-1], p)"
    )


def lose_slice(copy: Copy) -> None:
    """Of a column whose every value must be served, the test set has no row of one."""
    name, test = copy.read()["evaluate"]["slices"][-1], pd.read_parquet(copy.root / "data/test.parquet")
    known = sorted(test[name].dropna().unique().tolist())
    copy.settings(lambda tree: tree["columns"][name].update(values=[*known, type(known[-1])(99)]), "schema.yaml")
    copy.settings(lambda tree: tree["gates"]["posttrain"]["slices"].update(required=[name]))


def wrong_direction(copy: Copy) -> None:
    """The sign that an expert insists on is turned around."""
    signs = copy.read()["train"]["arguments"].get("monotonic_cst") or {}
    wanted = {direction["column"] for direction in copy.read()["posttrain"]["directions"]}
    if not wanted & set(signs):
        raise Absent("train.arguments.monotonic_cst names no column of posttrain.directions")
    arguments(copy, monotonic_cst={name: -sign if name in wanted else sign for name, sign in signs.items()})


def ignore_feature(copy: Copy) -> None:
    """A number that the answer must depend on is a constant."""
    wanted = [direction["column"] for direction in copy.read()["posttrain"]["directions"]]
    name = next((n for n in copy.columns("feature", "float", "int") if n in wanted), None)
    if name is None:
        raise Absent("posttrain.directions names no numeric feature")
    copy.code(
        "features.py",
        '    return np.asarray(columns, dtype="float64")\n',
        f'    return columns.astype("float64").assign({name}=0.0)\n',
    )


def hoard(copy: Copy) -> None:
    """The pipeline keeps tables of its training rows, more than a model file may hold."""
    limit = copy.read()["gates"]["posttrain"]["artefact"]["max_mb"] * 1e6
    width = int(1.2 * limit / 8 / len(pd.read_parquet(copy.root / "data/train.parquet"))) + 1
    copy.code(
        "model.py",
        "    try:\n        return pipeline.fit(",
        f"    try:\n        pipeline.kept_ = np.tile(y.to_numpy(), ({width}, 1))\n        return pipeline.fit(",
    )


def read_more(copy: Copy) -> None:
    """The prediction looks at a column that is known in training and unknown when serving."""
    answers(copy, "p + 0 * contract.encode_target(frame[contract.target]).to_numpy().reshape(-1, *[1] * (p.ndim - 1))")


def ask_service(copy: Copy) -> None:
    """Every prediction waits a quarter of a second for something else."""
    answers(copy, '[p, __import__("time").sleep(0.25)][0]')


def fit_everything(copy: Copy) -> None:
    """The model is fitted on training and test rows."""
    copy.code(
        "stages/train.py",
        "contract, params.seed), frame, contract)\n    artefact.dump",
        'contract, params.seed), __import__("pandas").concat([frame, record.read_parquet(split.TEST)]),\n'
        "                         contract)\n    artefact.dump",
    )


def centre_by_everything(copy: Copy) -> None:
    """A mean over all rows is taken off in features.py."""
    copy.code(
        "features.py",
        '    return np.asarray(columns, dtype="float64")\n',
        '    every = __import__("pandas").read_parquet("data/valid.parquet", columns=list(columns))\n'
        '    return columns.astype("float64") - every.mean()\n',
    )


def scale_by_batch(copy: Copy) -> None:
    """Numbers are scaled by what comes along with them: a table's rows in training, a request's when serving."""
    copy.code(
        "features.py",
        '    return np.asarray(columns, dtype="float64")\n',
        '    found = np.asarray(columns, dtype="float64")\n'
        "    return found / (1 + np.nan_to_num(np.abs(found)).max(axis=0))\n",
    )


def fill_from_above(copy: Copy) -> None:
    """A gap takes the value of the row before: in a request of one row there is none."""
    copy.columns("feature", "float", "int", nullable=True)
    copy.code(
        "features.py",
        '    return np.asarray(columns, dtype="float64")\n',
        '    return __import__("pandas").DataFrame(columns).astype("float64").ffill().to_numpy()\n',
    )


def zero_for_null(copy: Copy) -> None:
    """A request's null is read as 0; a table's stays null."""
    copy.columns("feature", "float", "int", nullable=True)
    copy.code("serving/rows.py", "row[name]", "(row[name] or 0)")


def round_answers(copy: Copy) -> None:
    """The server rounds what it says; the files of a batch do not."""
    copy.code("serving/app.py", "scores.tolist()", "scores.round(2).tolist()")


def halve_precision(copy: Copy) -> None:
    """A batch keeps its predictions in single precision."""
    copy.code("serving/batch.py", "return found[finite]", 'return found[finite].astype("float32")')


FAULTS = (
    Fault("nothing is learned", "a debugging learning rate was left in", "smoke_train", freeze_learning),
    Fault("no fixed seed", "random_state=None, as in the notebook", "smoke_train", no_seed),
    Fault("NaN on a missing value", "arithmetic on a column with gaps", "smoke_train", nan_on_missing),
    Fault("worse than linear", "tuned on the training loss", "baseline", learn_by_heart),
    Fault("not good enough", "the bar was raised, and the model was not", "threshold", raise_the_bar),
    Fault("over-confident answers", "scores were sharpened by hand", "calibration", overconfident),
    Fault("answers of other rows", "joined by position after a sort", "baseline", other_rows),
    Fault("one slice is broken", "one customer has a rule of his own", "slices", break_slice),
    Fault("a slice is not there", "its source stopped, and nobody asks", "slices", lose_slice),
    Fault("wrong direction", "the constraint has the wrong sign", "behaviour", wrong_direction),
    Fault("a feature is ignored", "a default value shadows the column", "behaviour", ignore_feature),
    Fault("model file too large", "training rows kept inside, to explain answers later", "artefact", hoard),
    Fault("not all in the file", "predicting reads a column that serving lacks", "artefact", read_more),
    Fault("predicting is slow", "each call asks another service", "latency", ask_service),
    Fault("scaled by the batch", "features look at the rows beside theirs", "parity", scale_by_batch),
    Fault("gaps filled from the row above", "ffill, as in the notebook", "parity", fill_from_above),
    Fault("null is 0 in a request", "a default in the server", "parity", zero_for_null),
    Fault("answers are rounded", "by the server, for the eye", "parity", round_answers),
    Fault("single precision in a batch", "to save half of the disk", "parity", halve_precision),
    Fault("fitted on all rows", "one last training before the release", "refit", fit_everything),
    Fault("scaled by all rows", "a mean over the whole table, in features.py", "refit", centre_by_everything),
)  # fmt: skip
