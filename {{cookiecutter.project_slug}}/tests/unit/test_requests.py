"""What a request may hold, and the words in which it is refused."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from {{ cookiecutter.project_slug }}.serving.requests import Reader, Refused, ids

ROW = {"when": "2024-01-03T08:30:00", "place": "a", "size": 12.5, "open": True, "seats": 4, "level": 1}
COUNTS = {"seats": {"type": "int", "min": 0, "max": 9, "nullable": True}, "level": {"type": "int", "values": [1, 2]}}


@pytest.fixture
def reader(contract_of):
    """A reader for a row of every type, of at most three rows."""
    return Reader(contract_of(**COUNTS), 3)


def refusal(reader, body):
    """The problems of a body that must be refused."""
    with pytest.raises(Refused) as refused:
        reader.read(body if isinstance(body, bytes) else json.dumps(body).encode())
    return refused.value.problems


def test_one_row_and_many_in_any_order_of_columns(reader):
    expected = {**ROW, "when": dt.datetime(2024, 1, 3, 8, 30)}
    assert reader.read(json.dumps(ROW).encode()) == [expected]
    assert reader.read(b" \n" + json.dumps([ROW, dict(reversed(ROW.items()))]).encode()) == [expected, expected]
    assert reader.read(json.dumps({**ROW, "size": None, "seats": 3.0, "id": 7}).encode())[0]["id"] == 7


def test_a_nullable_yes_or_no_may_be_what_a_table_holds_of_it(contract_of):
    """A column with nulls is 1.0 and 0.0 there, and golden rows are asked for as the table has them."""
    reader = Reader(contract_of(**COUNTS, open={"nullable": True}), 3)
    for given, read in ((1.0, True), (0.0, False), (True, True), (None, None)):
        assert reader.read(json.dumps({**ROW, "open": given}).encode())[0]["open"] is read
    for given in (2, 0.5, "true"):
        assert refusal(reader, {**ROW, "open": given})[0]["column"] == "open"


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("size", 101, "above 100"),
        ("size", -1, "below 0"),
        ("size", "12", "not of type float"),
        ("size", True, "not of type float"),
        ("seats", 2.5, "not of type int"),
        ("seats", 10, "above 9"),
        ("level", 3, "not an admitted value"),
        ("level", None, "null"),
        ("place", "d", "not an admitted value"),
        ("place", None, "null"),
        ("open", 1, "not of type bool"),
        ("when", "yesterday", "not of type datetime"),
        ("when", 1704270600, "not of type datetime"),
        ("when", "2024-01-03T08:30:00Z", "has a time zone: give it without"),
        ("id", {}, "not of type int"),
        ("id", "x" * 1001, "longer than 1000 characters"),
        ("colour", "red", "not a column that this model reads"),
        ("delay", 3.0, "not a column that this model reads"),
        ("late", 1, "not a column that this model reads"),
    ],
)
def test_a_broken_rule_names_row_column_and_rule(reader, column, value, rule):
    assert {"row": 1, "column": column, "rule": rule} in refusal(reader, [ROW, {**ROW, column: value}])
    assert {"row": 0, "column": column, "rule": rule} in refusal(reader, {**ROW, column: value})


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_what_is_no_finite_number_is_refused(reader, number):
    body = json.dumps(ROW).replace("12.5", number).encode()
    assert refusal(reader, body) == [{"row": 0, "column": "size", "rule": "not a finite number"}]


def test_a_column_left_out_is_not_a_null(reader):
    without = {name: value for name, value in ROW.items() if name != "size"}
    assert refusal(reader, without) == [{"row": 0, "column": "size", "rule": "missing"}]


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        (b"", "Invalid JSON: EOF"),
        (b"{", "Invalid JSON: EOF"),
        (b"[" * 100_000, "Invalid JSON: recursion limit"),
        (b'{"a":' * 100_000, "Invalid JSON: recursion limit"),
        (b'{"size": ' + b"9" * 5000 + b"}", "Invalid JSON: number out of range"),
        (b'{"place": "\xff"}', "Invalid JSON: invalid unicode"),
        (b"[]", "no rows"),
        (b"null", "Input should be an object"),
        (json.dumps([ROW] * 4).encode(), "more than 3 rows"),
    ],
)
def test_a_body_that_is_no_request_says_what_it_is(reader, body, rule):
    (problem,) = refusal(reader, body)
    assert (problem["row"], problem["column"]) == (None, None)
    assert problem["rule"].startswith(rule)


def test_of_many_problems_some_are_named(reader):
    assert len(refusal(Reader(reader.contract, 1000), [{}] * 1000)) == 100


def test_a_prediction_is_named_by_the_whole_key_or_anew(contract_of):
    contract = contract_of(id2={"type": "category", "role": "key"})
    named = ids([{"id": 5, "id2": "x"}, {"id": 5}, {"id": None, "id2": "x"}], contract)
    assert named[0] == "5/x"
    assert all(len(name) == 32 for name in named[1:])
    assert len(set(named)) == 3


def test_the_documented_row_is_the_one_that_is_read(reader):
    found = reader.one.json_schema()
    assert set(found["required"]) == set(ROW)
    assert found["additionalProperties"] is False
    assert found["properties"]["place"]["enum"] == ["a", "b", "c"]
    assert {"minimum": 0, "maximum": 100, "type": "number"}.items() <= found["properties"]["size"]["anyOf"][0].items()
    assert reader.example(reader.read(json.dumps(ROW).encode())[0]) == ROW
