"""Hold the snapshot against `schema.yaml`: rows that break a rule go to quarantine, a broken structure stops.

The gate `schema` closes here, before anything reads the table: a declared column is missing, or none of its
values has the declared type. How many rows may be quarantined is judged by the pre-train gate `quarantine`.
The table passes in chunks, and no verdict on a row depends on where they end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import config, record, schema
from ..errors import GateClosed, InputError
from . import ingest
from .cast import arrow, cast, compact

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa

VALID = Path("data/valid.parquet")
QUARANTINE = Path("data/quarantine.parquet")
REPORT = Path("reports/validate.json")


def table_rules(contract: schema.Schema) -> pa.DataFrameSchema:
    """The pandera schema of a typed table: nulls, ranges and admitted values of each column."""
    import pandera.pandas as pa

    def rules(column: schema.Column) -> list[pa.Check]:
        found = []
        if column.min is not None:
            found.append(pa.Check.ge(column.min, error=f"below {column.min:g}"))
        if column.max is not None:
            found.append(pa.Check.le(column.max, error=f"above {column.max:g}"))
        if column.values is not None:
            found.append(pa.Check.isin(column.values, error="not an admitted value"))
        return found

    return pa.DataFrameSchema(
        {name: pa.Column(None, rules(c), nullable=c.nullable) for name, c in contract.columns.items()}
    )


def repeated(keys: Callable[[], Iterable[pd.DataFrame]], contract: schema.Schema) -> np.ndarray:
    """Positions (sorted) of the rows whose key another row has, too; empty without a declared key.

    `keys` reads the key columns in chunks, twice: rows of which no other has the hash of 64 bits need no comparison.
    """
    import pandas as pd

    def typed(raw: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({name: cast(raw[name], contract.columns[name]) for name in contract.key})

    if not contract.key:
        return np.array([], dtype="int64")
    hashes = np.concatenate([pd.util.hash_pandas_object(typed(raw), index=False).to_numpy() for raw in keys()])
    ordered = np.sort(hashes)
    candidates = np.isin(hashes, ordered[1:][ordered[1:] == ordered[:-1]])
    rows = [typed(raw[candidates[raw.index]]) for raw in keys()]
    same = pd.concat(rows).duplicated(keep=False)
    return same.index[same].to_numpy()


def broken_rules(raw: pd.DataFrame, typed: pd.DataFrame, contract: schema.Schema, twice: np.ndarray) -> pd.DataFrame:
    """Every broken rule of every row: columns `row` (position), `column`, `rule`, sorted by row.

    `twice`: positions of rows whose key is not theirs alone.
    """
    import pandas as pd
    import pandera.errors

    found = []
    for name, column in contract.columns.items():
        lost = raw.index[typed[name].isna() & raw[name].notna()]
        found.append(pd.DataFrame({"row": lost, "column": name, "rule": f"not of type {column.type}"}))
    try:
        table_rules(contract).validate(typed, lazy=True)
    except pandera.errors.SchemaErrors as error:
        cases = error.failure_cases
        rule = cases["check"].replace({"not_nullable": "null"})
        found.append(pd.DataFrame({"row": cases["index"], "column": cases["column"], "rule": rule}))
    again = raw.index[raw.index.isin(twice)]
    found.append(pd.DataFrame({"row": again, "column": "+".join(contract.key), "rule": "duplicate key"}))
    broken = pd.concat(found, ignore_index=True)
    nulls_by_type = broken.duplicated(["row", "column"]) & (broken["rule"] == "null")
    return broken[~nulls_by_type].sort_values(["row", "column", "rule"], ignore_index=True)


@dataclass
class Tally:
    """What the chunks so far held: rows, broken rules, valid target values, and of each column what speaks of its type.

    `targets` counts classes; of a numeric target it holds the extremes of each chunk.
    """

    rows: Counter[str] = field(default_factory=lambda: Counter(read=0, valid=0, quarantined=0))
    rules: Counter[tuple[str, str]] = field(default_factory=Counter)
    targets: Counter[Any] = field(default_factory=Counter)
    examples: dict[str, Any] = field(default_factory=dict)
    typed: set[str] = field(default_factory=set)

    def note(self, raw: pd.DataFrame, typed: pd.DataFrame) -> None:
        """Count the rows of a chunk, and keep what says whether a column has any value of its type."""
        self.rows["read"] += len(raw)
        for name in map(str, typed):
            if name not in self.examples and raw[name].notna().any():
                self.examples[name] = raw[name].dropna().iloc[0]
            if typed[name].notna().any():
                self.typed.add(name)

    def problems(self, contract: schema.Schema, columns: Collection[str]) -> list[str]:
        """What is wrong with whole columns of a table with `columns`, one line each; empty when the structure holds."""
        found = []
        for name, column in contract.columns.items():
            if name not in columns:
                found.append(f"column {name} is missing")
            elif name in self.examples and name not in self.typed:
                example = f"{self.examples[name]!r:.40}"
                found.append(f"column {name}: no value is of type {column.type} (for example {example})")
        return found

    def report(self, contract: schema.Schema, columns: Collection[str]) -> dict[str, Any]:
        """The gate `schema` and, when it is open, what was counted."""
        problems = self.problems(contract, columns)
        reason = "; ".join(problems) or f"{len(contract.columns)} declared columns, each there and of its type"
        gate = {"gate": "schema", "verdict": "fail" if problems else "pass", "reason": reason, "bound": None,
                "statistic": len(problems), "threshold": 0, "rows": self.rows["read"], "units": None,
                "detectable": None}  # fmt: skip
        report: dict[str, Any] = {"stage": "validate", "verdict": gate["verdict"], "gates": [gate]}
        if not problems:
            report["rows"] = dict(self.rows)
            ordered = sorted(self.rules.items(), key=lambda item: (-item[1], item[0]))
            report["rules"] = [{"column": column, "rule": rule, "rows": rows} for (column, rule), rows in ordered]
            report["ignored"] = sorted(set(columns) - set(contract.columns))
        return report


def check(raw: pd.DataFrame, contract: schema.Schema, twice: np.ndarray, tally: Tally
          ) -> tuple[pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """Valid rows and quarantined ones (with a column `_broken` that says why) of one chunk; `tally` counts it.

    The chunk's index holds positions in the table, and `twice` those of rows with a repeated key.
    """
    import pandas as pd

    typed = pd.DataFrame({name: cast(raw[name], column) for name, column in contract.columns.items() if name in raw})
    tally.note(raw, typed)
    if len(typed.columns) < len(contract.columns):
        return typed.iloc[:0], raw.iloc[:0]
    broken = broken_rules(raw, typed, contract, twice)
    why = broken["column"].str.cat(broken["rule"], sep=": ").groupby(broken["row"]).agg("; ".join)
    bad = typed.index.isin(why.index)
    tally.rows.update(valid=int((~bad).sum()), quarantined=int(bad.sum()))
    tally.rules.update(dict(broken.value_counts(["column", "rule"])))
    valid = compact(typed[~bad].copy(), contract)
    target = valid[contract.target].dropna()
    tally.targets.update(dict(target.value_counts()) if contract.classes else target.agg(["min", "max"]).dropna())
    return valid, raw[bad].assign(_broken=why)


def enough(tally: Tally, params: config.Validate, contract: schema.Schema, worst: str) -> None:
    """Raise InputError when too few rows are left, or the target does not vary."""
    target, rows = contract.target, tally.rows["valid"]
    if rows < params.min_rows:
        raise InputError(f"validate: {rows} valid rows of at least {params.min_rows} (validate.min_rows){worst}")
    if contract.classes:
        rarest = min(tally.targets[value] for value in contract.classes)
        if rarest < params.min_class_rows:
            raise InputError(f"validate: target {target} has {rarest} rows of its rarer class, fewer than"
                             f" validate.min_class_rows {params.min_class_rows}: is a class gone?")  # fmt: skip
    elif len(tally.targets) < 2:
        raise InputError(f"validate: target {target} is constant: check how it is made")


def main() -> None:
    """Write the valid rows, the quarantine and `reports/validate.json`. Raises GateClosed or InputError."""
    import pyarrow as pa

    params, contract, tally = config.load(), schema.load(), Tally()
    columns = record.columns(ingest.OUT)
    text = pa.schema([(name, pa.large_string()) for name in dict.fromkeys([*columns, "_broken"])])
    complete = set(contract.columns) <= set(columns)
    with (
        record.parquet_writer(VALID, arrow(contract)) as keep,
        record.parquet_writer(QUARANTINE, text) as set_aside,
    ):
        twice = repeated(lambda: record.chunks(ingest.OUT, contract.key), contract) if complete else np.array([])
        for raw in record.chunks(ingest.OUT):
            valid, quarantine = check(raw, contract, twice, tally)
            if complete:
                keep(valid)
                set_aside(quarantine.astype("str"))
        report = tally.report(contract, columns)
        report["inputs"] = {"data": record.file_sha256(ingest.OUT), "schema": record.file_sha256(schema.PATH)}
        record.write_json(REPORT, report)
        if report["verdict"] != "pass":
            raise GateClosed(["schema"], f"{report['gates'][0]['reason']}; mend the source or schema.yaml ({REPORT})")
        worst = "".join("; most often {column}: {rule} ({rows} rows)".format(**rule) for rule in report["rules"][:1])
        enough(tally, params.validation, contract, worst)
