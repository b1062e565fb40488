"""What training must not see: the answer in another guise, what is known only afterwards, the rows it is judged on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
from project import Copy, Fault

Answers = Callable[[np.ndarray, np.random.Generator], dict[str, np.ndarray]]


def answer(copy: Copy, table: pd.DataFrame) -> np.ndarray:
    """The target as numbers: the index of the declared value, or the value."""
    name = copy.columns("target")[0]
    values = copy.declared[name].get("values")
    if not values:
        return table[name].to_numpy(dtype=float)
    return table[name].astype("str").map({str(v): float(i) for i, v in enumerate(values)}).to_numpy()


def leak(derive: Answers) -> Callable[[Copy], None]:
    """A harm: the source gains features that `derive` makes of the answer (n,), and the contract admits them."""

    def harm(copy: Copy) -> None:
        made: list[str] = []

        def change(table: pd.DataFrame) -> pd.DataFrame:
            known = answer(copy, table)
            columns = derive(np.nan_to_num(known), np.random.default_rng(0))
            made.extend(columns)
            return table.assign(**columns)

        copy.source(change)
        copy.settings(
            lambda tree: tree["columns"].update({name: {"type": "float", "nullable": True} for name in made}),
            "schema.yaml",
        )

    return harm


def one_hot(y: np.ndarray, _: np.random.Generator) -> dict[str, np.ndarray]:
    """A column per class, or per tenth of a numeric target."""
    bins = y if len(np.unique(y)) <= 20 else pd.qcut(y, 10, labels=False, duplicates="drop")
    return {f"is_{number:g}": (bins == number) * 1.0 for number in np.unique(bins)}


def parts(y: np.ndarray, draw: np.random.Generator) -> dict[str, np.ndarray]:
    """Two columns that say nothing alone and all together: a random share, and what is left of the answer (xor)."""
    classes = len(np.unique(y))
    if classes > 20:
        first = draw.normal(scale=5 * y.std(), size=len(y))
        return {"part_a": first, "part_b": y - first}
    first = draw.integers(0, classes, len(y)).astype(float)
    return {"part_a": first, "part_b": (y + first) % classes}


def admit_outcome(copy: Copy) -> None:
    """Make a feature of what is known only afterwards."""
    name = copy.columns("outcome", "float", "int")[-1]
    copy.settings(lambda tree: tree["columns"][name].pop("role"), "schema.yaml")


def redeliver(copy: Copy) -> None:
    """A twentieth of the rows comes twice, under new keys, and the split draws rows."""
    key = copy.columns("key", "int", "category")[0]

    def change(table: pd.DataFrame) -> pd.DataFrame:
        again = table[copy.window(table)].iloc[::20].copy()
        again[key] = (
            again[key] + int(table[key].max()) if pd.api.types.is_integer_dtype(table[key]) else again[key] + "b"
        )
        return pd.concat([table, again])

    copy.source(change)
    if copy.read()["split"]["by"] != "hash":
        copy.settings(lambda tree: tree["split"].update(by="hash"))


def split_entities(copy: Copy) -> None:
    """Rows, not groups, are drawn in a group split."""
    role = [name for name, column in copy.declared.items() if column.get("role") == "group"]
    if not role:
        role = copy.columns("feature", "category")[:1]
        copy.settings(lambda tree: tree["columns"][role[0]].update(role="group"), "schema.yaml")

    def group(tree: dict) -> None:
        tree["split"]["by"] = "group"
        tree["evaluate"]["slices"] = [name for name in tree["evaluate"]["slices"] if name != role[0]]
        tree["gates"]["resample_by"] = "group"

    copy.settings(group)
    copy.code("stages/split.py", '[str(contract.group)] if params.by == "group" else ', "")


def random_days(copy: Copy) -> None:
    """The test rows are days drawn at random."""
    copy.split_by_time()
    day = 'known.assign(day=known["time"].dt.normalize())'
    copy.code(
        "stages/split.py",
        'return last_days(known["time"], params.test_days)',
        f'return known["time"].notna() & (shares({day}, ["day"], 0) < 0.25)',
    )


CATALOGUE = (
    Fault("target as a feature", "a join brought the answer along", "target_leak", leak(lambda y, _: {"copy": y})),
    Fault("target with noise", "a feature was computed from the answer, then jittered", "target_leak",
          leak(lambda y, draw: {"noised": y + draw.normal(scale=y.std(), size=len(y))})),
    Fault("target one-hot", "a status column was encoded before anyone looked", "target_leak", leak(one_hot)),
    Fault("target as ranks", "a score of the finished case", "target_leak",
          leak(lambda y, _: {"rank": pd.Series(y).rank(method="first", pct=True).to_numpy()})),
    Fault("target in two columns", "each half looks harmless", "target_leak", leak(parts)),
    Fault("an outcome as a feature", "its role was deleted from schema.yaml", "target_leak", admit_outcome),
    Fault("rows delivered twice", "a feed repeats rows under new keys; the split draws rows", "split_leak", redeliver),
    Fault("entities on both sides", "a group split that draws rows", "split_leak", split_entities),
    Fault("time order broken", "the test days are drawn at random", "split_leak", random_days),
)  # fmt: skip
#: On a table without an earlier version, whose past says nothing.
FAULTS = tuple(replace(fault, start="first") for fault in CATALOGUE)
