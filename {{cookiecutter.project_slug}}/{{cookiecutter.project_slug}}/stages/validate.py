"""Hold the snapshot against `schema.yaml`: rows that break a rule go to quarantine, a broken structure stops.

The gate `schema` closes here, before anything reads the table: a declared column is missing, or none of its
values has the declared type. How many rows may be quarantined is judged by the pre-train gate `quarantine`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import config, record, schema
from ..errors import GateClosed, InputError
from . import ingest

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa

VALID = Path("data/valid.parquet")
QUARANTINE = Path("data/quarantine.parquet")
REPORT = Path("reports/validate.json")
#: Rows checked at once: pandera takes about 3.5 times a table's memory.
CHUNK = 500_000


def cast(values: pd.Series, column: schema.Column) -> pd.Series:
    """`values` (length n) as the declared type, null where a value has another type.

    Integers and booleans that may be null become float64, as scikit-learn reads them; datetimes must carry
    no time zone, since mixing zones shifts rows between days; infinity is no number an estimator takes.
    """
    import pandas as pd

    if column.type == "category":
        if pd.api.types.is_float_dtype(values) and (values.dropna() % 1 == 0).all():
            values = values.astype("Int64")
        return values.astype("str").where(values.notna(), None)
    if column.type == "datetime":
        if isinstance(values.dtype, pd.DatetimeTZDtype):
            return pd.Series(pd.NaT, index=values.index, dtype="datetime64[us]")
        text = values if pd.api.types.is_datetime64_any_dtype(values) else values.astype("str")
        naive = pd.to_datetime(text, errors="coerce", format="ISO8601", utc=True)
        zoned = text.astype("str").str.contains(r"[T ].*(?:Z|[+-]\d\d(?::?\d\d)?)$", regex=True, na=False)
        number = ~text.astype("str").str.match(r"\d{4}-", na=False)  # pandas would read 2475.0 as a year
        return naive.dt.tz_localize(None).astype("datetime64[us]").mask(zoned | number)
    if column.type == "bool" and not pd.api.types.is_bool_dtype(values):
        words = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0}
        return values.astype("str").str.lower().map(words).astype("float64")
    # pandas would read a time as its nanoseconds: as text it is no number.
    numbers = pd.to_numeric(values.astype("str") if values.dtype.kind in "mM" else values, errors="coerce")
    if column.type == "int" and not column.nullable and pd.api.types.is_signed_integer_dtype(numbers.dtype):
        return numbers.astype("int64")  # float64 would merge keys above 2**53
    numbers = numbers.astype("float64")
    return numbers.where(numbers % 1 == 0 if column.type == "int" else np.isfinite(numbers))


def broken_structure(raw: pd.DataFrame, typed: pd.DataFrame, contract: schema.Schema) -> list[str]:
    """What is wrong with whole columns, one line each; empty when the structure holds."""
    problems = []
    for name, column in contract.columns.items():
        if name not in raw:
            problems.append(f"column {name} is missing")
        elif raw[name].notna().any() and typed[name].isna().all():
            example = raw[name].dropna().iloc[0]
            problems.append(f"column {name}: no value is of type {column.type} (for example {example!r:.40})")
    return problems


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


def broken_rules(raw: pd.DataFrame, typed: pd.DataFrame, contract: schema.Schema) -> pd.DataFrame:
    """Every broken rule of every row: columns `row` (position), `column`, `rule`, sorted by row."""
    import pandas as pd
    import pandera.errors

    found = []
    for name, column in contract.columns.items():
        lost = raw.index[typed[name].isna() & raw[name].notna()]
        found.append(pd.DataFrame({"row": lost, "column": name, "rule": f"not of type {column.type}"}))
    rules = table_rules(contract)
    for start in range(0, len(typed), CHUNK):
        try:
            rules.validate(typed.iloc[start : start + CHUNK], lazy=True)
        except pandera.errors.SchemaErrors as error:
            cases = error.failure_cases
            rule = cases["check"].replace({"not_nullable": "null"})
            found.append(pd.DataFrame({"row": cases["index"], "column": cases["column"], "rule": rule}))
    if contract.key:
        twice = typed.index[typed.duplicated(contract.key, keep=False)]
        found.append(pd.DataFrame({"row": twice, "column": "+".join(contract.key), "rule": "duplicate key"}))
    broken = pd.concat(found, ignore_index=True)
    nulls_by_type = broken.duplicated(["row", "column"]) & (broken["rule"] == "null")
    return broken[~nulls_by_type].sort_values(["row", "column", "rule"], ignore_index=True)


def compact(typed: pd.DataFrame, contract: schema.Schema) -> pd.DataFrame:
    """Complete integer and boolean columns as int64 and bool; the declared columns only, in declared order."""
    for name, column in contract.columns.items():
        if column.type in ("int", "bool") and not column.nullable:
            typed[name] = typed[name].astype("int64" if column.type == "int" else "bool")
    return typed[list(contract.columns)]


def enough(valid: pd.DataFrame, params: config.Validate, contract: schema.Schema, worst: str) -> None:
    """Raise InputError when too few rows are left, or the target does not vary."""
    target = contract.target
    if len(valid) < params.min_rows:
        raise InputError(f"validate: {len(valid)} valid rows of at least {params.min_rows} (validate.min_rows){worst}")
    if contract.classes:
        rarest = min(int((valid[target] == value).sum()) for value in contract.classes)
        if rarest < params.min_class_rows:
            raise InputError(f"validate: target {target} has {rarest} rows of its rarer class, fewer than"
                             f" validate.min_class_rows {params.min_class_rows}: is a class gone?")  # fmt: skip
    elif valid[target].nunique() < 2:
        raise InputError(f"validate: target {target} is constant: check how it is made")


def check(raw: pd.DataFrame, contract: schema.Schema) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Valid rows, quarantined rows (with a column `_broken` that says why) and the report."""
    import pandas as pd

    typed = pd.DataFrame({n: cast(raw[n], c) for n, c in contract.columns.items() if n in raw})
    problems = broken_structure(raw, typed, contract)
    reason = "; ".join(problems) or f"{len(contract.columns)} declared columns, each there and of its type"
    gate = {"gate": "schema", "verdict": "fail" if problems else "pass", "reason": reason, "statistic": len(problems),
            "bound": None, "threshold": 0, "rows": len(raw), "units": None, "detectable": None}  # fmt: skip
    report: dict[str, Any] = {"stage": "validate", "verdict": gate["verdict"], "gates": [gate]}
    if problems:
        return raw.iloc[:0], raw.iloc[:0], report
    broken = broken_rules(raw, typed, contract)
    why = broken["column"].str.cat(broken["rule"], sep=": ").groupby(broken["row"]).agg("; ".join)
    bad = typed.index.isin(why.index)
    quarantine = raw[bad].assign(_broken=why)
    counts = broken.value_counts(["column", "rule"]).reset_index(name="rows")
    report["rows"] = {"read": len(raw), "valid": int((~bad).sum()), "quarantined": int(bad.sum())}
    report["rules"] = counts.sort_values(["rows", "column", "rule"], ascending=[False, True, True]).to_dict("records")
    report["ignored"] = sorted(set(raw.columns) - set(contract.columns))
    return compact(typed[~bad].copy(), contract), quarantine, report


def main() -> None:
    """Write the valid rows, the quarantine and `reports/validate.json`. Raises GateClosed or InputError."""
    params, contract = config.load(), schema.load()
    valid, quarantine, report = check(record.read_parquet(ingest.OUT), contract)
    report["inputs"] = {"data": record.file_sha256(ingest.OUT), "schema": record.file_sha256(schema.PATH)}
    record.write_json(REPORT, report)
    if report["verdict"] != "pass":
        raise GateClosed(["schema"], f"{report['gates'][0]['reason']}; mend the source or schema.yaml ({REPORT})")
    worst = "".join("; most often {column}: {rule} ({rows} rows)".format(**rule) for rule in report["rules"][:1])
    enough(valid, params.validation, contract, worst)
    record.write_parquet(quarantine.astype("str"), QUARANTINE)
    record.write_parquet(valid, VALID)
