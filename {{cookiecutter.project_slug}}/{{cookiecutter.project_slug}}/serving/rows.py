"""The array path: a fitted pipeline as one function of rows, so that a row costs microseconds.

pandas and scikit-learn's checks take milliseconds whatever the number of rows. A pipeline whose steps `arrays` knows
is scored by arrays; one with any other step by `model.predict` on `frame`, the general path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np

from .. import schema
from . import arrays

if TYPE_CHECKING:
    import pandas as pd

#: Rows as a request gives them (float, int, bool, None, str, naive datetime), or a table.
Table: TypeAlias = Union["pd.DataFrame", Sequence[Mapping[str, Any]]]


def frame(rows: Sequence[Mapping[str, Any]], contract: schema.Schema) -> pd.DataFrame:
    """The inputs of `rows` with the dtypes that the test rows have when read from Parquet: the general path's table."""
    import pandas as pd

    def values(name: str) -> Any:
        column, given = contract.columns[name], [row[name] for row in rows]
        if column.type == "category":
            return pd.array(given, dtype="str")
        whole = {} if column.nullable else {"int": "int64", "bool": "bool"}
        return np.array(given, dtype={"datetime": "datetime64[us]", **whole}.get(column.type, "float64"))

    return pd.DataFrame({name: values(name) for name in contract.inputs})


def compiled(fitted: Any, contract: schema.Schema) -> Callable[[Table], np.ndarray] | None:
    """What `model.predict` does with `fitted`, by arrays; None when one of its steps is not known exactly.

    The function takes n rows and returns (n,) or (n, K): to the last bit for trees, to 1e-12 for linear models. Where
    a function of `features.py` needs a DataFrame, so that it raises or answers otherwise, golden rows show it.
    """
    try:
        return assembled(fitted, contract)
    except (ValueError, TypeError, AttributeError):  # of another shape than any that is known
        return None


def assembled(fitted: Any, contract: schema.Schema) -> Callable[[Table], np.ndarray]:
    """Features, whatever lies between, and the estimator. Raises arrays.UnknownStepError."""
    (_, first), *between, (_, last) = fitted.steps
    features, later, predict = column_transformer(first, contract), arrays.chain(between), arrays.estimator(last)

    def score(table: Table) -> np.ndarray:
        answers = predict(later(features(table)))
        if contract.task == "regression":
            return answers
        found = np.zeros((len(answers), len(contract.classes)))
        found[:, last.classes_] = answers
        return found if contract.task == "multiclass" else found[:, 1]

    return score


def column_transformer(step: Any, contract: schema.Schema) -> Callable[[Table], np.ndarray]:
    """Each part on its own columns, which are of one kind, all side by side; (n, features). Raises UnknownStepError."""
    if arrays.name(step) != "ColumnTransformer" or step.transformer_weights or step.sparse_output_:
        raise arrays.UnknownStepError("features")
    kind_of = {"datetime": "datetime64[us]", "category": "object"}
    parts = []
    for name, part, _ in step.transformers_:
        names = [str(step.feature_names_in_[i]) for i in step._transformer_to_input_indices[name]]
        if not names or part == "drop":
            continue
        kind, *others = {kind_of.get(contract.columns[column].type, "float64") for column in names}
        if others:
            raise arrays.UnknownStepError(name)
        parts.append((names, kind, arrays.transformer(part)))
    return lambda table: np.hstack([part(cells(table, names, kind)) for names, kind, part in parts])


def cells(table: Table, names: list[str], kind: str) -> Any:
    """Columns `names` as an array of `kind`, (n, k); categories of a table stay a table."""
    if isinstance(table, Sequence):
        return np.array([[row[name] for name in names] for row in table], dtype=kind).reshape(len(table), len(names))
    return table[names] if kind == "object" else table[names].to_numpy(dtype=kind)
