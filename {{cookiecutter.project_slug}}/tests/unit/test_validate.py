"""Rows that break the contract are set aside with their reason; a broken structure stops."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.project_slug }} import config, record, schema
from {{ cookiecutter.project_slug }}.errors import GateClosed, InputError
from {{ cookiecutter.project_slug }}.stages import ingest, validate

Make = Callable[..., Any]


def cast(values: Any, kind: str, **more: Any) -> list[Any]:
    """Cast to a type; None for what has another type."""
    found = validate.cast(pd.Series(values), schema.Column(type=kind, **more))  # type: ignore[arg-type]
    return [None if pd.isna(value) else value for value in found]


def check(raw: pd.DataFrame, contract: schema.Schema, size: int = 1000) -> Any:
    """Valid rows, quarantined ones and the report of a table that comes in chunks of `size` rows."""
    parts = [raw.iloc[first : first + size] for first in range(0, len(raw), size)]
    tally, known = validate.Tally(), set(contract.key) <= set(raw)
    twice = validate.repeated(lambda: parts, contract) if known else np.array([])
    valid, quarantine = zip(*(validate.check(part, contract, twice, tally) for part in parts), strict=True)
    return pd.concat(valid), pd.concat(quarantine), tally.report(contract, list(raw))


def reasons(raw: pd.DataFrame, contract: schema.Schema, size: int = 1000) -> dict[int, str]:
    """Why each quarantined row is there, by position."""
    return dict(check(raw, contract, size)[1]["_broken"])


def test_numbers_in_text_are_read_and_other_text_is_lost() -> None:
    """Infinity is no number that an estimator takes; an integer has no fraction."""
    assert cast(["1", " 2.5", "x", "", None, "inf", "-Infinity"], "float") == [1.0, 2.5, None, None, None, None, None]
    assert cast(["1", "2.0", "2.5", "x", None, "inf"], "int") == [1.0, 2.0, None, None, None, None]
    assert cast(pd.to_datetime(["2024-01-01"]), "float") == [None]
    assert cast(pd.to_timedelta([60], unit="s"), "int") == [None]


def test_long_integer_keys_stay_apart() -> None:
    """Above 2**53 neighbours are equal as float64: CSV text and Parquet integers alike."""
    keys = [2**60, 2**60 + 1]
    assert cast(keys, "int") == keys
    assert cast([str(key) for key in keys], "int") == keys


def test_words_and_digits_are_booleans() -> None:
    """As CSV files and nullable columns carry them."""
    assert cast(["true", "False", "1", "0", "yes", None], "bool") == [1.0, 0.0, 1.0, 0.0, None, None]
    assert cast([True, None, False], "bool") == [1.0, None, 0.0]
    assert cast([True, False], "bool") == [1.0, 0.0]
    assert cast([1.0, 0.0, 2.0], "bool") == [1.0, 0.0, None]


def test_a_category_that_a_null_made_float_is_whole_again() -> None:
    """1.0 and "1" are one category; 1.5 stays what it is."""
    assert cast([1.0, np.nan, 2.0], "category") == ["1", None, "2"]
    assert cast([1.5, 2.0, 1e300], "category") == ["1.5", "2", "1e+300"]
    assert cast(["a", None], "category") == ["a", None]


def test_times_carry_no_zone() -> None:
    """A zone would move rows between days: offsets in any spelling are lost, a plain date is midnight."""
    zoned = ["2024-01-01T05:00Z", "2024-01-01 05:00+02", "2024-01-01T05:00:00-0500", "2024-01-01T05:00+05:30", "soon"]
    assert cast(zoned, "datetime") == [None] * 5
    plain = ["2024-01-01", "2024-01-01 05:00", "2024-01-01T05:00:00.25", None]
    found = cast(plain, "datetime")
    assert found == [
        dt.datetime(2024, 1, 1),
        dt.datetime(2024, 1, 1, 5),
        dt.datetime(2024, 1, 1, 5, 0, 0, 250_000),
        None,
    ]
    aware = pd.Series(pd.to_datetime(["2024-01-01"])).dt.tz_localize("Europe/Berlin")
    assert cast(aware, "datetime") == [None]
    assert cast([dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, tzinfo=dt.UTC)], "datetime")[1] is None
    assert cast(pd.to_datetime(["2024-01-01", None]), "datetime") == [dt.datetime(2024, 1, 1), None]


def test_each_rule_sets_its_row_aside(rows_of: Make, contract_of: Make) -> None:
    """With the column and the rule; a row that breaks two rules names both; other rows stay."""
    raw = rows_of(30).astype({"open": "object", "late": "object", "size": "object"})
    raw.loc[1, "place"] = None
    raw.loc[2, "place"] = "nowhere"
    raw.loc[3, "size"] = -1
    raw.loc[4, "size"] = 100.5
    raw.loc[5, "size"] = "much"
    raw.loc[6, "late"] = 2
    raw.loc[7, "late"] = None
    raw.loc[9, "id"] = raw.loc[8, "id"]
    raw.loc[10, "open"] = "perhaps"
    raw.loc[11, "when"] = None
    raw.loc[12, ["place", "size"]] = ["nowhere", -1]
    raw.loc[13, "size"] = None
    assert reasons(raw, contract_of()) == {
        1: "place: null", 2: "place: not an admitted value", 3: "size: below 0", 4: "size: above 100",
        5: "size: not of type float", 6: "late: not an admitted value", 7: "late: null", 8: "id: duplicate key",
        9: "id: duplicate key", 10: "open: not of type bool", 11: "when: null",
        12: "place: not an admitted value; size: below 0",
    }  # fmt: skip


def test_the_report_counts_rules_and_ignored_columns(rows_of: Make, contract_of: Make) -> None:
    """The most frequent rule first; a column that nobody declared is dropped, and said to be."""
    raw = rows_of(30)
    raw.loc[[1, 2], "size"] = -1
    raw.loc[3, "place"] = "nowhere"
    valid, quarantine, report = check(raw, contract_of())
    assert report["rows"] == {"read": 30, "valid": 27, "quarantined": 3}
    assert report["rules"] == [
        {"column": "size", "rule": "below 0", "rows": 2},
        {"column": "place", "rule": "not an admitted value", "rows": 1},
    ]
    assert report["ignored"] == ["minutes", "status"]
    assert list(quarantine) == [*raw, "_broken"]
    assert list(valid) == list(contract_of().columns)
    assert {name: str(valid[name].dtype) for name in ("id", "open", "size", "when")} == {
        "id": "int64", "open": "bool", "size": "float64", "when": "datetime64[us]",
    }  # fmt: skip


def test_a_clean_table_passes_whole_also_without_key(rows_of: Make, contract_of: Make) -> None:
    """No key declared, no duplicate sought."""
    raw = rows_of(20).assign(id=1)
    valid, quarantine, report = check(raw, contract_of(id=...))
    assert (len(valid), len(quarantine), report["rules"]) == (20, 0, [])
    again = check(rows_of(20), contract_of())[0]
    assert again["id"].tolist() == list(range(20))


@pytest.mark.parametrize("size", [1, 7, 13, 29, 30])
def test_a_table_in_chunks_is_judged_whole(rows_of: Make, contract_of: Make, size: int) -> None:
    """Positions are those of the table, a key's twin may lie in another chunk, a rule may be broken in one alone."""
    raw = rows_of(30).astype({"size": "object", "id": "object"})
    raw.loc[[3, 25], "size"] = -1
    raw.loc[29, "id"] = 0
    raw.loc[:7, "size"] = raw.loc[:7, "size"].where([False] * 3 + [True] + [False] * 4, None)
    raw.loc[12, "id"] = "x"
    raw.loc[20, "place"] = None
    valid, quarantine, report = check(raw, contract_of(), size)
    assert dict(quarantine["_broken"]) == {
        0: "id: duplicate key", 3: "size: below 0", 12: "id: not of type int", 20: "place: null",
        25: "size: below 0", 29: "id: duplicate key",
    }  # fmt: skip
    assert (report["rows"], len(report["rules"])) == ({"read": 30, "valid": 24, "quarantined": 6}, 4)
    pd.testing.assert_frame_equal(valid, check(raw, contract_of(), 30)[0])


