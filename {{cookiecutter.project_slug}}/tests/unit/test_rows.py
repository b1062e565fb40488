"""A row scored by arrays is scored as the pipeline scores it: to the last bit for trees, to 1e-12 for linear models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, RobustScaler, StandardScaler

from {{ cookiecutter.project_slug }} import config, features, model, record, schema
from {{ cookiecutter.project_slug }}.serving import arrays, rows
from {{ cookiecutter.project_slug }}.stages import cast

Make = Callable[..., Any]
BOOSTING = {"max_iter": 12, "min_samples_leaf": 5}
FOREST = {"n_estimators": 5, "max_depth": 6}
#: Estimators by task: the shipped kind, a linear one, and one that has no function of its own.
CLASSIFIERS = {
    "boosting": ("sklearn.ensemble.HistGradientBoostingClassifier", BOOSTING),
    "linear": ("sklearn.linear_model.LogisticRegression", {"max_iter": 300}),
    "forest": ("sklearn.ensemble.RandomForestClassifier", FOREST),
}
REGRESSORS = {
    "boosting": ("sklearn.ensemble.HistGradientBoostingRegressor", {**BOOSTING, "loss": "poisson"}),
    "linear": ("sklearn.linear_model.Ridge", {}),
    "forest": ("sklearn.ensemble.RandomForestRegressor", FOREST),
}
#: A linear model takes no null, so none as it is.
RECIPES = [("ordinal", "boosting"), ("ordinal", "forest"), ("onehot", "boosting"), ("onehot", "forest"),
           ("onehot", "linear")]  # fmt: skip
MORE: dict[str, Any] = {
    "seen": {"type": "datetime", "nullable": True}, "kind": {"type": "category", "nullable": True},
    "count": {"type": "int"}, "steps": {"type": "int", "nullable": True}, "flag": {"type": "bool", "nullable": True},
}  # fmt: skip


@pytest.fixture
def contract(contract_of: Make) -> schema.Schema:
    """A binary task with every type of column, nullable and not."""
    made: schema.Schema = contract_of(**MORE)
    return made


@pytest.fixture
def table(rows_of: Make) -> Make:
    """Rows for `MORE`: nulls in every nullable column, and categories that are rare."""

    def make(count: int, seed: int = 0) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        empty = rng.random((4, count)) < 0.2
        kinds = rng.choice(["x", "y", "z", "rare"], count, p=[0.5, 0.3, 0.19, 0.01])
        return rows_of(count, seed).assign(
            seen=lambda f: f["when"].mask(empty[0]) + pd.Timedelta(minutes=7),
            kind=pd.Series(kinds, dtype="str").mask(empty[1]),
            count=rng.integers(-3, 50, count),
            steps=np.where(empty[2], np.nan, rng.integers(0, 9, count)),
            flag=np.where(empty[3], np.nan, rng.random(count) < 0.5),
        )

    return make


def hard(rows_: pd.DataFrame) -> pd.DataFrame:
    """`rows_` and, after them, nulls one column at a time, unseen categories, extreme and ancient values."""
    one = rows_.iloc[:1]
    nullable = [name for name in ("seen", "kind", "size", "steps", "flag") if name in rows_]
    changes: list[dict[str, Any]] = [
        *({name: rows_[name].mask(rows_.index >= 0).iloc[:1]} for name in nullable),
        {"place": "never seen"}, {"kind": ""}, {"kind": "rare"}, {"size": 1e30}, {"size": -1e30}, {"size": 5e-324},
        {"count": 2**53 + 1}, {"when": pd.Timestamp("1901-02-03 04:05:06.789")}, {"seen": pd.Timestamp("2262-01-01")},
    ]  # fmt: skip
    made = [one.assign(**{n: v for n, v in change.items() if n in rows_}) for change in changes]
    return pd.concat([rows_, *made], ignore_index=True).astype(rows_.dtypes)


def asked(table_: pd.DataFrame, contract: schema.Schema) -> list[dict[str, Any]]:
    """The inputs as a request gives them."""
    kinds = cast.arrow(contract, contract.inputs)
    listed: list[dict[str, Any]] = pa.Table.from_pandas(
        table_[contract.inputs], kinds, preserve_index=False
    ).to_pylist()
    return listed


def built(steps: Any, frame: pd.DataFrame, contract: schema.Schema, estimator: Any = None) -> Any:
    """A pipeline over ColumnTransformer `steps`, fitted on `frame`."""
    first = ColumnTransformer(steps, verbose_feature_names_out=False, remainder="drop", sparse_threshold=1)
    last = estimator or HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=5)
    return model.fit(Pipeline([("features", first.set_output(transform="default")), ("estimator", last)]),
                     frame, contract)  # fmt: skip


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize(
    ("encoding", "kind"),
    [
        ("ordinal", "boosting"),
        ("ordinal", "forest"),
        ("onehot", "boosting"),
        ("onehot", "forest"),
        ("onehot", "linear"),
    ],
)
def test_arrays_give_what_the_pipeline_gives(
    contract_of: Make, params_of: Make, table: Make, task: str, encoding: str, kind: str
) -> None:
    """Thousands of rows, three, and one at a time; as a table and as a request; whatever the values."""
    contract = contract_of(task, **MORE)
    estimator, arguments = (CLASSIFIERS if contract.classes else REGRESSORS)[kind]
    train: config.Train = params_of().train.model_copy(
        update={"estimator": estimator, "arguments": arguments, "encoding": encoding}
    )
    frame = table(600).assign(minutes=lambda f: f["minutes"].clip(lower=0))
    fitted = model.fit(model.build(train, contract, 1), frame, contract)
    score = rows.compiled(fitted, contract)
    assert score is not None
    cases = hard(table(5000, seed=1))
    expected, listed = model.predict(fitted, cases, contract), asked(cases, contract)
    few = [*range(20), *range(5000, len(cases))]
    found = {
        "table": (score(cases), expected), "request": (score(listed), expected),
        "three": (score(listed[5000:5003]), expected[5000:5003]),
        "one": (np.concatenate([score([listed[i]]) for i in few]), expected[few]),
        "one, table": (np.concatenate([score(cases.iloc[i : i + 1]) for i in few]), expected[few]),
        "frame": (model.predict(fitted, rows.frame(listed, contract), contract), expected),
    }  # fmt: skip
    for way, (ours, theirs) in found.items():
        if kind == "linear":
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12, err_msg=way)
        else:
            np.testing.assert_array_equal(ours, theirs, err_msg=way)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_all_trees_at_once_are_each_tree(
    contract_of: Make, params_of: Make, table: Make, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    """However many rows are given to either way of scoring; also trees that are one leaf."""
    contract = contract_of(task, **MORE)
    estimator, _ = (CLASSIFIERS if contract.classes else REGRESSORS)["boosting"]
    cases = hard(table(500, seed=1))
    for arguments in ({"max_iter": 30, "min_samples_leaf": 2}, {"max_iter": 2, "min_samples_leaf": 10_000}):
        train = params_of().train.model_copy(
            update={"estimator": estimator, "arguments": arguments, "encoding": "ordinal"}
        )
        fitted = model.fit(model.build(train, contract, 1), table(300), contract)
        monkeypatch.setattr(arrays, "CROSSING", 10**9)
        merged = rows.compiled(fitted, contract)
        monkeypatch.setattr(arrays, "CROSSING", 0)
        own = rows.compiled(fitted, contract)
        assert merged is not None
        assert own is not None
        monkeypatch.setattr(type(fitted[-1]), "_raw_predict", None)  # what the merged trees do not ask
        found = merged(cases)
        with pytest.raises(TypeError):
            own(cases)
        monkeypatch.undo()
        np.testing.assert_array_equal(found, model.predict(fitted, cases, contract))
        np.testing.assert_array_equal(found, own(cases))


def test_a_class_that_training_never_saw_has_probability_zero(
    contract_of: Make, params_of: Make, rows_of: Make
) -> None:
    """As `model.predict` has it: one column per class of the schema."""
    contract = contract_of("multiclass")
    frame = rows_of()
    fitted = model.fit(model.build(params_of().train, contract, 1), frame[frame["status"] != "middle"], contract)
    score = rows.compiled(fitted, contract)
    assert score is not None
    found = score(frame)
    assert found.shape == (200, 3)
    assert (found[:, 2] == 0).all()
    np.testing.assert_allclose(found, model.predict(fitted, frame, contract), rtol=0, atol=1e-12)


def squared(columns: Any, power: float = 2.0) -> np.ndarray:
    """Numbers to a power."""
    return np.asarray(columns, dtype="float64") ** power


NUMBER = ["size", "count", "steps"]
PLACES = ["place", "kind"]
DUMMIES = {"sparse_output": False, "handle_unknown": "ignore"}
KNOWN: dict[str, list[Any]] = {
    "passthrough": [("n", "passthrough", NUMBER)],
    "drop": [("n", "passthrough", ["size"]), ("d", "drop", ["count"])],
    "none chosen": [("n", "passthrough", ["size"]), ("e", StandardScaler(), [])],
    "positions": [("n", StandardScaler(), [2, 6])],
    "arguments": [("n", FunctionTransformer(squared, kw_args={"power": 3.0}), NUMBER)],
    "identity": [("n", FunctionTransformer(), NUMBER)],
    "unscaled": [("n", StandardScaler(with_mean=False), NUMBER), ("b", StandardScaler(with_std=False), ["open"])],
    "chain": [("n", make_pipeline("passthrough", SimpleImputer(), StandardScaler()), NUMBER)],
    "indicator": [("n", SimpleImputer(add_indicator=True, strategy="median"), NUMBER)],
    "constant": [("n", SimpleImputer(strategy="constant", fill_value=-1.5), NUMBER)],
    "frequent": [("n", SimpleImputer(strategy="most_frequent"), ["flag", "steps"])],
    "nothing known": [("n", SimpleImputer(add_indicator=True), ["gone", "size"])],
    "nothing known, kept": [("n", SimpleImputer(keep_empty_features=True), ["gone", "size"])],
    "unknown is NaN": [("c", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan), PLACES)],
    "missing is a code": [("c", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=99,
                                               encoded_missing_value=-7, min_frequency=30), PLACES)],
    "rare together": [("c", OneHotEncoder(**{**DUMMIES, "handle_unknown": "infrequent_if_exist"}, min_frequency=30),
                       PLACES)],
    "one left out": [("c", OneHotEncoder(**DUMMIES, drop="first"), PLACES)],
    "some": [("c", OneHotEncoder(**DUMMIES, max_categories=2), PLACES)],
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Found unknown categories", "ignore:Skipping features without")
@pytest.mark.parametrize("name", KNOWN)
def test_each_known_step_gives_its_own_answer(contract_of: Make, table: Make, name: str) -> None:
    """Features are equal, value by value, as a table and as a request."""
    contract = contract_of(**MORE, gone={"type": "float", "nullable": True})
    frame, cases = (f.assign(gone=np.nan) for f in (table(300), hard(table(50, seed=2))))
    fitted = built(KNOWN[name], frame, contract)
    assert rows.compiled(fitted, contract) is not None
    ours = rows.column_transformer(fitted[0], contract)
    expected = np.asarray(fitted[0].transform(cases[contract.inputs]), dtype=float)
    np.testing.assert_array_equal(ours(cases), expected)
    np.testing.assert_array_equal(ours(asked(cases, contract)), expected)


def test_steps_between_features_and_estimator_are_part_of_it(contract: schema.Schema, table: Make) -> None:
    """A team may scale all features at the end."""
    frame = table(300)
    fitted = Pipeline(
        [
            ("features", features.transformer(contract, "onehot")),
            ("scale", StandardScaler()),
            ("estimator", HistGradientBoostingClassifier(max_iter=5)),
        ]
    )
    model.fit(fitted, frame, contract)
    score = rows.compiled(fitted, contract)
    assert score is not None
    np.testing.assert_array_equal(score(asked(frame, contract)), model.predict(fitted, frame, contract))


class Own(StandardScaler):  # type: ignore[misc]  # scikit-learn has no types
    """A team's own step, which scikit-learn's function would not do justice."""


UNKNOWN: dict[str, list[Any]] = {
    "another step": [("n", RobustScaler(), NUMBER)],
    "the team's own step": [("n", Own(), NUMBER)],
    "a check": [("n", FunctionTransformer(validate=True), ["count", "open"])],
    "kinds mixed": [("n", FunctionTransformer(lambda f: f[["size"]]), ["size", "place"])],
    "numbers as categories": [("c", OneHotEncoder(**DUMMIES), ["count"])],
    "small numbers": [("c", OneHotEncoder(**DUMMIES, dtype="float32"), PLACES)],
    "sparse": [("c", OneHotEncoder(handle_unknown="ignore"), PLACES)],
    "unknown is an error": [("c", OrdinalEncoder(), PLACES)],
    "missing is a number": [("n", SimpleImputer(missing_values=-1), ["count", "open"])],
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_not_known_exactly_has_no_array_path(contract: schema.Schema, table: Make, name: str) -> None:
    """The general path serves."""
    frame = table(300)
    fitted = built(UNKNOWN[name], frame, contract, LogisticRegression() if name == "sparse" else None)
    assert np.isfinite(model.predict(fitted, frame, contract)).all()
    assert rows.compiled(fitted, contract) is None


def test_another_shape_of_pipeline_has_no_array_path(contract_of: Make, params_of: Make, table: Make) -> None:
    """Weights for parts of the features, or no features at all, as the dummy has it."""
    contract, frame = contract_of(**MORE), table(300)
    dummy = model.fit(model.baseline("dummy", params_of().train, contract, 1), frame, contract)
    assert rows.compiled(dummy, contract) is None
    weighted = built([("n", StandardScaler(), ["count"])], frame, contract)
    assert rows.compiled(weighted, contract) is not None
    weighted[0].set_params(transformer_weights={"n": 1.0})
    assert rows.compiled(weighted, contract) is None


def test_trees_over_sets_of_categories_predict_by_themselves(contract: schema.Schema, table: Make) -> None:
    """Their splits are no thresholds."""
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    frame, cases = table(300), hard(table(50, seed=2))
    boosting = HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=5, categorical_features=[0, 1])
    fitted = built([("c", codes, PLACES), ("n", "passthrough", NUMBER)], frame, contract, boosting)
    score = rows.compiled(fitted, contract)
    assert score is not None
    for case in (cases, cases.iloc[:1]):
        np.testing.assert_array_equal(score(case), model.predict(fitted, case, contract))


def test_what_a_linear_model_refuses_is_refused(contract: schema.Schema, table: Make) -> None:
    """A null that no step fills is an error on either path, not an answer."""
    frame = table(300).assign(size=1.0)
    fitted = built([("n", "passthrough", ["size", "count"])], frame, contract, LogisticRegression())
    score = arrays.linear(fitted[-1])
    assert np.isfinite(score(np.ones((1, 2)))).all()
    with pytest.raises(ValueError, match="NaN"):
        score(np.array([[np.nan, 1.0]]))


def test_a_frame_has_the_types_of_a_table_read_from_parquet(
    contract: schema.Schema, table: Make, tmp_path: Path
) -> None:
    """Exactly, and the values too; also for rows that are all null where they may be, and for none."""
    cases = hard(table(30))
    kinds = cast.arrow(contract, contract.inputs)
    for chosen in (cases, cases.iloc[:1], cases.iloc[:1].assign(seen=pd.NaT, kind=None, size=np.nan, flag=np.nan),
                   cases.iloc[:0]):  # fmt: skip
        written = pa.Table.from_pandas(chosen[contract.inputs], kinds, preserve_index=False)
        parquet.write_table(written, tmp_path / "rows.parquet")
        read = record.read_parquet(tmp_path / "rows.parquet")
        found = rows.frame(asked(chosen, contract), contract)
        pd.testing.assert_frame_equal(found, read[contract.inputs])
