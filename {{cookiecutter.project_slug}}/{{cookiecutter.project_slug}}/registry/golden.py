"""Golden rows: made-up inputs that travel with a model, and what it says of them wherever it is loaded rightly.

No row of the data is among them: values are drawn from what `schema.yaml` admits, where it says nothing from the
rounded range of the training rows, and from the categories that the model file holds anyway.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import model, record
from ..errors import GateClosed
from ..gates import metrics, reproduction, verdict

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from ..schema import Column, Schema

PATH = verdict.GOLDEN
ROWS = 64
#: Admitted, and seen by no training.
UNSEEN = "\N{WHITE QUESTION MARK ORNAMENT} never seen"
#: How far an answer may lie from the pipeline's: nothing for trees, the order of a sum for linear models.
TOLERANCE = 1e-12


def draw(column: Column, seen: pd.Series, random: np.random.Generator) -> pd.Series:
    """ROWS values of a column, its limits among them, of the type that a table of valid rows has; some null if it may.

    `seen`: the training rows' values.
    """
    import pandas as pd

    null = random.random(ROWS) < (0.2 if column.nullable else 0)
    if column.type == "category":
        known = column.values or [*seen.value_counts().index[:20], UNSEEN]
        return pd.Series(random.choice(np.array(known, dtype=object), ROWS)).astype("str").mask(null)
    if column.type == "datetime":
        times = seen.dropna() if seen.notna().any() else pd.Series([pd.Timestamp(0)])
        first, days = times.min().normalize(), (times.max() - times.min()).days + 2
        minutes = random.integers(0, days * 24 * 60, ROWS)
        return pd.Series(first + pd.to_timedelta(minutes, unit="min")).astype(seen.dtype).mask(null)
    if column.values or column.type == "bool":
        found = pd.Series(random.choice(np.array(column.values or [False, True]), ROWS))
    else:
        usual = np.nan_to_num(seen.astype("float64").quantile([0.05, 0.95]))  # a column may be null throughout
        declared = (column.min, column.max)
        low, high = (float(f"{u:.2g}") if d is None else d for u, d in zip(usual, declared, strict=True))
        found = pd.Series(np.concatenate([[low, high], random.uniform(low, high, ROWS - 2).round(3)])).clip(low, high)
    found = found.round() if column.type == "int" else found
    return found.astype("float64").mask(null) if column.nullable else found.astype(seen.dtype)


def rows(train: pd.DataFrame, contract: Schema, seed: int, private: Collection[str] = ()) -> pd.DataFrame:
    """ROWS made-up rows of `contract.inputs`; the same for the same training rows and seed.

    Of a `private` category no value of the training rows is shown.
    """
    import pandas as pd

    random = np.random.default_rng(seed)
    hidden = {name for name in contract.inputs if name in private and contract.columns[name].type == "category"}
    shown = {name: train[name].iloc[:0] if name in hidden else train[name] for name in contract.inputs}
    return pd.DataFrame({name: draw(contract.columns[name], seen, random) for name, seen in shown.items()})


def write(fitted: Any, train: pd.DataFrame, contract: Schema, seed: int, private: Collection[str] = ()) -> None:
    """Write golden rows and what `fitted` says of them to PATH. Raises StoreError, GateClosed when it needs more."""
    import pandas as pd

    made = rows(train, contract, seed, private)
    try:
        said = model.predict(fitted, made, contract).reshape(len(made), -1)
    except Exception as error:  # features.py, model.py and the estimator may raise anything
        reason = f"the inputs of schema.yaml are not enough to predict ({type(error).__name__}: {error})"
        raise GateClosed(
            ["artefact"], f"{reason}: keep all that a prediction needs in them and in features.py"
        ) from error
    record.write_parquet(made.join(pd.DataFrame(said, columns=contract.scores("predicted"))), PATH)


def read(path: Path, contract: Schema) -> tuple[pd.DataFrame, np.ndarray]:
    """The rows that `write` wrote, and what was said of them, (ROWS,) or (ROWS, K). Raises InputError."""
    found = record.read_parquet(path)
    return found[contract.inputs], metrics.scores(found, "predicted", contract)


def equal(said: np.ndarray, golden: np.ndarray) -> bool:
    """Whether answers are the golden ones within TOLERANCE, of the largest where that is above 1; a NaN is not."""
    return reproduction.difference(said, golden) <= TOLERANCE * max(1.0, float(np.abs(golden).max()))
