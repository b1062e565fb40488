"""A YAML document as a typed model, or changed in place; what is wrong with it becomes one line that names the key."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.representer import RoundTripRepresenter

from . import record
from .errors import InputError

Model = TypeVar("Model", bound=BaseModel)


def parse(text: str) -> Any:
    """The value of a YAML 1.2 text, as DVC reads it: 1e-9 is a number, and no key may stand twice. Raises YAMLError."""
    return YAML(typ="safe").load(text)


def read(path: Path, model: type[Model]) -> Model:
    """Read a YAML file into `model`; every problem becomes one InputError naming file and key."""
    try:
        raw = parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} is missing: run from the project's folder") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    except YAMLError as error:
        where = " ".join(str(error).partition("To suppress")[0].split())
        raise InputError(f"{path} is not valid YAML: {where}") from error
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise InputError(f"{path}: {describe(error)}") from error


class Plain(RoundTripRepresenter):
    """Writes null as people do, not as nothing."""


Plain.add_representer(type(None), lambda made, _: made.represent_scalar("tag:yaml.org,2002:null", "null"))


def change(path: Path, **changes: Any) -> None:
    """Change dotted keys (with `__` for the dot) of a YAML file; comments, quotes and order stay. Raises StoreError."""
    yaml = YAML()
    yaml.preserve_quotes, yaml.width, yaml.Representer = True, 4096, Plain
    yaml.indent(mapping=2, sequence=4, offset=2)
    tree = yaml.load(path.read_text(encoding="utf-8"))
    for key, value in changes.items():
        *parents, last = key.split("__")
        block = tree
        for part in parents:
            block = block[part]
        block[last] = value
    record.write_atomically(path, lambda partial: yaml.dump(tree, partial))


def describe(error: ValidationError) -> str:
    """The problems of a ValidationError in one line, each with its dotted key."""
    lines = []
    for problem in error.errors(include_url=False):
        key = ".".join(str(part) for part in problem["loc"]) or "the file"
        if problem["type"] == "extra_forbidden":
            lines.append(f"unknown key {key}: remove it or mend its spelling")
        elif problem["type"] == "missing":
            lines.append(f"missing key {key}: add it")
        else:
            # Of a whole block only the key is said: the line ends in logs, and a source may hold a password.
            found = "" if isinstance(problem["input"], dict) else f" (found {problem['input']!r:.60})"
            lines.append(f"{key}: {problem['msg']}{found}")
    return "; ".join(lines)
