"""How far new rows lie from history, and how far history lies from itself.

A test that treats rows as independent calls every ordinary week a drift, because the rows of a day share their
weather. The yardstick is therefore history's own unrest: the largest distance that any contiguous run of as many
blocks has from the rest of history (a permutation test's idea, with runs instead of shuffles, as Kuensch 1989
argues for dependent data). Distances are Kolmogorov-Smirnov for numbers and total variation for categories (Gibbs
and Su 2002, On choosing and bounding probability metrics), and the plain difference for rates of nulls. All are
computed from histograms per block: no pass over the rows but one for each column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from ..schema import Schema

#: Bins of a number, and categories kept apart: the distance is short by at most one part in so many.
BINS = 200
#: Neighbouring blocks are merged until so many pieces are left: a block a row would need a table a row.
PIECES = 2000
#: Fewest pieces of history that hold a run and a rest.
LEAST = 4


@dataclass(frozen=True)
class Shift:
    """One column's distance between new rows and history, and the largest within history; both in [0, 1]."""

    name: str
    distance: float
    usual: float


def unseen(history: pd.Series, new: pd.Series) -> float:
    """The share of new values that history does not hold; null counts as a value."""
    return float(1 - new.isin(history.unique()).mean())


def commonest(values: pd.Series) -> tuple[object, float]:
    """The most frequent value and its share; null counts as a value (None)."""
    import pandas as pd

    counts = values.value_counts(dropna=False, normalize=True)
    value = counts.index[0]
    return None if pd.isna(value) else value, float(counts.iloc[0])


def run_length(old: int, new: int, rows: tuple[int, int], by: str) -> int:
    """How many of history's `old` blocks a run has: as many as are new when the split is by time.

    Other splits take rows of every block, and a run then has about as many `rows` (of history, new) as are new.
    """
    return new if by == "time" else max(round(old * rows[1] / rows[0]), 1)


def aspects(frame: pd.DataFrame, contract: Schema) -> dict[str, pd.Series]:
    """What is compared, by name: what `of_inputs` gives of each input, and the target; each of length n."""
    found = of_inputs(frame, contract, contract.inputs)
    target = frame[contract.target]
    found[contract.target] = target.astype("float64" if contract.task == "regression" else "object")
    return found


def of_inputs(frame: pd.DataFrame, contract: Schema, names: list[str]) -> dict[str, pd.Series]:
    """Each of these inputs and whether it is null, by name; each of length n.

    Of a time, minute of the day and day of the week: the date itself is always new. Categories are text.
    """
    found = {}
    for name in names:
        values, column = frame[name], contract.columns[name]
        if column.type == "datetime":
            found[f"{name} minute"] = values.dt.hour * 60.0 + values.dt.minute
            found[f"{name} weekday"] = values.dt.day_of_week.astype("Int64").astype("object")  # 3 beside a null, too
        else:
            found[name] = values.astype("float64" if column.type in ("int", "float") else "object")
        if column.nullable:
            found[f"{name} null"] = values.isna().astype("object")
    return found


def codes(history: pd.Series, new: pd.Series) -> tuple[np.ndarray, np.ndarray, bool]:
    """The bin of each value of both parts, -1 for null, and whether bins are in order (numbers).

    Numbers are cut at quantiles of history. Each of these has a bin of its own between those of what lies below and
    above it: a value that half of the rows have is not the same as one close to it.
    Categories beyond the `BINS` most frequent of both parts share a bin.
    """
    import pandas as pd

    if history.dtype.kind == "f":
        known = history.dropna().to_numpy()
        cuts = np.quantile(known, np.linspace(0, 1, BINS + 1), method="inverted_cdf") if len(known) else known
        edges = np.unique(cuts)
        left, right = (
            np.where(part.isna(), -1, np.searchsorted(edges, part) + np.searchsorted(edges, part, "right"))
            for part in (history, new)
        )
        return left, right, True
    ranked = {v: min(i, BINS) for i, v in enumerate(pd.concat([history, new]).value_counts().index)}
    left, right = (part.map(ranked).fillna(-1).to_numpy(dtype=int) for part in (history, new))
    return left, right, False


def histograms(code: np.ndarray, pieces: np.ndarray, bins: int) -> np.ndarray:
    """Rows per piece and bin, shape (G, bins); rows without a value (code -1) count nowhere."""
    there, count = code >= 0, int(pieces.max()) + 1
    flat = np.bincount(pieces[there] * bins + code[there], minlength=count * bins)
    return flat.reshape(count, bins).astype(float)


def distances(left: np.ndarray, right: np.ndarray, ordered: bool) -> np.ndarray:
    """Distance between the histograms (R, bins) of each pair, shape (R,); 0 where one of a pair is empty.

    Kolmogorov-Smirnov when the bins are ordered, else total variation.
    """
    sizes = [part.sum(axis=1, keepdims=True) for part in (left, right)]
    difference = left / np.maximum(sizes[0], 1) - right / np.maximum(sizes[1], 1)
    found = np.abs(difference.cumsum(axis=1)).max(axis=1) if ordered else np.abs(difference).sum(axis=1) / 2
    return np.where((sizes[0] * sizes[1])[:, 0] > 0, found, 0.0)


def runs(table: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Histograms of every run of `length` pieces and of the rest; (G, bins) in, twice (G - length + 1, bins) out."""
    total = np.vstack([np.zeros(table.shape[1]), table.cumsum(axis=0)])
    inside = total[length:] - total[:-length]
    return inside, total[-1] - inside


def shift(name: str, history: pd.Series, new: pd.Series, pieces: np.ndarray, length: int) -> Shift:
    """Distance of `new` from `history` and the largest of any run of `length` pieces from the rest of history."""
    old_code, new_code, ordered = codes(history, new)
    bins = max(int(old_code.max()), int(new_code.max()), 0) + 1
    table = histograms(old_code, pieces, bins)
    fresh = histograms(new_code, np.zeros(len(new), dtype=int), bins)
    distance = distances(fresh, table.sum(axis=0, keepdims=True), ordered)
    return Shift(name, float(distance[0]), float(distances(*runs(table, length), ordered).max()))


def layout(blocks: np.ndarray, length: int) -> tuple[np.ndarray, int]:
    """The piece of each row (n,) and the number of pieces in a run, from blocks and blocks in a run.

    A run takes half of history at most: the rest is what it is compared with.
    """
    ranked = np.unique(blocks, return_inverse=True)[1]
    count = int(ranked.max()) + 1
    kept = min(count, PIECES)
    run = min(max(round(length * kept / count), 1), kept // 2)
    return ranked * kept // count, run


def shifts(history: pd.DataFrame, new: pd.DataFrame, contract: Schema, blocks: np.ndarray, length: int) -> list[Shift]:
    """The shift of every aspect; `blocks` (n,) are history's, `length` how many of them a run has.

    Empty when history has fewer than `LEAST` blocks: then nothing tells the usual from the unusual.
    """
    pieces, run = layout(blocks, length)
    if int(pieces.max()) + 1 < LEAST:
        return []
    old, fresh = aspects(history, contract), aspects(new, contract)
    return [shift(name, old[name], fresh[name], pieces, run) for name in old]
