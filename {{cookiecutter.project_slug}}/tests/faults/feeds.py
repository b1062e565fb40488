"""What goes wrong with data: in the source, on its way through the stages, or between two versions of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
from project import Absent, Copy, Fault

#: Where the split writes the training rows of a chunk.
WRITE = "            to_train(frame[train[frame.index]]"


def lose_rows(copy: Copy) -> None:
    """Drop incomplete rows while splitting, or every fiftieth where none is."""
    some = "lambda rows: rows.notna().all(axis=1) & (rows.index % 50 > 0)"
    copy.code("stages/split.py", WRITE, f"{WRITE}.loc[{some}]")


def other_system(copy: Copy) -> None:
    """The test rows come from another system, which counts in another unit."""
    harm = f'            frame.loc[~train[frame.index], "{copy.number()}"] *= 3.0\n'
    copy.code("stages/split.py", WRITE, harm + WRITE)


def lose_drawn_rows(copy: Copy) -> None:
    """Drop incomplete rows after the training rows were drawn, which leaves rows out by intent."""
    copy.settings(lambda tree: tree["split"].update(max_train_rows=5000))
    lose_rows(copy)


def impute_all(copy: Copy) -> None:
    """Fill gaps with a median over training and test rows together."""
    copy.columns("feature", "float", "int", nullable=True)
    whole = "record.read_parquet(validate.VALID)"
    copy.code("stages/split.py", WRITE, f"            frame = frame.fillna({whole}.median(numeric_only=True))\n{WRITE}")


def standardise_all(copy: Copy) -> None:
    """Scale numbers by mean and spread over training and test rows together."""
    copy.code(
        "stages/split.py",
        WRITE,
        '            number = contract.features("float")\n'
        "            whole = record.read_parquet(validate.VALID, number)\n"
        f"            frame[number] = (frame[number] - whole.mean()) / whole.std()\n{WRITE}",
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
    copy.split_by_time()
    name = copy.number()
    least = float(copy.declared[name].get("min") or 0.0)

    def change(table: pd.DataFrame) -> pd.DataFrame:
        table[name] = table[name].astype("float64")
        recent = copy.newest(table, NEW)
        table.loc[recent, name] = least + (table.loc[recent, name] - least) * 0.3
        return table

    copy.source(change)


def flood(copy: Copy) -> None:
    """A feed writes free text into a category."""
    free = [name for name in copy.columns("feature", "category") if not copy.declared[name].get("values")]
    if not free:
        raise Absent("schema.yaml declares the values of every category")
    name = free[0]

    def change(table: pd.DataFrame) -> pd.DataFrame:
        recent = copy.newest(table, NEW)
        table.loc[recent, name] = [f"see note {number}" for number in range(int(recent.sum()))]
        return table

    copy.source(change)


def nulls(nullable: bool) -> Callable[[Copy], None]:
    """A harm: half the newest rows lose a number that may (or may not) be null."""

    def harm(copy: Copy) -> None:
        if nullable:
            copy.split_by_time()
        name = copy.columns("feature", "float", "int", nullable=nullable)[-1]

        def change(table: pd.DataFrame) -> pd.DataFrame:
            lost = copy.newest(table, NEW) & (np.arange(len(table)) % 2 == 0)
            return table.assign(**{name: table[name].where(~lost)})

        copy.source(change)

    return harm


def as_text(copy: Copy) -> None:
    """A number is written with its unit, in a file that knows types."""
    name = copy.number()
    if not copy.read()["ingest"]["source"].endswith(".parquet"):
        raise Absent("ingest.source is read as text: a column of it has no type")
    copy.source(lambda table: table.assign(**{name: table[name].astype("str") + " units"}))


def rename(copy: Copy) -> None:
    """A feature gets a nicer name."""
    name = copy.number()
    copy.source(lambda table: table.rename(columns={name: f"{name}_new"}))


def drop_column(copy: Copy) -> None:
    """A feature is gone."""
    name = copy.number()
    copy.source(lambda table: table.drop(columns=name))


def flip_labels(copy: Copy) -> None:
    """In the newest rows the classes change places; a number is doubled."""
    copy.split_by_time()
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
    name = copy.number()
    copy.source(lambda table: table.assign(**{name: table[name].median()}))


def words(copy: Copy) -> None:
    """Every twentieth number is a word."""
    name = copy.number()

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
    name = copy.number()

    def change(table: pd.DataFrame) -> pd.DataFrame:
        old = copy.window(table) & ~copy.newest(table, 0.5) & (np.arange(len(table)) % 10 == 0)
        table.loc[old, name] = table.loc[old, name].sample(frac=1, random_state=0).to_numpy()
        return table

    copy.source(change)


#: Share of the window's rows that come in the new way.
NEW = 0.2

CATALOGUE = (
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
    Fault("test rows of another unit", "they come from another system", "drift", other_system),
    Fault("constant column", "a default replaced the feed", "columns", constant),
    Fault("text in a number", "someone typed a word", "quarantine", words),
    Fault("mixed time zones", "two feeds, one with offsets", "quarantine", mixed_zones),
    Fault("duplicate keys", "a retry delivered rows again", "quarantine", repeat_keys),
    Fault("rows vanish between stages", "dropna() in a stage", "row_accounting", lose_rows),
    Fault("rows vanish behind a sample", "dropna() after the rows were drawn", "row_accounting", lose_drawn_rows),
    Fault("imputed before the split", "a median over all rows", "row_accounting", impute_all),
    Fault("standardised before the split", "mean and spread over all rows", "row_accounting", standardise_all),
    Fault("history rewritten", "upstream corrected old rows in place", "history", rewrite_history),
)  # fmt: skip
#: But for `history`, on a table without an earlier version: else each change of old rows shows there too.
FAULTS = tuple(fault if fault.gate == "history" else replace(fault, start="first") for fault in CATALOGUE)
