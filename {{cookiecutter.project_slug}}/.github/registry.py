"""The registry of record where no tracking server is: MLflow's own store, kept by the release `registry` on GitHub.

    registry.py restore            bring the newest store here, as .mlflow; without one, this is the cold start. A
                                   step of a workflow gets its name, as the output `store`
    registry.py keep FILE NAME     add a store (a .tar.gz of .mlflow) as the newest; refused where NAME, which was
                                   restored (empty: none was), is no longer the newest
    registry.py release VERSION DIGEST FILE ...   release a version of the model, `model-vVERSION`, with these files

Every store is an asset of its own, named by when it was kept, so that a kill leaves the old one or the new one. With
`MLFLOW_TRACKING_URI` set that server is the registry, and nothing is done here. Asks GitHub's client as `GH_TOKEN`.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

TAG, STORE = "registry", Path(".mlflow")
#: How many stores stay: the newest, and some to go back to by hand.
KEPT = 5


def gh(path: str, *options: str, body: dict[str, Any] | None = None) -> bytes:
    """What GitHub answers. Ends the program where it refuses: no answer is not the same as nothing there."""
    address = path if path.startswith("https:") else f"repos/{os.environ['GITHUB_REPOSITORY']}/{path}"
    command = ["gh", "api", address, *options, *["--input", "-"] * (body is not None)]
    try:
        done = subprocess.run(command, input=json.dumps(body).encode(), capture_output=True, check=False)
    except FileNotFoundError:
        sys.exit("registry: gh is not installed: https://cli.github.com")
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
        sys.exit(f"registry: {path}: {said[-1]}")
    return done.stdout


def release(tag: str) -> dict[str, Any] | None:
    """The release with this tag, a draft too where we may write; None where there is none."""
    listed = gh("releases?per_page=100", "--paginate", "--jq", ".[]").decode().splitlines()
    return next((one for one in map(json.loads, listed) if one["tag_name"] == tag), None)


def opened(tag: str, name: str, text: str) -> dict[str, Any]:
    """The release with this tag, or a new one: a draft, which nobody sees before it is complete.

    Its tag is put on the branch as it is now: on a commit that was there before another change of the workflows, GitHub
    lets no workflow put one.
    """
    body = {"tag_name": tag, "target_commitish": os.environ["GITHUB_REF_NAME"], "name": name, "body": text,
            "draft": True, "prerelease": tag == TAG}  # fmt: skip
    found = release(tag) or json.loads(gh("releases", "--method", "POST", body=body))
    return dict(found)


def upload(found: dict[str, Any], path: Path, name: str) -> None:
    """Add a file to a release, in place of what arrived of it by half."""
    for half in [one for one in found["assets"] if one["name"] == name and one["state"] != "uploaded"]:
        gh(f"releases/assets/{half['id']}", "--method", "DELETE")
    address = f"{found['upload_url'].partition('{')[0]}?name={name}"
    # As a file, not through a pipe: GitHub takes nothing whose length is not told before.
    gh(address, "--method", "POST", "--header", "Content-Type: application/octet-stream", "--input", str(path))


def complete(found: dict[str, Any]) -> None:
    """Let everybody see the release."""
    if found["draft"]:
        gh(f"releases/{found['id']}", "--method", "PATCH", body={"draft": False})


def stores(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The stores of the release that arrived whole, oldest first."""
    whole = [one for one in found["assets"] if one["state"] == "uploaded" and one["name"].startswith("registry-")]
    return sorted(whole, key=lambda one: str(one["name"]))


def restore() -> None:
    """Bring the newest store here."""
    if STORE.exists():
        sys.exit(f"registry: {STORE} is here already: it would be overwritten")
    found = release(TAG)
    if found is None:
        print("registry: there is none yet: the first model that passes its gates becomes champion")
        return
    if not stores(found):
        sys.exit(f"registry: the release {TAG} has no store: put one back, or delete the release to start anew")
    newest = stores(found)[-1]
    archive = Path(f"{STORE}.tar.gz.partial")
    archive.write_bytes(gh(f"releases/assets/{newest['id']}", "--header", "Accept: application/octet-stream"))
    with tarfile.open(archive) as tar:
        tar.extractall(filter="data")
    archive.unlink()
    if output := os.environ.get("GITHUB_OUTPUT"):
        with open(output, "a", encoding="utf-8") as told:
            told.write(f"store={newest['name']}\n")
    print(f"registry: {newest['name']}")


def keep(archive: Path, instead_of: str) -> None:
    """Add a store in place of the one that was restored, then drop those that are too old."""
    newest = [str(one["name"]) for one in stores(release(TAG) or {"assets": []})][-1:]
    if newest != [instead_of] * bool(instead_of):
        sys.exit(f"registry: {instead_of or 'none'} was the newest, and {newest[0] if newest else 'none'} is: another"
                 " workflow was faster; run all jobs again")  # fmt: skip
    text = "MLflow's store with all versions of the model, written by the workflow cd: the newest asset counts."
    found = opened(TAG, "Registry of record", text)
    name = f"registry-{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S%f}.tar.gz"
    upload(found, archive, name)
    complete(found)
    for old in stores(found)[: 1 - KEPT]:
        gh(f"releases/assets/{old['id']}", "--method", "DELETE")
    print(f"registry: {name}")


def publish(version: str, digest: str, files: list[Path]) -> None:
    """Release a version of the model; what a run that was broken off has released already stays."""
    text = (f"The champion that reached production, from {os.environ['GITHUB_SHA']}: {digest}. `serve --bundle` and"
            " `batch --bundle` take what bundle.tar.gz holds.")  # fmt: skip
    tag = f"model-v{version}"
    found = opened(tag, f"Model {version}", text)
    if digest not in found["body"]:
        sys.exit(f"registry: the release {tag} is of another model, of a registry before this one: delete or rename it")
    there = {one["name"] for one in found["assets"] if one["state"] == "uploaded"}
    for path in files:
        if path.name not in there:
            upload(found, path, path.name)
    complete(found)


def main() -> int:
    """Restore, keep or release; nothing where a server is the registry."""
    parser = argparse.ArgumentParser(prog="registry.py", description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("restore")
    kept = commands.add_parser("keep")
    kept.add_argument("file", type=Path)
    kept.add_argument("instead_of", metavar="NAME")
    released = commands.add_parser("release")
    released.add_argument("version")
    released.add_argument("digest")
    released.add_argument("files", nargs="+", type=Path)
    asked = parser.parse_args()
    if asked.command == "release":
        publish(asked.version, asked.digest, asked.files)
    elif os.environ.get("MLFLOW_TRACKING_URI"):
        print("registry: the tracking server's")
    elif asked.command == "restore":
        restore()
    else:
        keep(asked.file, asked.instead_of)
    return 0


if __name__ == "__main__":
    sys.exit(main())
