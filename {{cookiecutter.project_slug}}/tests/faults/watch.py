"""What goes wrong after deployment: the answer to every alarm is another retraining, and none of them helps."""

from __future__ import annotations

import datetime as dt
import json

import pandas as pd
from project import PACKAGE, Absent, Copy, Fault, Unharmed

#: The prediction log as a server would have written it for the champion's test rows.
SERVED = f"""
import datetime as dt
from pathlib import Path
import pandas as pd, pyarrow as pa
from {PACKAGE} import config, record, schema
from {PACKAGE}.gates import verdict
from {PACKAGE}.serving import parts
contract, test = schema.load(), record.read_parquet(verdict.TEST)
said = record.read_parquet(verdict.PREDICTIONS)
names = test[contract.key].astype("str").agg("/".join, axis=1) if contract.key else test.index.astype("str")
table = test[contract.inputs].join(said[contract.scores(parts.PREDICTED)])
table[parts.ID], table[parts.TIME] = names, pd.Timestamp("2024-05-05 05:05", tz="UTC")
table[parts.DIGEST] = record.read_json(verdict.TRAINING)["digest"]
parts.write(pa.Table.from_pandas(table, preserve_index=False),
            parts.named(config.load().serve.log.folder, dt.datetime(2024, 5, 5, 5), "s-d", 1))
"""


def never_ask(copy: Copy) -> None:
    """A sensor sends another unit; two retrainings are asked for, on rows of which nothing new is learned."""
    column = copy.number()
    path = next((copy.root / copy.read()["serve"]["log"]["folder"]).rglob("*.parquet"))
    log = pd.read_parquet(path)
    log[column] = log[column].max() + 1
    log.to_parquet(path, index=False)
    copy.settings(lambda tree: tree["monitor"].update(alarms=1, cool_down_days=0, max_per_week=100, max_refused=2))
    last = pd.to_datetime(log[copy.time]).max().normalize() if copy.time else dt.datetime(2024, 5, 6)
    for back in (2, 1):
        until = last - dt.timedelta(days=back if copy.time else back / 4)
        done = copy.run(f"monitor --until {until.isoformat()}")
        if done.code == 0 and "to tell" in done.said:
            raise Absent(f"too few rows for the monitor: {done.said}")
        if done.code != 3:
            raise Unharmed(f"the monitor saw no drift ({done.said}): mend the fault")
    asked = json.loads((copy.root / "reports/monitor.json").read_text(encoding="utf-8"))["retrainings"]
    if len(asked) != 2:
        raise Unharmed("the monitor forgot what it asked for: mend the fault")


FAULTS = (
    Fault("retraining is the answer to everything", "a broken sensor, and nobody asks why no retraining helps",
          "breaker", never_ask, "monitor", "served"),
)  # fmt: skip
