"""What a cloud's `infra/` is checked with: Terraform, checkov in an environment of its own, and a job for each role."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from acting import Ran, act
from baking import commit

# It clashes with libraries of these tests.
CHECKOV = "checkov==3.3.30"
ROLES = ("reader", "trainer", "promoter", "deployer")
#: A job for each role, with what the jobs of the workflows have around `./infra/login`.
JOB = """
  {role}:
    runs-on: ubuntu-latest
    env: {{MLFLOW_TRACKING_URI: "https://of-the-variable"}}
    steps:
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1
      - id: login
        uses: ./infra/login
        with: {{role: {role}}}
      - env: {{IN: "${{{{ steps.login.outputs.in }}}}"}}
        run: >-
          echo "in=$IN uri=$MLFLOW_TRACKING_URI v4=$MLFLOW_TRACKING_AWS_SIGV4
          images=$REGISTRY token=${{#SERVE_TOKEN}} $SERVE_TOKEN."
"""


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


def logged_in(project: Path, home: Path, **variables: str) -> Ran:
    """Let act run a job as each role, and as nothing else, in a project."""
    shutil.rmtree(project / ".github/workflows")
    (project / ".github/workflows").mkdir()
    jobs = "".join(JOB.format(role=role) for role in ROLES)
    text = f"name: try\non: workflow_dispatch\nenv: {{REGISTRY: ghcr.io}}\njobs:{jobs}"
    (project / ".github/workflows/try.yml").write_text(text, encoding="utf-8")
    commit(project, home.parent)
    return act(project, home, "workflow_dispatch", None, **variables)
