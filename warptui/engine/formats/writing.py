"""How a file is put into place: written beside its path, synced, renamed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPORARY_SUFFIX = ".warptui-tmp"


def temporary(path: Path) -> Path:
    """Where the bytes of ``path`` are written before they are renamed into place."""
    name = f".{path.name}.{os.getpid()}{TEMPORARY_SUFFIX}"
    if len(os.fsencode(name)) > 255:  # no file system takes longer names
        digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:32]
        name = f".{digest}.{os.getpid()}{TEMPORARY_SUFFIX}"
    return path.with_name(name)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Have the system's refusals to write ``path``, by way of its temporary file, name it.

    A full disk is told by calls that know of no file: nobody could tell which one to make room on.
    """
    try:
        yield
    except OSError as problem:
        if problem.filename is None or str(problem.filename) == str(temporary(path)):
            problem.filename = str(path)
            del problem.filename2  # of a rename, which tells both
        raise


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file to write, which then replaces ``path``; of a failure nothing is left."""
    part = temporary(path)
    try:
        with naming(path):
            yield part
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a small text as `write_bytes` does."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write a file beside ``path``, synced, then renamed into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part, part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
