"""Disks that cannot be written, or are full: real file systems where one can be mounted."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path


def mount(*arguments: str) -> bool:
    """Mount something, as root or by sudo; False where neither is to be had."""
    sudo = () if os.geteuid() == 0 else ("sudo", "-n")
    try:
        return subprocess.run([*sudo, *arguments], check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


@contextmanager
def read_only(folder: Path, elsewhere: Path) -> Iterator[Path]:
    """Show a folder at another place where it cannot be written; where nothing can be mounted, move and close it."""
    elsewhere.mkdir()
    try:
        if mount("mount", "--bind", str(folder), str(elsewhere)):
            assert mount("mount", "-o", "remount,ro,bind", str(elsewhere))
            folder.rename(folder.with_name("gone"))
            yield elsewhere
            return
        assert os.geteuid() != 0, "root can write everywhere, and nothing can be mounted here"
        elsewhere.rmdir()
        folder.rename(elsewhere)
        subprocess.run(["chmod", "-R", "a-w", elsewhere], check=True)
        yield elsewhere
    finally:
        mount("umount", str(elsewhere))
        subprocess.run(["chmod", "-R", "u+w", elsewhere], check=True)


@dataclass
class Disk:
    """A disk of a few megabytes below `folder`; without a mount of its own, a limit on the size of each file."""

    folder: Path
    mounted: bool

    @contextmanager
    def left(self, size: int) -> Iterator[tuple[str, ...]]:
        """Leave so many bytes free for as long as the context; what a command must begin with to meet that."""
        if not self.mounted:
            yield ("prlimit", f"--fsize={size}")
            return
        ballast, found = self.folder / "ballast", os.statvfs(self.folder)
        with suppress(OSError):  # full before the end, by someone who writes at the same time
            ballast.write_bytes(bytes(max(0, found.f_bavail * found.f_frsize - size)))
        try:
            yield ()
        finally:
            ballast.unlink()


@contextmanager
def small_disk(folder: Path, size: str = "64m") -> Iterator[Disk]:
    """A real file system of that size in `folder`, where it can be mounted."""
    folder.mkdir()
    mounted = mount("mount", "-t", "tmpfs", "-o", f"size={size},mode=777", "tmpfs", str(folder))
    try:
        yield Disk(folder, mounted)
    finally:
        mount("umount", str(folder)) if mounted else None
