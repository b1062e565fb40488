"""Keep the infrastructure of the chosen cloud: infra/<cloud>/ becomes infra/, the others go.

Cookiecutter renders this file with Jinja before it runs it. `cruft update` runs it twice, in
temporary folders, so it touches only folders the template ships by name, and may run again.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

# Single quotes, because tojson escapes those; a formatter would turn them into double ones.
ANSWERS = json.loads(r'{{cookiecutter | tojson}}')  # fmt: skip

CLOUDS = ("local", "aws", "gcp", "azure")


def lift(infra: Path, cloud: str) -> None:
    """Copy infra/<cloud> over infra, then remove the folders of all clouds.

    Running it again changes nothing, and other files in infra stay. Exits with one sentence when
    this version of the template has no folder for the cloud.
    """
    shipped = [name for name in CLOUDS if (infra / name).is_dir()]
    if not shipped:
        return
    if cloud not in shipped:
        sys.exit(f"cloud is {cloud!r}, which has no infra folder: choose {' or '.join(shipped)}.")
    shutil.copytree(infra / cloud, infra, dirs_exist_ok=True)
    for name in shipped:
        shutil.rmtree(infra / name)


if __name__ == "__main__":
    lift(Path("infra"), ANSWERS["cloud"])
