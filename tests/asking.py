"""GitHub's API as GitHub publishes it: whether a call is one that it knows, and says what it has to."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from jsonschema.validators import Draft202012Validator


class Api:
    """The published description of the API."""

    def __init__(self, path: Path) -> None:
        """Read it from a file of `@octokit/openapi`."""
        self.tree = json.loads(path.read_text(encoding="utf-8"))

    def operation(self, method: str, path: str) -> dict[str, Any] | None:
        """Return what a call of a path (without a query) means, or None where there is no such call."""
        for template, operations in self.tree["paths"].items():
            pattern = re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(template))
            if re.fullmatch(pattern, f"/{path}") and method.lower() in operations:
                found: dict[str, Any] = operations[method.lower()]
                return found
        return None

    def faults(self, call: dict[str, Any]) -> list[str]:
        """Return what is wrong with a call: unknown, an unknown query, or a body that breaks its schema."""
        path, _, query = call["path"].partition("?")
        operation = self.operation(call["method"], path)
        if operation is None:
            return [f"no such call: {call['method']} {path}"]
        known = {self.resolved(one)["name"] for one in operation.get("parameters", ())}
        faults = [f"no such parameter: {name}" for name in re.findall(r"(?:^|&)([^=]+)", query) if name not in known]
        schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        if schema is None:
            return faults + ["a body where none is taken"] * bool(call["body"])
        strict = schema | {"unevaluatedProperties": False, "components": self.tree["components"]}
        return faults + [error.message for error in Draft202012Validator(strict).iter_errors(call["body"])]

    def resolved(self, node: dict[str, Any]) -> dict[str, Any]:
        """Return what a reference points to, or the node itself."""
        found = self.tree
        for part in node["$ref"].removeprefix("#/").split("/") if "$ref" in node else ():
            found = found[part]
        return found if "$ref" in node else node