@pytest.mark.parametrize("size", [1, 3, 100])
def test_twins_are_found_by_value_whatever_their_chunk_looks_like(contract_of: Make, size: int) -> None:
    """Long integers beside a word, -0.0 and 0.0, booleans beside a null, nulls; keys of two columns count together."""
    one = schema.Column(type="int", role="key")
    keys = pd.DataFrame({"id": [str(2**60), str(2**60 + 1), "x", str(2**60 + 1), "7.0", "7", None, "y"]})
    found = [keys.iloc[first : first + size] for first in range(0, 8, size)]
    contract = contract_of(id=one.model_dump())
    assert validate.repeated(lambda: found, contract).tolist() == [1, 2, 3, 4, 5, 6, 7]
    pairs = pd.DataFrame({"a": [0.0, -0.0, 1.0, 1.0, 0.0]}).assign(
        b=pd.Series([True, True, False, None, True], dtype="object")
    )
    found = [pairs.iloc[first : first + size].infer_objects() for first in range(0, 5, size)]
    contract = contract_of(id=..., a={"type": "float", "role": "key"}, b={"type": "bool", "role": "key"})
    assert validate.repeated(lambda: found, contract).tolist() == [0, 1, 4]


def test_an_integer_beside_another_value_keeps_its_digits() -> None:
    """One word or null in a column does not merge neighbours above 2**53; what no int64 holds is lost."""
    long = 2**60 + 1
    assert cast([str(long), "x", "2.0", None], "int") == [long, None, 2, None]
    assert cast(pd.Series([long, None], dtype="Int64"), "int") == [long, None]
    assert cast(["1e300", "5"], "int") == [None, 5]
    assert cast([1e300, 5.0], "int") == [None, 5]


