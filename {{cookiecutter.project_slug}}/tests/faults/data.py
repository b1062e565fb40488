"""What goes wrong with data: in the source, on its way through the stages, or between two versions of it."""

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
    copy.code(
        "stages/split.py",
        "return last_days(frame[str(contract.time)], params.test_days)",
        'return shares(frame.assign(day=frame[str(contract.time)].dt.normalize()), ["day"], seed) < 0.25',
    )


def lose_rows(copy: Copy) -> None:
    """Drop incomplete rows while splitting."""
    copy.code(
        "stages/split.py",
        "    record.write_parquet(train, TRAIN)",
        "    train = train.dropna()\n    record.write_parquet(train, TRAIN)",
    )


def impute_all(copy: Copy) -> None:
    """Fill gaps with a median over training and test rows together."""
    copy.code(
        "stages/split.py",
        "    test = is_test(frame, contract, params, seed)\n",
        "    frame = frame.fillna(frame.median(numeric_only=True))\n"
        "    test = is_test(frame, contract, params, seed)\n",
    )


def standardise_all(copy: Copy) -> None:
    """Scale numbers by mean and spread over training and test rows together."""
    copy.code(
        "stages/split.py",
        "    test = is_test(frame, contract, params, seed)\n",
        '    number = contract.features("float")\n'
        "    frame[number] = (frame[number] - frame[number].mean()) / frame[number].std()\n"
        "    test = is_test(frame, contract, params, seed)\n",
    )


def shuffle_labels(copy: Copy) -> None:
    """The labels of each row are another row's."""
    name = copy.columns("target")[0]
    copy.source(lambda t: t.assign(**{name: np.random.default_rng(0).permutation(t[name].to_numpy())}))


def noisy_labels(copy: Copy) -> None:
    """A good part of the labels is another row's."""
    name = copy.columns("target")[0]

    def change(table: pd.DataFrame) -> pd.DataFrame:
        draw = np.random.default_rng(0)
        wrong = draw.random(len(table)) < 0.9
        values = table[name].to_numpy().copy()
        values[wrong] = draw.permutation(values[wrong])
        return table.assign(**{name: values})

    copy.source(change)


def thousandths(copy: Copy) -> None:
    """A bounded number comes in thousandths in the newest twentieth of the rows."""
    name = copy.bounded()

    def change(table: pd.DataFrame) -> pd.DataFrame:
        table[name] = table[name].astype("float64")
        table.loc[copy.newest(table, 0.05), name] *= 1000.0
        return table

    copy.source(change)


def thousandths_of_one(copy: Copy) -> None:
    """A bounded number comes in thousandths for one category."""
    name, category = copy.bounded(), copy.columns("feature", "category")[0]

    def change(table: pd.DataFrame) -> pd.DataFrame:
        table[name] = table[name].astype("float64")
        table.loc[table[category] == table[category].mode()[0], name] *= 1000.0
        return table

    copy.source(change)


def other_unit(copy: Copy) -> None:
    """A number comes in another unit in the newest rows, and stays within its declared range."""
    name = copy.bounded()
    least = float(copy.declared[name].get("min") or 0.0)

    def change(table: pd.DataFrame) -> pd.DataFrame:
        table[name] = table[name].astype("float64")
        recent = copy.newest(table, NEW)
        table.loc[recent, name] = least + (table.loc[recent, name] - least) * 0.3
        return table

    copy.source(change)


def flood(copy: Copy) -> None:
    """A feed writes free text into a category."""
    name = next(n for n in copy.columns("feature", "category") if not copy.declared[n].get("values"))

    def change(table: pd.DataFrame) -> pd.DataFrame:
        recent = copy.newest(table, NEW)
        table.loc[recent, name] = [f"see note {number}" for number in range(int(recent.sum()))]
        return table

    copy.source(change)


def nulls(nullable: bool) -> Callable[[Copy], None]:
    """A harm: half the newest rows lose a number that may (or may not) be null."""

    def harm(copy: Copy) -> None:
        name = copy.columns("feature", "float", "int", nullable=nullable)[-1]

        def change(table: pd.DataFrame) -> pd.DataFrame:
            lost = copy.newest(table, NEW) & (np.arange(len(table)) % 2 == 0)
            return table.assign(**{name: table[name].where(~lost)})

        copy.source(change)

    return harm


def as_text(copy: Copy) -> None:
    """A number is written with its unit."""
    name = copy.bounded()
    copy.source(lambda table: table.assign(**{name: table[name].astype("str") + " units"}))


