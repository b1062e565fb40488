"""Predictions made again: by a second training on the training rows alone, and by a process that has only the files."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .. import config, model, record, schema
from ..errors import InputError
from . import metrics, verdict

if TYPE_CHECKING:
    import pandas as pd


def difference(first: np.ndarray, second: np.ndarray) -> float:
    """Largest absolute difference of two arrays; infinite when their shapes differ, NaN when one holds a NaN."""
    return float(np.abs(first - second).max()) if first.shape == second.shape else math.inf


def refitted(train: pd.DataFrame, test: pd.DataFrame, contract: schema.Schema, params: config.Params) -> np.ndarray:
    """Predictions of `test` by the model built and fitted once more on `train`, in an empty working folder.

    There, code that reads a table by itself, such as all rows to fit a scaler, finds none. Raises InputError with
    what the training raised.
    """
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        try:
            pipeline = model.fit(model.build(params.train, contract, params.seed), train, contract)
            return model.predict(pipeline, test, contract)
        except Exception as error:  # features.py, model.py and the estimator may raise anything
            reason = f"{type(error).__name__}: {model.first_line(error)}"
            raise InputError(f"in an empty folder the training fails ({reason})") from error


def in_a_clean_process(test: pd.DataFrame, contract: schema.Schema) -> np.ndarray:
    """Predictions of `test` by a new Python that is given the model file, the schema and the inputs, and no more.

    It takes no variable PYTHON* from here. Raises InputError with the last line that it wrote to stderr.
    """
    with tempfile.TemporaryDirectory() as folder:
        table, out = Path(folder, "in.parquet"), Path(folder, "out.parquet")
        shutil.copyfile(verdict.MODEL, Path(folder, "model.skops"))
        shutil.copyfile(schema.PATH, Path(folder, "schema.yaml"))
        record.write_parquet(test[contract.inputs], table)
        module = f"{verdict.PACKAGE.name}.serving.predict"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        done = subprocess.run([sys.executable, "-m", module, folder, str(table), str(out)], cwd=verdict.PACKAGE.parent,
                              env=environment, capture_output=True, text=True, check=False)  # fmt: skip
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise InputError(f"in a clean process the model does not predict ({said})")
        return metrics.scores(record.read_parquet(out), "predicted", contract)
