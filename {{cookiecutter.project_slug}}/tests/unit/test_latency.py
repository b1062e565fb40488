"""Times as a ratio, measured in turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from {{ cookiecutter.project_slug }} import model
from {{ cookiecutter.project_slug }}.gates import latency

Rows = Callable[..., pd.DataFrame]


def ticking(*seconds: float) -> Callable[[], float]:
    """A clock by which the measured calls take these seconds, one after the other."""
    times: Iterator[float] = iter(np.cumsum([x for second in seconds for x in (1.0, second)]))
    return lambda: float(next(times))


def test_the_least_time_of_each_call_counts() -> None:
    """Each is warmed up once, then they take turns."""
    order: list[str] = []
    calls = [lambda: order.append("a"), lambda: order.append("b")]
    assert latency.least(calls, 3, ticking(5, 20, 4, 30, 6, 25)) == [4.0, 20.0]
    assert order == ["a", "b"] * 4


def test_datetimes_become_days() -> None:
    """Since 1970; a null stays one."""
    times = pd.DataFrame({"when": pd.to_datetime(["1970-01-02 12:00", None, "1970-01-11 00:00"])})
    assert latency.days(times)["when"].fillna(-1).tolist() == [1.5, -1.0, 10.0]


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_reference_takes_every_input(contract_of: Callable[..., Any], rows_of: Rows, task: str) -> None:
    """Nulls and categories never seen included, and one with datetimes alone; it needs no target."""
    contract, rows = contract_of(task), rows_of(60)[contract_of(task).inputs]
    plain = latency.reference(rows, contract)
    steps = {name: list(columns) for name, _, columns in plain[0].transformers_}
    assert steps == {"time": ["when"], "number": ["size", "open"], "category": ["place"]}
    assert plain.predict(rows.assign(place="new", size=np.nan)).shape == (60,)
    bare = contract_of(task, place=..., size=..., open={"type": "datetime"})
    times = rows.assign(open=rows["when"])
    assert latency.reference(times, bare).predict(times).shape == (60,)


def test_the_ratio_is_of_least_times_on_one_thread(
    contract_of: Callable[..., Any], rows_of: Rows, params_of: Callable[..., Any]
) -> None:
    """Our 6 and 9 seconds, their 2 and 4."""
    contract, params, rows = contract_of(), params_of(), rows_of(60)
    fitted = model.fit(model.build(params.train, contract, params.seed), rows, contract)
    threads: set[int] = set()
    clock = ticking(9, 4, 6, 2)

    def watched() -> float:
        threads.update(pool["num_threads"] for pool in threadpool_info())
        return clock()

    with threadpool_limits(2):  # more than one to begin with, on whatever machine
        assert latency.ratio(fitted, rows, contract, 2, watched) == 3.0
    assert threads == {1}
    assert latency.ratio(fitted, rows, contract, 2) > 0


def test_both_sides_are_called(contract_of: Callable[..., Any], rows_of: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours by the function that serving calls, on the very rows."""
    contract, rows = contract_of(), rows_of(60)
    seen: list[tuple[Any, int]] = []
    monkeypatch.setattr(model, "predict", lambda fitted, frame, _: seen.append((fitted, len(frame))))
    latency.ratio("ours", rows, contract, 3)
    assert seen == [("ours", 60)] * 4