def rename(copy: Copy) -> None:
    """A feature gets a nicer name."""
    name = copy.bounded()
    copy.source(lambda table: table.rename(columns={name: f"{name}_new"}))


def drop_column(copy: Copy) -> None:
    """A feature is gone."""
    name = copy.bounded()
    copy.source(lambda table: table.drop(columns=name))


def flip_labels(copy: Copy) -> None:
    """In the newest rows the classes change places; a number is doubled."""
    name = copy.columns("target")[0]
    values = copy.declared[name].get("values")

    def change(table: pd.DataFrame) -> pd.DataFrame:
        recent = copy.newest(table, NEW)
        if values:
            table.loc[recent, name] = table.loc[recent, name].map(dict(zip(values, reversed(values), strict=True)))
        else:
            table.loc[recent, name] = table.loc[recent, name] * 2
        return table

    copy.source(change)


def constant(copy: Copy) -> None:
    """One number is the same in every row."""
    name = copy.bounded()
    copy.source(lambda table: table.assign(**{name: table[name].median()}))


def words(copy: Copy) -> None:
    """Every twentieth number is a word."""
    name = copy.bounded()

    def change(table: pd.DataFrame) -> pd.DataFrame:
        text = table[name].astype("str").where(table[name].notna(), None)
        return table.assign(**{name: text.mask(np.arange(len(table)) % 20 == 0, "unknown")})

    copy.source(change)


def mixed_zones(copy: Copy) -> None:
    """Every tenth time bears an offset, and the others do not."""
    name = copy.columns("time")[0]

    def change(table: pd.DataFrame) -> pd.DataFrame:
        text = pd.to_datetime(table[name]).dt.strftime("%Y-%m-%d %H:%M:%S")
        return table.assign(**{name: text.where(np.arange(len(table)) % 10 > 0, text + "+02:00")})

    copy.source(change)


def repeat_keys(copy: Copy) -> None:
    """Every fiftieth row comes twice."""
    copy.columns("key")
    copy.source(lambda table: pd.concat([table, table.iloc[::50]]))


def rewrite_history(copy: Copy) -> None:
    """Values of old rows are not what they were when the last version was committed."""
    name = copy.bounded()

    def change(table: pd.DataFrame) -> pd.DataFrame:
        old = copy.window(table) & ~copy.newest(table, 0.5) & (np.arange(len(table)) % 10 == 0)
        table.loc[old, name] = table.loc[old, name].sample(frac=1, random_state=0).to_numpy()
        return table

    copy.source(change)


#: Share of the window's rows that come in the new way.
NEW = 0.2

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
    Fault("labels shuffled", "joined by position after a sort", "baseline", shuffle_labels),
    Fault("labels with noise", "most were guessed", "baseline", noisy_labels),
    Fault("unit x 1000", "a feed switched to thousandths", "quarantine", thousandths),
    Fault("unit x 1000 in one category", "one supplier switched to thousandths", "quarantine", thousandths_of_one),
    Fault("unit changes within the range", "a feed switched to a larger unit", "drift", other_unit),
    Fault("category flood", "a feed writes free text", "columns", flood),
    Fault("nulls where they may be", "a sensor fails half the time", "drift", nulls(True)),
    Fault("nulls where they may not", "a sensor fails half the time", "quarantine", nulls(False)),
    Fault("type changes", "numbers are exported with their unit", "schema", as_text),
    Fault("column renamed", "upstream tidied its names", "schema", rename),
    Fault("column dropped", "the source was rebuilt without it", "schema", drop_column),
    Fault("label balance flips", "new rows code the answer the other way", "drift", flip_labels),
    Fault("constant column", "a default replaced the feed", "columns", constant),
    Fault("text in a number", "someone typed a word", "quarantine", words),
    Fault("mixed time zones", "two feeds, one with offsets", "quarantine", mixed_zones),
    Fault("duplicate keys", "a retry delivered rows again", "quarantine", repeat_keys),
    Fault("rows vanish between stages", "dropna() in a stage", "row_accounting", lose_rows),
    Fault("imputed before the split", "a median over all rows", "row_accounting", impute_all),
    Fault("standardised before the split", "mean and spread over all rows", "row_accounting", standardise_all),
    Fault("history rewritten", "upstream corrected old rows in place", "history", rewrite_history),
)  # fmt: skip
#: But for `history`, on a table without an earlier version: else each change of old rows shows there too.
FAULTS = tuple(fault if fault.gate == "history" else replace(fault, start="first") for fault in CATALOGUE)
