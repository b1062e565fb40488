"""Try every promise in every world and write the shares: `python -m simulation OUT [--quick]`, in a project that ran.

The project must hold what `dvc repro` made: its test rows' predictions are the days that are drawn.
"""

from __future__ import annotations

import argparse
import time
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from flight_delays import config, model, schema
from flight_delays.gates import intervals, metrics

from . import table
from .promises import PROMISES, Promise, Sources
from .worlds import WORLDS, World, resampled, source

SEED = 2013
LOOKS = 12
SLICES = 10
#: How often chance may show a promise as broken that just holds. The quick run is to be red for a defect only.
LUCK = {"full": 1e-3, "quick": 1e-5}
#: The worlds of the quick run.
QUICK = ("independent", "correlation 0.3", "flights")


def retrainings(test: pd.DataFrame, count: int) -> np.ndarray:
    """Loss per row of `count` models of the default recipe, (n, count).

    Each is trained with its own seed on days drawn with replacement from those of the training rows.
    """
    params, contract = config.load(), schema.load()
    train = pd.read_parquet("data/train.parquet")
    days = intervals.units(train, contract, "day")
    y = contract.encode_target(test[contract.target]).to_numpy()
    losses = []
    for seed in range(count):
        drawn = np.random.default_rng([SEED, seed]).integers(0, days.max() + 1, days.max() + 1)
        rows = np.concatenate([np.flatnonzero(days == day) for day in drawn])
        fitted = model.fit(model.build(params.train, contract, seed), train.iloc[rows], contract)
        losses.append(metrics.primary(contract.task, y, model.predict(fitted, test, contract)))
    return np.column_stack(losses)


def within(gain: np.ndarray, table: pd.DataFrame) -> np.ndarray:
    """`gain` less its mean in every slice of every column: what least squares on the slices' names leaves."""
    design = pd.get_dummies(table.fillna("other")).to_numpy(dtype=float)
    left: np.ndarray = gain - design @ np.linalg.lstsq(design, gain, rcond=None)[0]
    return left


def largest(column: pd.Series, count: int) -> pd.Series:
    """The names of the largest slices of a column; the other rows are in none."""
    text = column.astype("str")
    return text.where(text.isin(text.value_counts().index[:count])).astype("object")


def block_of_day(count: int, unit: str) -> np.ndarray:
    """The block of each of so many days in a row, (count,), in a unit of resampling."""
    contract = schema.load()
    days = pd.DataFrame({str(contract.time): pd.date_range("2013-07-01", periods=count)})
    found: np.ndarray = intervals.units(days, contract, unit)
    return found


def read(looks: int) -> Sources:
    """What the worlds are made of, from the project's predictions; rows sorted by day."""
    contract = schema.load()
    table, test = pd.read_parquet("data/predictions.parquet"), pd.read_parquet("data/test.parquet")
    order = np.argsort(intervals.units(table, contract, "day"), kind="stable")
    assert (table["id"].to_numpy() == test["id"].to_numpy()).all()
    table, test = table.iloc[order].reset_index(drop=True), test.iloc[order]
    days = intervals.units(table, contract, "day")
    y = table["actual"].to_numpy()
    loss = {n: metrics.primary("binary", y, table[n].to_numpy()) for n in ("predicted", "linear", "dummy")}
    gain = loss["dummy"] - loss["predicted"]
    one = pd.DataFrame({"carrier": largest(table["carrier"], SLICES)})
    two = pd.DataFrame({"origin": table["origin"].astype("object"), "carrier": largest(table["carrier"], SLICES - 3)})
    return Sources(
        loss=source(loss["predicted"], days),
        gain=source(loss["linear"] - loss["predicted"], days),
        retrained=source(loss["predicted"][:, None] - retrainings(test, looks), days),
        one=(source(within(gain, one), days), one),
        two=(source(within(gain, two), days), two),
    )


def shares(promise: Promise, sources: Sources, name: str, world: World, quick: bool) -> dict[str, Any]:
    """How often each of the three ways says yes, and whether the promise is kept."""
    rng = np.random.default_rng([SEED, zlib.crc32(f"{promise.name} {name}".encode())])
    trials, luck = (promise.quick, LUCK["quick"]) if quick else (promise.trials, LUCK["full"])
    trial = promise.prepare(sources, world, rng)
    found = promise.source(sources)
    answers = np.array([trial(world(found, rng), rng) for _ in range(trials)])
    judged = int(np.isfinite(answers[:, 0]).sum())
    ours, plain, rows = (float(share) for share in np.nanmean(answers, axis=0))
    return {
        "promise": promise.name,
        "world": name,
        "trials": trials,
        "insufficient": round(1 - judged / trials, 4),
        "ours": round(ours, 4),
        "plain": round(plain, 4),
        "row_wise": round(rows, 4),
        "bound": round(promise.bound(judged, luck), 4),
        "kept": promise.kept(ours, judged, luck),
    }


def main() -> None:
    """Read, try, write."""
    parser = argparse.ArgumentParser(prog="simulation", description="Try every promise in every world.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--quick", action="store_true", help="few trials, three looks, three worlds")
    chosen = parser.parse_args()
    # Twelve looks ask for twelve numbers of replicates in turn: more than the project keeps at a time.
    intervals.draws = lru_cache(maxsize=None)(intervals.draws.__wrapped__)
    sources = read(3 if chosen.quick else LOOKS)
    days = len(sources.loss.sizes)
    worlds = {
        name: resampled(world, block_of_day(days, unit))
        for name, (world, unit) in WORLDS.items()
        if name in QUICK or not chosen.quick
    }
    cells = []
    for promise in PROMISES:
        start = time.process_time()
        cells += [shares(promise, sources, name, world, chosen.quick) for name, world in worlds.items()]
        print(f"{promise.name}: {time.process_time() - start:.1f} s", flush=True)
    table.write(cells, chosen.out)


if __name__ == "__main__":
    main()
