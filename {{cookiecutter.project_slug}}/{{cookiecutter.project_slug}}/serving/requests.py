"""What `/predict` takes: `schema.yaml` as a type that pydantic holds a request's bytes against, in one pass.

Refusals use the words of the quarantine. A column may be null where the contract says so, but must be there: one that
a client forgot would else be taken for unknown.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field, NaiveDatetime, Strict, TypeAdapter, ValidationError, WithJsonSchema
from typing_extensions import TypedDict

from .. import schema

Row = dict[str, Any]
#: Problems that one answer names; a request may hold thousands.
NAMED = 100
LONGEST = 1000
#: No zone, so not what JSON Schema calls a date-time.
MOMENT = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?$"}
WORDS = {
    "missing": "missing",
    "extra_forbidden": "not a column that this model reads",
    "too_short": "no rows",
    "finite_number": "not a finite number",
    "timezone_naive": "has a time zone: give it without",
    "string_too_long": f"longer than {LONGEST} characters",
}


class Refused(ValueError):
    """A request that cannot be answered: `problems` are of the form {row, column, rule}."""

    def __init__(self, problems: list[dict[str, Any]]) -> None:
        """The problems found."""
        super().__init__(f"{len(problems)} problems")
        self.problems = problems


def kind(column: schema.Column) -> Any:
    """The pydantic type of a column's values."""
    found: Any
    if column.values:
        found = Literal[tuple(column.values)]
    elif column.type in ("int", "float"):
        # Whole numbers arrive as 3.0, too: clients keep columns with nulls as floats. Above 2**53 they are not exact.
        limits: dict[str, Any] = {"multiple_of": 1, "ge": -(2**53), "le": 2**53} if column.type == "int" else {}
        limits |= {k: v for k, v in (("ge", column.min), ("le", column.max)) if v is not None}
        found = Annotated[float, Strict(), Field(allow_inf_nan=False, **limits)]
    elif column.type == "datetime":
        found = Annotated[NaiveDatetime, Strict(), WithJsonSchema(MOMENT)]
    elif column.type == "bool":
        # A table's column with nulls holds 1.0, and so do its clients.
        found = Literal[True, False] if column.nullable else Annotated[bool, Strict()]
    else:
        found = Annotated[str, Strict(), Field(max_length=LONGEST)]
    return found | None if column.nullable else found


def row_type(contract: schema.Schema) -> Any:
    """A row of a request: every input, and the columns of the key if the client has them."""
    given: dict[str, Any] = {name: kind(contract.columns[name]) for name in contract.inputs}
    name = Annotated[str, Field(max_length=LONGEST)] | Annotated[int, Strict(), Field(ge=-(2**63), lt=2**63)]
    given |= {key: NotRequired[name | None] for key in contract.key}
    row = TypedDict("Row", given)  # type: ignore[misc]  # made of what the contract declares
    row.__pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[attr-defined]  # where pydantic looks
    return row


class Reader:
    """Reads requests for one contract, of at most `most` rows."""

    def __init__(self, contract: schema.Schema, most: int) -> None:
        """Build both forms of a request: one row as an object, many as an array."""
        self.contract = contract
        row: Any = row_type(contract)
        self.one: TypeAdapter[Row] = TypeAdapter(row)
        self.many: TypeAdapter[list[Row]] = TypeAdapter(Annotated[list[row], Field(min_length=1, max_length=most)])

    def read(self, body: bytes) -> list[Row]:
        """The rows in a request's body. Raises Refused."""
        try:
            if body.lstrip()[:1] == b"[":
                return self.many.validate_json(body)
            return [self.one.validate_json(body)]
        except ValidationError as error:
            found = [self.problem(one) for one in error.errors(include_url=False)[:NAMED]]
            raise Refused([one for i, one in enumerate(found) if one not in found[:i]]) from None

    def problem(self, error: Any) -> dict[str, Any]:
        """A pydantic error as {row, column, rule}; both null when the body as a whole is wrong."""
        place = [*error["loc"]]
        row = place.pop(0) if place and isinstance(place[0], int) else 0 if place else None
        name = place[0] if place else None
        column = self.contract.columns.get(str(name))
        rule = WORDS.get(error["type"])
        if error["type"] == "too_long":
            rule = f"more than {error['ctx']['max_length']} rows"
        if column and not rule:
            rule = self.broken(column, error)
        return {"row": row, "column": name, "rule": rule or str(error["msg"])}

    def broken(self, column: schema.Column, error: Any) -> str:
        """The rule of a column that a value broke."""
        if error["input"] is None:
            return "null"
        if error["type"] == "literal_error":
            return "not an admitted value"
        if error["type"] == "greater_than_equal" and column.min is not None:
            return f"below {column.min:g}"
        if error["type"] == "less_than_equal" and column.max is not None:
            return f"above {column.max:g}"
        return f"not of type {column.type}"

    def example(self, row: Row) -> Row:
        """A golden row as JSON would hold it."""
        found: Row = self.one.dump_python(row, mode="json")
        return found


def ids(rows: list[Row], contract: schema.Schema) -> list[str]:
    """The name of each prediction: the row's key if the client gave all of it, else a new one."""
    import uuid

    keys = [[row.get(name) for name in contract.key] for row in rows]
    return [uuid.uuid4().hex if not key or None in key else "/".join(map(str, key)) for key in keys]
