"""The pipeline's work as one plain script, for comparison: no DVC, no gates that close, no template code.

`plain.py TABLE OUT [--mlflow explicit|default]`: snapshot, contract, split, checks before training, inner folds, fit,
baselines, metrics with a bootstrap over blocks of days, checks after training, MLflow. It makes the fits, bootstraps
and files that the default project's pipeline makes, and is not changed with it. MLflow is called with its requirements
given, or with its defaults, by which it finds them out itself.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import duckdb
import mlflow
import numpy as np
import pandas as pd
import pandera.pandas as pa
import skops.io
from scipy import stats
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import precision_recall_curve, roc_auc_score, roc_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

CATEGORIES = ["origin", "dest", "carrier"]
NUMBERS = ["distance", "arrives", "plane_year", "humid", "wind_speed", "wind_gust", "precip", "visib"]
INPUTS = ["scheduled", *CATEGORIES, *NUMBERS]
OUTCOMES = ["dep_delay", "air_time", "arr_delay"]
RANGES = {"distance": (0, 6000), "arrives": (0, 1440), "plane_year": (1930, 2014), "humid": (0, 100),
          "wind_speed": (0, 120), "wind_gust": (0, 150), "precip": (0, 5), "visib": (0, 10)}  # fmt: skip
REQUIRED = ("distance", "arrives")
MONOTONIC = {"visib": -1, "precip": 1, "humid": 1, "scheduled_minute": 1}
TEST_DAYS, BLOCK_DAYS, REPLICATES = 62, 4, 2000


def calendar(times: pd.DataFrame) -> pd.DataFrame:
    """Minute of the day and day of the week."""
    at = times["scheduled"].dt
    parts = {"scheduled_minute": at.hour * 60.0 + at.minute, "scheduled_weekday": at.day_of_week.astype("float64")}
    return pd.DataFrame(parts, index=times.index)


def calendar_names(*_: object) -> list[str]:
    """Names of what `calendar` makes."""
    return ["scheduled_minute", "scheduled_weekday"]


def boosting():
    """The default recipe."""
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)
    names = FunctionTransformer(calendar, feature_names_out=calendar_names)
    steps = [("calendar", names, ["scheduled"]), ("number", "passthrough", NUMBERS), ("category", codes, CATEGORIES)]
    features = ColumnTransformer(steps, verbose_feature_names_out=False).set_output(transform="pandas")
    model = HistGradientBoostingClassifier(
        learning_rate=0.05, max_iter=100, max_leaf_nodes=31, min_samples_leaf=200, l2_regularization=1.0,
        max_features=0.3, early_stopping=False, monotonic_cst=MONOTONIC, random_state=2013)  # fmt: skip
    return make_pipeline(features, model)


def linear(last=None):
    """The linear baseline, or another linear model behind the same features."""
    dates = make_pipeline(FunctionTransformer(calendar), SimpleImputer(), StandardScaler())
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    dummies = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=20, sparse_output=False)
    steps = [("calendar", dates, ["scheduled"]), ("number", numbers, NUMBERS), ("category", dummies, CATEGORIES)]
    return make_pipeline(ColumnTransformer(steps), last or LogisticRegression(max_iter=1000))


def snapshot(table: Path, out: Path) -> pd.DataFrame:
    """The window's rows, as a file and in memory."""
    raw = out / "raw.parquet"
    window = "scheduled >= '2013-01-01' AND scheduled < '2013-09-01'"
    duckdb.execute(f"COPY (SELECT * FROM '{table}' WHERE {window}) TO '{raw}' (FORMAT parquet, COMPRESSION zstd)")
    return pd.read_parquet(raw)


