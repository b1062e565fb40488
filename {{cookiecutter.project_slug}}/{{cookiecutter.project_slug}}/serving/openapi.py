"""What `/docs` shows: the columns of the champion's contract with ranges and examples, and every answer there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi

from .. import schema
from .requests import Reader

if TYPE_CHECKING:
    from fastapi import FastAPI

    from .app import Server

Responses = dict[int | str, dict[str, Any]]
TOKEN: Responses = {401: {"description": "No token, or another one"}}
NOT_READY: Responses = TOKEN | {503: {"description": "No champion yet"}}
RESPONSES: Responses = NOT_READY | {
    408: {"description": "The body did not arrive in time"},
    413: {"description": "The body is too large"},
    415: {"description": "Not application/json"},
    422: {"description": "Rows that break the contract, each with row, column and rule"},
    503: {"description": "No champion yet, or too many requests at once"},
}
TEXT = {"type": "string"}
PROBLEM = {"type": "object", "required": ["row", "column", "rule"], "properties": {
    "row": {"type": ["integer", "null"]}, "column": {"type": ["string", "null"]}, "rule": TEXT}}  # fmt: skip


def document(app: FastAPI, server: Server, contract: schema.Schema) -> dict[str, Any]:
    """The OpenAPI document for who serves now; for `contract` while nobody does."""
    serves = server.champions.champion
    found: dict[str, Any] = get_openapi(title=app.title, version=serves.number if serves else "none", routes=app.routes)
    contract = serves.version.contract if serves else contract
    reader = serves.reader if serves else Reader(contract, server.settings.max_rows)
    row = {**reader.one.json_schema(), "title": "Row"}
    many = {"type": "array", "items": {"$ref": "#/components/schemas/Row"}, "minItems": 1,
            "maxItems": server.settings.max_rows}  # fmt: skip
    post = found["paths"]["/predict"]["post"]
    given: dict[str, Any] = {"schema": {"anyOf": [{"$ref": "#/components/schemas/Row"}, many]}}
    if serves:
        usual = serves.version.golden[0][2:]  # before them stand the limits of every column
        example = reader.example(next((row for row in usual if None not in row.values()), usual[0]))
        given["examples"] = {"one row": {"value": example}, "many rows": {"value": [example, example]}}
    post["description"] = f"{post['description']}\n\n{table(contract)}"
    post["requestBody"] = {"required": True, "content": {"application/json": given}}
    refusal = {"type": "object", "properties": {"detail": {"type": "array", "items": PROBLEM}}}
    post["responses"]["200"]["content"] = {"application/json": {"schema": answer(contract)}}
    post["responses"]["422"]["content"] = {"application/json": {"schema": refusal}}
    found["components"] = {"schemas": {"Row": row}, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}}
    guarded = (one for path in found["paths"].values() for one in path.values() if "401" in one["responses"])
    for operation in guarded if server.token else ():
        operation["security"] = [{"token": []}]
    return found


def table(contract: schema.Schema) -> str:
    """The columns of a row, as Markdown."""

    def admitted(column: schema.Column) -> str:
        limits = [f"{sign} {limit:g}" for sign, limit in (("at least", column.min), ("at most", column.max))
                  if limit is not None]  # fmt: skip
        return ", ".join([*limits, *map(str, column.values or ()), *["null"] * column.nullable])

    rows = [(name, contract.columns[name]) for name in contract.inputs]
    lines = [f"| {name} | {column.type} | {admitted(column)} |" for name, column in rows]
    lines += [
        f"| {name} | {contract.columns[name].type} | may be left out; names the prediction |" for name in contract.key
    ]
    return "\n".join(["| column | type | admitted |", "| --- | --- | --- |", *lines])


def answer(contract: schema.Schema) -> dict[str, Any]:
    """The JSON Schema of an answer to `/predict`."""
    number = {"type": "number"}
    properties: dict[str, Any] = {"id": TEXT, "score": number, "decision": {"enum": contract.classes}}
    if contract.task == "multiclass":
        del properties["score"]
        scores = {str(name): number for name in contract.classes}
        properties["scores"] = {"type": "object", "properties": scores, "required": list(scores)}
    if contract.task == "regression":
        del properties["decision"]
    one = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "object", "required": ["digest", "predictions"],
            "properties": {"digest": TEXT, "predictions": {"type": "array", "items": one}}}  # fmt: skip
