"""What git knows: whether there is a repository, what its commands say, and files as they were committed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from .errors import InputError

#: Commits that are looked through for an earlier version.
COMMITS = 50


def git(*arguments: str, folder: Path | None = None) -> str:
    """What git prints, in `folder` or here. Raises InputError where it fails.

    `status` may not refresh the index on the way: that would fail on a full or read-only disk.
    """
    reading = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, env=reading, capture_output=True, text=True, check=False)
    except OSError as error:
        raise InputError(f"git cannot be run ({error.strerror}): install it") from error
    if done.returncode:
        raise InputError(f"git {arguments[0]} failed: {(done.stderr.splitlines() or ['no reason given'])[-1]}")
    return done.stdout.rstrip("\n")


def repository() -> bool:
    """Tell whether the working directory lies in a git repository, without asking git."""
    here = Path.cwd().resolve()
    return any((folder / ".git").exists() for folder in (here, *here.parents))


def committed(*paths: str) -> Iterator[tuple[str, ...]]:
    """The texts of `paths` in each of the last commits that changed the first of them, newest first.

    Paths are relative to the working directory, which may be any folder of the repository. Commits that lack one of
    them are passed over. Nothing outside a repository, or before its first commit. Raises InputError where git fails.
    """
    if not repository() or not git("rev-list", "-n", "1", "--all"):
        return
    for commit in git("log", "-n", str(COMMITS), "--format=%H", "--", paths[0]).split():
        try:
            yield tuple(git("show", f"{commit}:./{path}") for path in paths)
        except InputError:
            continue
