"""Print the seconds that the statistics take in `evaluate` and in the gates after training, run in this process."""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

STATISTICS = ("estimate", "p_value_below", "detectable_alone", "benjamini_hochberg", "units")


class Clock:
    """Seconds spent inside the functions it was put around; a call inside another counts once."""

    def __init__(self) -> None:
        """Nothing spent yet."""
        self.spent = 0.0
        self.inside = False

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its time counted."""

        def timed(*arguments: Any, **options: Any) -> Any:
            if self.inside:
                return function(*arguments, **options)
            self.inside, began = True, time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                self.inside = False
                self.spent += time.perf_counter() - began

        return timed


def main() -> None:
    """Run `evaluate`, then the post-train gates, with a clock around the statistics."""
    import pytest

    package = Path.cwd().name
    sys.path.insert(0, str(Path.cwd()))
    intervals = importlib.import_module(f"{package}.gates.intervals")
    clock = Clock()
    for name in STATISTICS:
        setattr(intervals, name, clock.around(getattr(intervals, name)))
    importlib.import_module(f"{package}.stages.evaluate").main()
    run = importlib.import_module(f"{package}.gates.run")
    command = run.command("posttrain", Path("/dev/null"))
    if pytest.main(command[command.index("pytest") + 1 :]):
        raise SystemExit("the gates after training are red")
    print(json.dumps(clock.spent))


if __name__ == "__main__":
    main()
