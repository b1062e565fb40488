"""YOURS: how columns of `schema.yaml` become what an estimator is given.

The transformer is part of the model: training, evaluation, serving and batch scoring all run this file, and the
model's digest covers it. Fit nothing outside of it.

A function that takes arrays, as those here do, makes a model fast to serve: it is given a table in training and an
array of the same columns in serving. One that needs a DataFrame works too, on the slower path.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .schema import Schema


def calendar(times: Any) -> np.ndarray:
    """Minute of the day and day of the week (0 is Monday) of each datetime column; (n, k) in, (n, 2k) out, null as NaN.

    No month and no day of the year: a window shorter than a year teaches a season as if it were a trend.
    """
    times = np.asarray(times, dtype="datetime64[s]")
    days = times.astype("datetime64[D]")
    minute = np.floor((times - days) / np.timedelta64(1, "m"))
    weekday = (days - np.datetime64("1970-01-05")) / np.timedelta64(1, "D") % 7  # that day was a Monday
    return np.stack([minute, weekday], axis=2).reshape(len(times), 2 * times.shape[1])


def calendar_names(_: Any, names: Iterable[str]) -> list[str]:
    """Names of the columns that `calendar` makes of datetime columns `names`."""
    return [f"{name}_{part}" for name in names for part in ("minute", "weekday")]


def numbers(columns: Any) -> np.ndarray:
    """Numeric and boolean columns as float64, nulls as NaN; (n, k) in and out."""
    return np.asarray(columns, dtype="float64")


def transformer(contract: Schema, encoding: str) -> Any:
    """An unfitted ColumnTransformer over the inputs of `contract`.

    `ordinal`: category codes and missing values as they are, for trees. `onehot`: imputed, scaled and
    one-hot encoded, for linear models. Categories never seen in training are all one category.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

    times = [*filter(None, [contract.time]), *contract.features("datetime")]
    number = contract.features("int", "float", "bool")
    category = contract.features("category")
    ordinal = encoding == "ordinal"
    steps: list[tuple[str, Any, list[str]]] = []
    if times:
        dates = FunctionTransformer(calendar, feature_names_out=calendar_names)
        scaled = make_pipeline(dates, SimpleImputer(keep_empty_features=True), StandardScaler())
        steps.append(("calendar", dates if ordinal else scaled, times))
    if number:
        plain = FunctionTransformer(numbers, feature_names_out="one-to-one")
        linear = make_pipeline(plain, SimpleImputer(add_indicator=True, keep_empty_features=True), StandardScaler())
        steps.append(("number", plain if ordinal else linear, number))
    if category:
        codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)
        dummies = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=20, sparse_output=False)
        steps.append(("category", codes if ordinal else dummies, category))
    # Names survive, so that an estimator's arguments can speak of columns.
    return ColumnTransformer(steps, verbose_feature_names_out=False).set_output(transform="pandas")
