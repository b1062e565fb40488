"""Terraform files against the typed bindings of their providers, where the providers themselves cannot be had.

The bindings are wheels of PyPI (`cdktf-cdktf-provider-google` and others), read as text, without jsii and Node.
Told are types, arguments and nested blocks that a provider does not have, required arguments that are missing,
attributes of a resource that are referred to and do not exist, and names of variables, locals, modules, resources and
data that nothing declares. No resource at all is told as well.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hcl2

PROVIDERS = ("google", "azurerm", "azuread")
# What Terraform itself gives every resource.
META = {"count", "for_each", "depends_on", "lifecycle", "provider", "provisioner", "connection"}
# What is newer than the bindings (google 6.50.0), and where that was read.
NEWER = {
    # GA since autumn 2025: https://github.com/GoogleCloudPlatform/magic-modules/pull/15154
    "google_cloud_run_v2_service": {"template.volumes.gcs.mount_options"},
}
# Providers whose types are not in the bindings, and are not looked at.
OTHERS = ("terraform_data", "random_")
REFERENCE = re.compile(
    r"(?<![\w.-])(?P<data>data\.)?(?P<type>(?:google|azurerm|azuread)_\w+|terraform_data|var|local|module|ephemeral\.\w+)\.(?P<name>[\w-]+)"
    r"(?:\[[^\[\]]*(?:\[[^\[\]]*\])?[^\[\]]*\])?(?:\.(?P<attribute>[a-z_]\w*))?"
)


class Bindings:
    """The classes of the bindings, by the type that Terraform knows; names without underscores, which digits move."""

    def __init__(self, folder: Path) -> None:
        """Read from `folder`, where the wheels are unpacked: a module for each type."""
        self.folder = folder
        self.read: dict[str, dict[str, ast.ClassDef]] = {}

    def classes(self, kind: str) -> dict[str, ast.ClassDef]:
        """Return the classes of a type (`google_x`, or `data.google_x`), by name; empty for one that does not exist."""
        if kind not in self.read:
            provider = kind.removeprefix("data.").partition("_")[0]
            module = kind.replace("data.", "data_") if kind.startswith("data.") else kind.partition("_")[2]
            path = self.folder / f"cdktf_cdktf_provider_{provider}" / module / "__init__.py"
            body = ast.parse(path.read_text(encoding="utf-8")).body if path.exists() else []
            self.read[kind] = {one.name: one for one in body if isinstance(one, ast.ClassDef)}
        return self.read[kind]

    def root(self, kind: str) -> str | None:
        """The class of the whole resource or data source."""
        for name, found in self.classes(kind).items():
            bases = " ".join(ast.unparse(base) for base in found.bases)
            if "TerraformResource" in bases or "TerraformDataSource" in bases:
                return name
        return None

    def arguments(self, kind: str, name: str) -> dict[str, tuple[bool, str | None]]:
        """Of a class: its arguments, whether each is required, and the class of its block, if it is one."""
        init = method(self.classes(kind)[name], "__init__")
        found = {}
        for argument, default in zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True):
            said = ast.unparse(argument.annotation) if argument.annotation else ""
            inner = [one for one in re.findall(r"\b[A-Z]\w+\b", said) if one in self.classes(kind)]
            found[bare(argument.arg)] = (default is None, inner[0] if inner else None)
        return found

    def attributes(self, kind: str) -> set[str]:
        """What a resource can be asked for."""
        found = self.classes(kind)[self.root(kind) or ""]
        return {bare(one.name) for one in found.body if isinstance(one, ast.FunctionDef)}


def method(found: ast.ClassDef, name: str) -> ast.FunctionDef:
    """A method of a class."""
    return next(one for one in found.body if isinstance(one, ast.FunctionDef) and one.name == name)


def bare(name: str) -> str:
    """Return a name as bindings and providers agree on."""
    return name.replace("_", "")


def plain(name: str) -> str:
    """A name without the quotes that python-hcl2 leaves around it."""
    return name.strip('"')


def blocks(value: Any) -> list[dict[str, Any]]:
    """The bodies of a block, or of blocks of one name; empty where the value is none."""
    values = value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, dict)]


def expanded(body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Arguments and blocks of a body, dynamic blocks under the name of what they become."""
    for name, value in body.items():
        if name == "dynamic":
            for one in blocks(value):
                for label, dynamic in one.items():
                    if isinstance(dynamic, dict):
                        yield plain(label), dynamic["content"]
        elif not name.startswith("__"):
            yield plain(name), value


