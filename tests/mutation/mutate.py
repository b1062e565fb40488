"""Mutate what decides in the project of the current folder; run by tests/test_mutation.py in an environment with mutmut.

Prints one JSON object: by module how many mutants there were, how many were killed, and the survivors as
`function: line -> line`. Not mutated, and so not counted: code outside functions (constants, tables), decorated
functions (pytest's fixtures and hook wrappers), the text of f-strings, and string literals with a space, which
are sentences for a person.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from difflib import ndiff
from pathlib import Path
from typing import Any

DECIDES = ("gates/*.py", "stages/split.py", "registry/promotion.py", "registry/comparison.py")
KILLED = ("killed", "timeout")


def configure(package: Path) -> None:
    """Write mutmut's settings: what is mutated, and that each module is held by the unit tests of its name."""
    modules = [path for pattern in DECIDES for path in sorted(package.glob(pattern)) if path.stem != "__init__"]
    tests = [Path(f"tests/unit/test_{path.stem}.py") for path in modules]
    missing = [str(path) for path in tests if not path.is_file()]
    if missing:
        sys.exit(f"no unit tests of their own: {', '.join(missing)}")
    blocks: dict[str, Any] = {"source_paths": [package], "only_mutate": modules, "also_copy": ["params.yaml"]}
    blocks |= {"pytest_add_cli_args": ["-p", "no:cacheprovider"], "pytest_add_cli_args_test_selection": tests}
    text = "".join(f"{key}=\n" + "".join(f"    {line}\n" for line in lines) for key, lines in blocks.items())
    Path("setup.cfg").write_text(f"[mutmut]\n{text}", encoding="utf-8")


def leave_sentences() -> None:
    """Take string literals with a space from what mutmut mutates; it has no setting for that."""
    from mutmut.mutation import mutators  # type: ignore[import-not-found]

    def words(node: Any) -> Iterator[Any]:
        return iter(()) if " " in getattr(node, "value", "") else mutators.operator_string(node)

    operators = mutators.mutation_operators
    places = [i for i, (_, operator) in enumerate(operators) if operator is mutators.operator_string]
    assert len(places) == 1, "mutmut's table of operators has changed"
    operators[places[0]] = (operators[places[0]][0], words)


def change(name: str, path: str) -> str:
    """What a mutant changes, as `function: old -> new`, each side on one line."""
    from mutmut.mutation.diff_apply import read_functions_from_index  # type: ignore[import-not-found]
    from mutmut.utils.format_utils import (  # type: ignore[import-not-found]
        orig_function_and_class_names_from_key,
    )

    import libcst as cst  # type: ignore[import-not-found]  # isort: skip

    before, after = (cst.Module([f]).code.splitlines() for f in read_functions_from_index(name, path))
    lines = list(ndiff(before, after))
    old, new = (" ".join(line[2:].strip() for line in lines if line.startswith(sign)) for sign in "-+")
    function, owner = orig_function_and_class_names_from_key(name)
    return f"{owner + '.' if owner else ''}{function}: {old} -> {new}"


def main() -> None:
    """Mutate and report."""
    package = Path(Path.cwd().name)
    configure(package)
    leave_sentences()
    from mutmut.__main__ import cli  # type: ignore[import-not-found]
    from mutmut.stats import status_by_exit_code  # type: ignore[import-not-found]

    cli(["run", "--max-children", sys.argv[1]], standalone_mode=False)
    report = {}
    for meta in sorted(Path("mutants", package).rglob("*.meta")):
        path = meta.relative_to("mutants").with_suffix("")
        codes = json.loads(meta.read_text(encoding="utf-8"))["exit_code_by_key"]
        alive = {name: status_by_exit_code[code] for name, code in codes.items()}
        alive = {name: status for name, status in alive.items() if status not in KILLED}
        if codes:
            report[path.relative_to(package).as_posix()] = {
                "mutants": len(codes),
                "killed": len(codes) - len(alive),
                "alive": sorted((change(name, str(path)), status) for name, status in alive.items()),
            }
    Path("mutants.json").write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