def test_chunks_end_where_they_will_and_the_files_are_the_same(
    project: Any, rows_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A column is null in the first chunk, an integer later on; only the second has something to set aside."""
    raw = rows_of(60)
    raw["size"] = raw["size"].where(raw.index > 20)
    raw["id"] = raw["id"].astype("Int64").where(raw.index != 40)
    raw.loc[59, "id"] = 30
    project.schema()
    record.write_parquet(raw, ingest.OUT)
    files, monkey = set(), monkeypatch
    monkey.setattr(record, "ROW_GROUP", 8)
    for size in (60, 21, 7):
        monkey.setattr(record, "CHUNK", size)
        validate.main()
        names = (validate.VALID, validate.QUARANTINE, validate.REPORT)
        files.add(tuple(record.file_sha256(path) for path in names))
    assert len(files) == 1
    quarantine = record.read_parquet(validate.QUARANTINE)
    assert quarantine["_broken"].tolist() == ["id: duplicate key", "id: null", "id: duplicate key"]
    assert record.read_parquet(validate.VALID)["id"].tolist() == [i for i in range(59) if i not in (30, 40)]


def test_mixed_zones_in_text_set_only_those_rows_aside(rows_of: Make, contract_of: Make) -> None:
    """One exporter that writes offsets does not shift its rows into another day."""
    raw = rows_of(20)
    raw["when"] = raw["when"].dt.strftime("%Y-%m-%d %H:%M")
    raw.loc[4, "when"] += "+02:00"
    assert reasons(raw, contract_of()) == {4: "when: not of type datetime"}


def test_a_broken_structure_closes_the_gate(rows_of: Make, contract_of: Make) -> None:
    """A missing column and a column of another type, both named; no row is let through."""
    raw = rows_of(20).drop(columns="place").assign(size="much", when=lambda f: f["when"].dt.tz_localize("UTC"))
    valid, quarantine, report = check(raw, contract_of())
    gate = report["gates"][0]
    assert (report["verdict"], gate["verdict"], len(valid), len(quarantine)) == ("fail", "fail", 0, 0)
    assert "column place is missing" in gate["reason"]
    assert "column size: no value is of type float (for example 'much')" in gate["reason"]
    assert "column when: no value is of type datetime" in gate["reason"]


@pytest.mark.parametrize(
    ("task", "change", "said"),
    [
        ("binary", {"late": 0}, "target late has 0 rows of its rarer class"),
        ("binary", {"late": None}, "0 valid rows of at least 10 .* most often late: null"),
        ("regression", {"minutes": 5.0}, "target minutes is constant"),
        ("regression", {"size": -1.0}, "0 valid rows of at least 10 .* most often size: below 0"),
    ],
)
def test_too_few_rows_or_a_constant_target_stop(
    project: Any, rows_of: Make, task: str, change: dict[str, Any], said: str
) -> None:
    """After the report is written, so that its counts can be read."""
    project.schema(task)
    record.write_parquet(rows_of(30).assign(**change), ingest.OUT)
    with pytest.raises(InputError, match=said):
        validate.main()
    assert project.report("validate")["rows"]["read"] == 30
    assert not validate.VALID.exists()


def test_the_stage_writes_valid_rows_and_the_quarantine(project: Any, rows_of: Make) -> None:
    """Types are the contract's, whatever a CSV made of them; the quarantine shows the raw values."""
    raw = rows_of(30).astype("object").astype("str").replace({"nan": None})
    raw.loc[2, "size"] = "much"
    record.write_parquet(raw, ingest.OUT)
    validate.main()
    valid, quarantine = record.read_parquet(validate.VALID), record.read_parquet(validate.QUARANTINE)
    assert len(valid) == 29
    assert valid["late"].dtype == "int64"
    assert quarantine[["size", "_broken"]].to_numpy().tolist() == [["much", "size: not of type float"]]
    assert project.report("validate")["inputs"]["data"] == record.file_sha256(ingest.OUT)


def test_the_stage_closes_the_gate_on_a_missing_column(project: Any, rows_of: Make) -> None:
    """Nothing reads the table after that."""
    record.write_parquet(rows_of(30).drop(columns="late"), ingest.OUT)
    with pytest.raises(GateClosed, match="gate closed: schema: column late is missing"):
        validate.main()
    assert not validate.VALID.exists()


def test_enough_rows_are_enough(contract_of: Make) -> None:
    """Exactly the minimum passes; one less does not."""
    tally = validate.Tally()
    tally.rows["valid"] = 4
    tally.targets.update({0: 2, 1: 2})
    validate.enough(tally, config.Validate(min_rows=4, min_class_rows=2), contract_of(), "")
    with pytest.raises(InputError, match="4 valid rows of at least 5"):
        validate.enough(tally, config.Validate(min_rows=5, min_class_rows=2), contract_of(), "")
    with pytest.raises(InputError, match="2 rows of its rarer class"):
        validate.enough(tally, config.Validate(min_rows=4, min_class_rows=3), contract_of(), "")
    validate.enough(tally, config.Validate(min_rows=2, min_class_rows=9), contract_of("regression"), "")


def test_a_number_is_no_time() -> None:
    """A numeric column declared as a time has no value of that type, though ISO 8601 would read 2475 as a year."""
    for numbers in (pd.Series([2475.0, 1999.0]), pd.Series(["2475", "1999"])):
        assert validate.cast(numbers, schema.Column(type="datetime")).isna().all()
    assert validate.cast(pd.Series(["2013-07-01 10:00"]), schema.Column(type="datetime")).notna().all()