def looked(bindings: Bindings, kind: str, name: str, body: dict[str, Any], path: str = "") -> Iterator[str]:
    """What of a body the provider does not have, or misses."""
    known = bindings.arguments(kind, name)
    given = dict(expanded(body))
    for argument, value in given.items():
        where = f"{path}{argument}"
        if (argument in META and not path) or where in NEWER.get(kind, ()):
            continue
        if bare(argument) not in known:
            yield f"has no {where}"
        elif known[bare(argument)][1]:
            for one in blocks(value):
                yield from looked(bindings, kind, str(known[bare(argument)][1]), one, f"{where}.")
    for argument, (required, _) in known.items():
        if required and argument not in map(bare, given) and argument not in ("scope", "id"):
            yield f"needs {path}{argument}"


def read(path: Path) -> dict[str, Any]:
    """A file of Terraform."""
    with path.open(encoding="utf-8") as file:
        found: dict[str, Any] = hcl2.load(file)
    return found


def declared(parsed: list[dict[str, Any]]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Kind, name and body of all that a folder's files declare."""
    for file in parsed:
        for what in ("resource", "data", "ephemeral"):
            for one in file.get(what, ()):
                for kind, named in one.items():
                    for name, body in named.items():
                        yield ("" if what == "resource" else f"{what}.") + plain(kind), plain(name), blocks(body)[0]
        for what, kind in (("variable", "var"), ("module", "module"), ("output", "output")):
            for one in file.get(what, ()):
                yield from ((kind, plain(name), blocks(body)[0]) for name, body in one.items())
        for one in file.get("locals", ()):
            yield from (("local", plain(name), {}) for name in one if not name.startswith("__"))


def references(bindings: Bindings, text: str, names: set[tuple[str, str]]) -> Iterator[str]:
    """What a file refers to that its folder does not declare, or that a resource does not have."""
    code = re.sub(r"(?m)^\s*#.*$|\s#\s.*$", "", text)
    for found in REFERENCE.finditer(code):
        kind, name, attribute = (found["data"] or "") + found["type"], found["name"], found["attribute"]
        ours = kind.removeprefix("data.").startswith(PROVIDERS)
        if ours and not bindings.classes(kind):
            continue  # no reference: a type is told where it is declared
        if (kind, name) not in names:
            yield f"refers to {kind}.{name}, which nothing declares"
        elif ours and attribute and bare(attribute) not in bindings.attributes(kind):
            yield f"refers to {kind}.{name}.{attribute}, which it does not have"


def check(folder: Path, bindings: Bindings) -> tuple[int, list[str]]:
    """How many resources and data sources of the provider there are, and all that is wrong with them."""
    count, wrong = 0, []
    for place in sorted({path.parent for path in folder.rglob("*.tf")}):
        files = sorted(place.glob("*.tf"))
        found = list(declared([read(path) for path in files]))
        for kind, name, body in found:
            if not kind.removeprefix("data.").startswith(PROVIDERS):
                if "." not in kind and kind not in ("var", "local", "module", "output") and not kind.startswith(OTHERS):
                    wrong.append(f"{place}: {kind} is of a provider that is not looked at")
                continue
            count += 1
            root = bindings.root(kind)
            if root is None:
                wrong.append(f"{place}: {kind}.{name}: the provider has no such type")
            else:
                wrong += [f"{place}: {kind}.{name} {one}" for one in looked(bindings, kind, root, body)]
        names = {(kind, name) for kind, name, _ in found}
        for path in files:
            wrong += [f"{path} {one}" for one in references(bindings, path.read_text(encoding="utf-8"), names)]
    if not count:
        wrong.append(f"{folder} has no resource of the provider: nothing was checked")
    return count, wrong
