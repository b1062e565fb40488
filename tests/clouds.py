"""What a cloud's `infra/` is checked with: Terraform, and checkov in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

# It clashes with libraries of these tests.
CHECKOV = "checkov==3.3.30"


def terraform(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Terraform in a folder, without colours and questions."""
    inside = os.environ | variables | {"TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "TF_CLI_ARGS": "-no-color"}
    return subprocess.run(
        ["terraform", *arguments], cwd=folder, env=inside, check=False, capture_output=True, text=True
    )


def checked(folder: Path) -> dict[str, Any]:
    """Return what checkov says of a folder's Terraform; of its Dockerfile it must say nothing."""
    command = ["uv", "tool", "run", "--quiet", "--from", CHECKOV, "checkov", "--skip-download", "--output=json"]
    done = subprocess.run([sys.executable, "-m", *command, "--directory", folder, "--framework", "terraform",
                           "dockerfile"], check=False, capture_output=True, text=True)  # fmt: skip
    assert done.stdout, done.stderr[-3000:]
    found = {one["check_type"]: one for one in json.loads(done.stdout)}
    assert found["dockerfile"]["summary"]["failed"] == 0
    assert found["dockerfile"]["summary"]["passed"] > 0
    of_terraform: dict[str, Any] = found["terraform"]
    return of_terraform
