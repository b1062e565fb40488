"""Values as the types that `schema.yaml` declares, however a source writes them, and whichever rows come along."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import schema

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def cast(values: pd.Series, column: schema.Column) -> pd.Series:
    """`values` (length n) as the declared type, null where a value has another type.

    Integers and booleans that may be null become float64, as scikit-learn reads them; datetimes must carry
    no time zone, since mixing zones shifts rows between days; infinity is no number an estimator takes.
    """
    import pandas as pd

    if column.type == "category":
        text = values.astype("str")
        if pd.api.types.is_float_dtype(values):  # a null made whole numbers float: 1.0 and "1" are one category
            whole = (values % 1 == 0) & (values.abs() < 2**63)
            text = text.where(~whole, values.where(whole).astype("Int64").astype("str"))
        return text.where(values.notna(), None)
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
    if column.type == "int" and not column.nullable:
        return whole_numbers(values, numbers)
    numbers = numbers.astype("float64")
    return numbers.where(numbers % 1 == 0 if column.type == "int" else np.isfinite(numbers))


def whole_numbers(values: pd.Series, numbers: pd.Series) -> pd.Series:
    """`numbers`, read from `values`, exactly: int64, or Int64 with nulls where a value is no integer.

    One such value makes pandas read all as float64, which merges neighbours above 2**53: digits are read again.
    """
    import pandas as pd

    if pd.api.types.is_signed_integer_dtype(numbers.dtype):
        return numbers.astype("Int64" if numbers.isna().any() else "int64")
    numbers = numbers.astype("float64")
    found = numbers.where((numbers % 1 == 0) & (numbers.abs() < 2**63)).astype("Int64")
    if not pd.api.types.is_float_dtype(values):
        text = values.astype("str").str.strip()
        digits = text.str.fullmatch(r"[+-]?\d{1,19}", na=False) & found.notna()
        found = found.mask(digits, text[digits].astype("int64").astype("Int64"))
    return found if found.isna().any() else found.astype("int64")


def compact(typed: pd.DataFrame, contract: schema.Schema) -> pd.DataFrame:
    """Complete integer and boolean columns as int64 and bool; the declared columns only, in declared order."""
    for name, column in contract.columns.items():
        if column.type in ("int", "bool") and not column.nullable:
            typed[name] = typed[name].astype("int64" if column.type == "int" else "bool")
    return typed[list(contract.columns)]


def arrow(contract: schema.Schema, names: list[str] | None = None) -> pa.Schema:
    """The types of valid rows in Parquet, which no chunk's values may change: all declared columns, or `names`."""
    import pyarrow as pa

    kinds = {"category": pa.large_string(), "datetime": pa.timestamp("us"), "float": pa.float64()}
    whole = {"int": pa.int64(), "bool": pa.bool_()}
    declared = contract.columns.items()
    found = [(name, kinds.get(c.type) or (pa.float64() if c.nullable else whole[c.type])) for name, c in declared]
    return pa.schema([(name, kind) for name, kind in found if names is None or name in names])