def validate(raw: pd.DataFrame, out: Path) -> pd.DataFrame:
    """The rows that keep the contract; the others go to quarantine."""
    columns = {
        name: pa.Column(None, pa.Check.in_range(*RANGES[name]), nullable=name not in REQUIRED) for name in NUMBERS
    }
    columns |= {
        "origin": pa.Column(None, pa.Check.isin(["EWR", "JFK", "LGA"])),
        "late": pa.Column(None, pa.Check.isin([0, 1])),
    }
    columns |= {name: pa.Column(None) for name in ("scheduled", "dest", "carrier")}
    bad = raw.duplicated("id", keep=False)
    try:
        pa.DataFrameSchema(columns).validate(raw, lazy=True)
    except pa.errors.SchemaErrors as error:
        bad |= raw.index.isin(error.failure_cases["index"])
    raw[bad].astype("str").to_parquet(out / "quarantine.parquet", compression="zstd")
    valid = raw[~bad]
    valid.to_parquet(out / "valid.parquet", compression="zstd")
    return valid


def split(valid: pd.DataFrame, out: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The last days are the test set."""
    day = valid["scheduled"].dt.normalize()
    late = day > day.max() - pd.Timedelta(days=TEST_DAYS)
    parts = valid[~late].drop(columns=OUTCOMES), valid[late].drop(columns=OUTCOMES)
    for name, part in zip(("train", "test"), parts, strict=True):
        part.to_parquet(out / f"{name}.parquet", compression="zstd")
    return parts


def blocks_of(frame: pd.DataFrame) -> np.ndarray:
    """The block of days of each row."""
    day = frame["scheduled"].dt.normalize()
    return pd.factorize((day - day.min()).dt.days // BLOCK_DAYS, sort=True)[0]


def bound(values: np.ndarray, blocks: np.ndarray) -> dict[str, float]:
    """Mean and studentised one-sided bounds over blocks."""
    sums, counts = np.bincount(blocks, values), np.bincount(blocks).astype(float)
    size = len(sums)

    def mean_and_error(weights):
        total = weights @ counts
        mean = weights @ sums / total
        squares = weights @ sums**2 - 2 * mean * (weights @ (sums * counts)) + mean**2 * (weights @ counts**2)
        return mean, np.sqrt(np.maximum(squares, 0) * size / (size - 1)) / total

    (mean,), (error,) = mean_and_error(np.ones((1, size)))
    means, errors = mean_and_error(
        np.random.default_rng(0).multinomial(size, np.full(size, 1 / size), REPLICATES) * 1.0
    )
    scores = (means - mean)[errors > 0] / errors[errors > 0]
    low, high = np.quantile(scores, [0.05, 0.95]) if len(scores) else (0.0, 0.0)
    return {"value": mean, "low": mean - max(high, stats.t.ppf(0.95, size - 1)) * error, "high": mean - low * error}


def histogram_distance(old: np.ndarray, new: np.ndarray) -> float:
    """Largest distance between two distribution functions."""
    return float(stats.ks_2samp(old, new).statistic)


def checks_before(train: pd.DataFrame, test: pd.DataFrame) -> dict[str, float]:
    """Columns, drift, leaks and a small training."""
    found: dict[str, float] = {}
    for name in INPUTS:
        found[f"same {name}"] = float(train[name].value_counts(normalize=True, dropna=False).iloc[0])
    for name in CATEGORIES:
        found[f"unseen {name}"] = float((~test[name].isin(train[name].unique())).mean())
    for name in NUMBERS:
        months = [part[name].dropna().to_numpy() for _, part in train.groupby(train["scheduled"].dt.month)]
        found[f"unrest {name}"] = max(histogram_distance(months[0], month) for month in months[1:])
        found[f"drift {name}"] = histogram_distance(train[name].dropna().to_numpy(), test[name].dropna().to_numpy())
    both = pd.concat([train, test])
    found["twice"] = float(pd.util.hash_pandas_object(both[INPUTS], index=False).duplicated().mean())
    half = blocks_of(train) % 2 == 0
    y = train["late"].to_numpy()
    for name in NUMBERS:
        filled = train[name].fillna(train[name].median())
        found[f"alone {name}"] = roc_auc_score(y, filled)
        bins = pd.qcut(filled.rank(), 50, labels=False, duplicates="drop")
        shares = train["late"][half].groupby(bins[half]).mean()
        found[f"binned {name}"] = roc_auc_score(y[~half], bins[~half].map(shares).fillna(y.mean()))
    for name in CATEGORIES:
        shares = train[half].groupby(name)["late"].mean()
        found[f"alone {name}"] = roc_auc_score(y[~half], train[name][~half].map(shares).fillna(y.mean()))
    some = train.iloc[np.linspace(0, len(train) - 1, min(len(train), 20_000)).astype(int)]
    half = blocks_of(some) % 2 == 0
    for learned, scored in ((half, ~half), (~half, half)):
        for probe in (boosting(), linear(Ridge())):
            probe.fit(some[learned][INPUTS], some["late"][learned])
            said = (
                probe.predict_proba(some[scored][INPUTS])[:, 1]
                if hasattr(probe, "predict_proba")
                else probe.predict(some[scored][INPUTS])
            )
            found["joint"] = roc_auc_score(some["late"][scored], said)
    small = train.iloc[np.linspace(0, len(train) - 1, 2000).astype(int)]
    tiny = pd.concat([small.groupby("late").head(8).ffill().bfill()] * 125)
    for name, rows in {"small": small, "again": small, "tiny": tiny}.items():
        p = boosting().fit(rows[INPUTS], rows["late"]).predict_proba(rows[INPUTS])[:, 1]
        found[name] = float(((p - rows["late"]) ** 2).mean())
    return found


def inner_folds(train: pd.DataFrame) -> float:
    """The decision threshold with the least cost over later blocks of the training rows."""
    part = pd.factorize(train["scheduled"].dt.normalize(), sort=True)[0]
    part = part * 4 // (part.max() + 1)
    y, p = [], []
    for fold in (1, 2, 3):
        model = boosting().fit(train[part < fold][INPUTS], train["late"][part < fold])
        y.append(train["late"][part == fold])
        p.append(model.predict_proba(train[part == fold][INPUTS])[:, 1])
    y, p = np.concatenate(y), np.concatenate(p)
    order = np.argsort(p)
    missed, alarms = np.cumsum(y[order]), (1 - y).sum() - np.cumsum(1 - y[order])
    return float(p[order][np.argmin(3 * missed + alarms)])


def per_row(y: np.ndarray, p: np.ndarray, threshold: float) -> dict[str, np.ndarray]:
    """Brier score, log loss, accuracy and cost of each row."""
    q = np.clip(p, 1e-15, 1 - 1e-15)
    said = p >= threshold
    return {"brier": (p - y) ** 2, "log_loss": -np.log(np.where(y == 1, q, 1 - q)), "accuracy": (said == y) * 1.0,
            "cost": np.where(said, 1.0 - y, 3.0 * y)}  # fmt: skip


def evaluate(train, test, model, threshold, out: Path) -> tuple[dict, pd.DataFrame]:
    """Predictions of the model and both baselines, their metrics with bounds, curves."""
    y, blocks = test["late"].to_numpy(), blocks_of(test)
    table = test[["id", "scheduled", "origin", "carrier", "late"]].copy()
    table["model"] = model.predict_proba(test[INPUTS])[:, 1]
    for name, baseline in {"dummy": DummyClassifier(), "linear": linear()}.items():
        table[name] = baseline.fit(train[INPUTS], train["late"]).predict_proba(test[INPUTS])[:, 1]
    table.to_parquet(out / "predictions.parquet", compression="zstd")
    report = {}
    for name in ("model", "dummy", "linear"):
        report[name] = {k: bound(v, blocks) for k, v in per_row(y, table[name].to_numpy(), threshold).items()}
        report[name]["auc"] = roc_auc_score(y, table[name])
    for name, (x, z, _) in {
        "roc": roc_curve(y, table["model"]),
        "precision": precision_recall_curve(y, table["model"]),
    }.items():
        pd.DataFrame({"x": x, "y": z}).iloc[:: max(1, len(x) // 200)].to_csv(out / f"{name}.csv", index=False)
    return report, table


def checks_after(train, test, model, table, out: Path) -> dict:
    """Baselines, slices, behaviour, calibration, a second training, the file, latency."""
    y, p, blocks = test["late"].to_numpy(), table["model"].to_numpy(), blocks_of(test)
    loss = {name: (table[name].to_numpy() - y) ** 2 for name in ("model", "dummy", "linear")}
    found = {name: bound(loss[name] - loss["model"], blocks) for name in ("dummy", "linear")}
    for column in ("origin", "carrier"):
        for value, rows in test.reset_index().groupby(column).groups.items():
            if len(np.unique(blocks[rows])) > 1:
                inside = np.unique(blocks[rows], return_inverse=True)[1]
                found[f"{column} {value}"] = bound(loss["dummy"][rows] - loss["model"][rows], inside)
    cases = test.iloc[np.linspace(0, len(test) - 1, 1000).astype(int)][INPUTS]
    morning, evening = pd.Timestamp("2013-07-10 08:00"), pd.Timestamp("2013-07-10 18:00")
    for column, values in {"visib": (10.0, 1.0), "scheduled": (morning, evening), "precip": (0.0, 0.5),
                           "humid": (50.0, 95.0), "wind_speed": (5.0, 30.0)}.items():  # fmt: skip
        low, high = (model.predict_proba(cases.assign(**{column: value}))[:, 1] for value in values)
        found[f"direction {column}"] = float((high < low).mean())
    logit = np.log(np.clip(p, 1e-6, 1 - 1e-6) / (1 - np.clip(p, 1e-6, 1 - 1e-6)))[:, None]
    better = np.empty(len(y))
    for half in (blocks % 2 == 0, blocks % 2 == 1):
        better[~half] = LogisticRegression().fit(logit[half], y[half]).predict_proba(logit[~half])[:, 1]
    found["calibration"] = bound((p - y) ** 2 - (better - y) ** 2, blocks)
    again = boosting().fit(train[INPUTS], train["late"]).predict_proba(test[INPUTS])[:, 1]
    found["again"] = float(np.abs(again - p).max())
    trusted = skops.io.get_untrusted_types(file=out / "model.skops")
    loaded = skops.io.load(out / "model.skops", trusted=trusted)
    found["loaded"] = float(np.abs(loaded.predict_proba(test[INPUTS])[:, 1] - p).max())
    began = time.perf_counter()
    for _ in range(10):
        model.predict_proba(cases)
    found["latency"] = time.perf_counter() - began
    return found


def log(model, params: dict, metrics: dict, test: pd.DataFrame, out: Path, how: str) -> None:
    """A run with its model, registered and made champion."""
    mlflow.set_tracking_uri(f"sqlite:///{out.resolve()}/mlflow.db")
    mlflow.create_experiment("plain", artifact_location=(out / "artifacts").resolve().as_uri())
    mlflow.set_experiment("plain")
    with mlflow.start_run():
        mlflow.log_params(params)
        mlflow.log_metrics({f"{name}_brier": report["brier"]["value"] for name, report in metrics.items()})
        given = (
            {"pip_requirements": ["scikit-learn", "pandas", "skops"]}
            if how == "explicit"
            else {"input_example": test[INPUTS].head()}
        )
        logged = mlflow.sklearn.log_model(
            model, name="model", registered_model_name="plain", serialization_format="cloudpickle", **given
        )
        mlflow.log_artifacts(str(out / "reports"))
    mlflow.MlflowClient().set_registered_model_alias("plain", "champion", logged.registered_model_version)


def main() -> None:
    """All of it, once."""
    parser = argparse.ArgumentParser(description="The pipeline's work as one plain script.")
    parser.add_argument("table", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--mlflow", choices=["explicit", "default"], default="explicit")
    given = parser.parse_args()
    out = given.out
    (out / "reports").mkdir(parents=True, exist_ok=True)
    train, test = split(validate(snapshot(given.table, out), out), out)
    before = checks_before(train, test)
    threshold = inner_folds(train)
    model = boosting().fit(train[INPUTS], train["late"])
    skops.io.dump(model, out / "model.skops")
    metrics, table = evaluate(train, test, model, threshold, out)
    after = checks_after(train, test, model, table, out)
    for name, report in {"before": before, "metrics": metrics, "after": after}.items():
        (out / f"reports/{name}.json").write_text(json.dumps(report, indent=1, default=float), encoding="utf-8")
    log(model, {"threshold": threshold, "rows": len(train)}, metrics, test, out, given.mlflow)
    print(f"brier {metrics['model']['brier']['value']:.4f}")


if __name__ == "__main__":
    main()
