"""A version at work: the model of a bundle with its own features and contract, checked before it answers anyone.

Several may live in one process. A function of `features.py` is stored as an import path, so the bundle's own source
stands in for ours while its model is read; what was made from it keeps its globals afterwards.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import features, model, record, schema
from ..errors import InputError
from ..registry import artefact, golden
from . import rows

if TYPE_CHECKING:
    import pandas as pd

#: One bundle's features stand in for ours at a time.
LOADING = threading.Lock()


@contextmanager
def features_from(source: Path) -> Iterator[None]:
    """Let `features.py` be the file at `source` for whatever is imported by name within the context."""
    name = features.__name__
    found = importlib.util.spec_from_file_location(name, source)
    if found is None or found.loader is None:
        raise InputError(f"{source} is no Python file")
    theirs = importlib.util.module_from_spec(found)
    with LOADING:
        ours = sys.modules[name]
        sys.modules[name] = theirs
        try:
            try:
                found.loader.exec_module(theirs)
            except Exception as error:  # it is code
                raise InputError(f"{source} cannot be run here ({type(error).__name__}: {error})") from error
            yield
        finally:
            sys.modules[name] = ours


@dataclass(frozen=True)
class Version:
    """A model that was found to answer as its pipeline did. `arrays` answers faster, where it can be shown to be equal.

    `categories`: what training saw of each category column; `golden`: rows to try it on, as a request would give them,
    and the answers.
    """

    digest: str
    facts: dict[str, Any]
    contract: schema.Schema
    threshold: float
    fitted: Any
    arrays: Callable[[Any], np.ndarray] | None
    categories: dict[str, frozenset[str]]
    golden: tuple[list[dict[str, Any]], np.ndarray]

    def made_up(self, rows: Sequence[Mapping[str, Any]]) -> bool:
        """Whether rows are golden ones and nothing else."""
        names = self.contract.inputs
        known, asked = ({tuple(row.get(name) for name in names) for row in some} for some in (self.golden[0], rows))
        return asked <= known

    @property
    def path(self) -> str:
        """How it answers: by `arrays`, or by the `frame` that every pipeline takes."""
        return "arrays" if self.arrays else "frame"

    def score(self, table: pd.DataFrame | Sequence[Mapping[str, Any]]) -> np.ndarray:
        """What the model says of each row, as `model.predict`: (n,), or (n, K) for a multiclass task."""
        if self.arrays:
            return self.arrays(table)
        return by_frame(self.fitted, table, self.contract)

    def chosen(self, scores: np.ndarray) -> np.ndarray | None:
        """The class each row is taken for, by its position: by the tuned threshold, or the most probable; (n,)."""
        if self.contract.task == "regression":
            return None
        return scores.argmax(axis=1) if scores.ndim == 2 else (scores >= self.threshold).astype(int)

    def decide(self, scores: np.ndarray) -> list[Any] | None:
        """The class each row is taken for; None for regression."""
        chosen = self.chosen(scores)
        return None if chosen is None else [self.contract.classes[i] for i in chosen]


def by_frame(fitted: Any, table: Any, contract: schema.Schema) -> np.ndarray:
    """The answers of the pipeline itself, which takes a DataFrame."""
    return model.predict(fitted, rows.frame(table, contract) if isinstance(table, Sequence) else table, contract)


def requested(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as a request gives them: null is None, a time Python's own."""
    found = table.astype(object).where(table.notna(), None).to_dict("records")
    return [{str(k): v.to_pydatetime() if hasattr(v, "to_pydatetime") else v for k, v in row.items()} for row in found]


def known_categories(fitted: Any, contract: schema.Schema) -> dict[str, frozenset[str]]:
    """What the pipeline's encoders learned of each category column; of a column without one, what is declared."""
    found = {name: frozenset(contract.columns[name].values or ()) for name in contract.features("category")}
    for _, step, columns in getattr(fitted[0], "transformers_", ()):
        if hasattr(step, "categories_"):
            found |= {name: frozenset(map(str, seen)) for name, seen in zip(columns, step.categories_, strict=True)}
    return {name: seen for name, seen in found.items() if seen}


def load(bundle: Path, digest: str | None = None) -> Version:
    """The version in `bundle`, which must have this `digest`, and the one it claims.

    Raises GateClosed when a file is another one, InputError when one is missing or damaged, or when the model does not
    answer its golden rows as it did when it was trained.
    """
    facts = record.read_json(bundle / "lineage.json")
    contract = schema.load(bundle / "schema.yaml")
    source = bundle / "code" / features.__name__.partition(".")[0] / "features.py"
    with features_from(source):
        fitted = artefact.load(bundle / "model.skops", digest or str(facts["digest"]), source)
    table, answers = golden.read(bundle / golden.PATH.name, contract)
    single = requested(table)
    try:
        right = golden.equal(by_frame(fitted, single, contract), answers)
    except Exception as error:  # as are the functions of features.py
        raise InputError(f"{bundle} cannot predict here ({type(error).__name__}: {error})") from error
    if not right:
        raise InputError(
            f"the model {facts['digest'][:12]} does not answer its golden rows as it did when it was trained: this code"
            " or these libraries are not the ones it was made with; serve it from its own commit, or train again"
        )
    arrays = rows.compiled(fitted, contract)
    if arrays and not proven(arrays, table, single, answers):
        arrays = None
    threshold = record.read_json(bundle / "training.json")["threshold"]
    return Version(str(facts["digest"]), facts, contract, 0.5 if threshold is None else threshold, fitted, arrays,
                   known_categories(fitted, contract), (single, answers))  # fmt: skip


def proven(arrays: Callable[[Any], np.ndarray], table: pd.DataFrame, single: list[dict[str, Any]], answers: np.ndarray
           ) -> bool:  # fmt: skip
    """Whether the array path gives the golden answers: to a table, to a request of many, and to requests of one."""
    try:
        said = arrays(table), arrays(single), np.concatenate([arrays([row]) for row in single])
    except Exception:  # features.py may be written for DataFrames alone
        return False
    return all(golden.equal(found, answers) for found in said)
