"""Signs that rows are not what the split made them: shared between the parts, or changed on their way there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from ..schema import Schema


@dataclass(frozen=True)
class Overlap:
    """What train and test share: rows by key, entities, rows with equal inputs, and days in the wrong order."""

    keys: int
    groups: int
    duplicates: int
    misordered: int


def overlap(train: pd.DataFrame, test: pd.DataFrame, contract: Schema, by: str) -> Overlap:
    """Count what the two parts share. `misordered` counts test rows at or before the last training time.

    Groups count only for a group split, order only for a time split; equal inputs count as rows of the test part.
    """

    def shared(columns: list[str]) -> int:
        hashes = [row_hashes(part, columns) for part in (train, test)]
        return int(np.isin(hashes[1], hashes[0]).sum())

    order = 0
    if by == "time" and contract.time:
        order = int((test[contract.time] <= train[contract.time].max()).sum())
    return Overlap(
        keys=shared(contract.key) if contract.key else 0,
        groups=shared([str(contract.group)]) if by == "group" and contract.group else 0,
        duplicates=shared(contract.inputs),
        misordered=order,
    )


def row_hashes(frame: pd.DataFrame, columns: list[str]) -> np.ndarray:
    """A 64-bit hash of each row's values in `columns`, shape (n,); the type of a column is part of it."""
    import pandas as pd

    return pd.util.hash_pandas_object(frame[columns], index=False).to_numpy()


def unmatched(before: np.ndarray, after: np.ndarray, left_out: int = 0) -> int:
    """How many hashes of `before` have no partner in `after`, or the other way round: 0 for equal multisets.

    `left_out` of `before` have none by intent.
    """
    _, code = np.unique(np.concatenate([before, after]), return_inverse=True)
    size = int(code.max()) + 1 if len(code) else 0
    surplus = np.bincount(code[: len(before)], minlength=size) - np.bincount(code[len(before) :], minlength=size)
    return int(max(abs(surplus.clip(min=0).sum() - left_out), -surplus.clip(max=0).sum()))


def changed(
    before: pd.DataFrame, after: list[pd.DataFrame], columns: list[str], left_out: int = 0
) -> tuple[int, list[str]]:
    """Rows whose values are not those they had `before`, in whatever order, and the columns that differ.

    Columns are held one by one first: a row whose columns all hold the right values in the wrong places still
    counts, under no column's name. A column that a part lost counts for all rows. `left_out` rows of `before` are in
    no part by intent.
    """
    lost = [name for name in columns if any(name not in part for part in after)]
    if lost:
        return len(before), lost

    def differing(names: list[str]) -> int:
        parts = np.concatenate([row_hashes(part, names) for part in after])
        return unmatched(row_hashes(before, names), parts, left_out)

    rows = differing(columns)
    return rows, [name for name in columns if differing([name])] if rows else []
