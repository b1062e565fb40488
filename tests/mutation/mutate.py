"""Mutate one module of the project in the current folder, with mutmut in its environment: `mutate.py MODULE [MOST]`.

Writes `mutants.json`: how many mutants were made, how many of them tried (`MOST` at most), how many of these the unit
tests of that module's name killed, how many of those by never ending, and the others as `function: old -> new`. Not
mutated, and so not counted: code outside functions (constants, tables), decorated functions (pytest's fixtures and hook
wrappers), the text of f-strings, and string literals with a space, which are sentences for a person.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from difflib import ndiff
from pathlib import Path
from typing import Any

KILLED = ("killed", "timeout")


def configure(module: Path) -> None:
    """Write mutmut's settings: which file is mutated, and by which tests it is held.

    Those of its own name; with its folder's name where two folders have a module of that name.
    """
    own = Path(f"tests/unit/test_{module.parent.name}_{module.stem}.py")
    settings = {
        "source_paths": module.parts[0],
        "only_mutate": module,
        "pytest_add_cli_args_test_selection": own if own.is_file() else f"tests/unit/test_{module.stem}.py",
        "timeout_constant": 4,
        "use_git_change_detection": False,
    }
    text = "".join(f"{key} = {value}\n" for key, value in settings.items())
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


def keep_children_out_of_the_survey() -> None:
    """While mutmut notes which test calls what, a child process, which has none of its settings, runs unobserved."""
    from mutmut import __main__ as command  # type: ignore[import-not-found]

    switch = command.set_mutant_under_test

    def switch_here(name: str | None) -> None:
        switch(name)
        if name == "stats":
            del os.environ["MUTANT_UNDER_TEST"]

    command.set_mutant_under_test = switch_here


def draw(names: Iterable[str], most: int) -> set[str]:
    """At most `most` of the mutants: those whose names' hashes are smallest, so that others coming or going move few.

    The package's name, with which each begins, plays no part.
    """
    return set(sorted(names, key=lambda name: hashlib.sha256(name.partition(".")[2].encode()).hexdigest())[:most])


def try_only(most: int) -> None:
    """Let mutmut try no more than `most` of the mutants that it makes; which is not known before it has made them."""
    from mutmut import __main__ as command

    collect = command.collect_source_file_mutation_data

    def collect_some(**options: Any) -> tuple[list[Any], Any]:
        mutants, sources = collect(**options)
        drawn = draw([name for _, name, _ in mutants], most)
        return [mutant for mutant in mutants if mutant[1] in drawn], sources

    command.collect_source_file_mutation_data = collect_some


def change(name: str, path: Path) -> str:
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
    module, most = Path(Path.cwd().name, sys.argv[1]), int(sys.argv[2]) if sys.argv[2:] else sys.maxsize
    shutil.rmtree("mutants", ignore_errors=True)
    configure(module)
    leave_sentences()
    keep_children_out_of_the_survey()
    try_only(most)
    from mutmut.__main__ import cli  # type: ignore[import-not-found]
    from mutmut.stats import status_by_exit_code  # type: ignore[import-not-found]

    cli(["run"], standalone_mode=False)
    codes = json.loads(Path("mutants", f"{module}.meta").read_text(encoding="utf-8"))["exit_code_by_key"]
    tried = draw(codes, most)
    alive = sorted(change(name, module) for name in tried if status_by_exit_code[codes[name]] not in KILLED)
    endless = sum(status_by_exit_code[codes[name]] == "timeout" for name in tried)
    report = {"made": len(codes), "tried": len(tried), "killed": len(tried) - len(alive), "endless": endless,
              "alive": alive}  # fmt: skip
    Path("mutants.json").write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
