"""Writes files safely: into a temporary file beside the path, synced, then renamed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPORARY_SUFFIX = ".warptui-tmp"


def temporary(path: Path) -> Path:
    """Path of the temporary file for ``path``, which is renamed into place when complete."""
    name = f".{path.name}.{os.getpid()}{TEMPORARY_SUFFIX}"
    if len(os.fsencode(name)) > 255:  # no file system takes longer names
        digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:32]
        name = f".{digest}.{os.getpid()}{TEMPORARY_SUFFIX}"
    return path.with_name(name)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Make errors in writing the temporary file name ``path``.

    The system's error for a full disk names no file, so the user could not know which disk is full.
    """
    try:
        yield
    except OSError as problem:
        if problem.filename is None or str(problem.filename) == str(temporary(path)):
            problem.filename = str(path)
            del problem.filename2  # a failed rename names both files
        raise


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file, which replaces ``path`` at the end; removed after a failure."""
    part = temporary(path)
    try:
        with naming(path):
            yield part
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a small text beside ``path``, synced, then renamed into place."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write a file beside ``path``, synced, then renamed into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part, part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
