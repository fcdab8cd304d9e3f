"""What lies under a path: its file system, its free space, and what its errors mean."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

# Other hosts' writes to these raise no inotify event here.
REMOTE = ("nfs", "cifs", "smb", "lustre", "gpfs", "beegfs", "fuse", "9p", "afs", "ceph", "gluster")

# The file system hiccups; the item is not to blame.
TRANSIENT = frozenset(
    {
        errno.ESTALE,
        errno.EIO,
        errno.ETIMEDOUT,
        errno.EAGAIN,
        errno.EINTR,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENOTCONN,
        errno.EREMOTEIO,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
    }
)

PROBE_BYTES = 1 << 20

# No result can be written; every item would fail alike.
UNWRITABLE = {
    errno.ENOSPC: "disk full",
    errno.EDQUOT: "quota exceeded",
    errno.EROFS: "the file system is read-only",
    errno.EFBIG: "larger than the file size limit",
}


def filesystem_type(path: Path) -> str:
    """Type of the file system that holds ``path``, such as ``ext4`` or ``nfs4``; "" = unknown."""
    try:
        table = Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
    except OSError:
        return ""
    return deepest_mount(table, path.resolve())


def deepest_mount(table: str, path: Path) -> str:
    """The type of the mount in ``table`` (of the form of mountinfo) that holds ``path``."""
    best, kind = -1, ""
    for line in table.splitlines():
        left, _, right = line.partition(" - ")
        point = Path(left.split()[4].encode().decode("unicode_escape"))  # blanks are \040
        if (path == point or point in path.parents) and len(point.parts) >= best:
            best, kind = len(point.parts), right.split()[0]
    return kind


def is_remote(kind: str) -> bool:
    """Whether other hosts may write there without our kernel's knowing."""
    return kind == "" or kind.startswith(REMOTE)


def free_bytes(path: Path) -> int | None:
    """Space left for us on the file system of ``path``; None where it cannot be asked."""
    try:
        found = os.statvfs(path)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


def problem_text(problem: OSError) -> str:
    """The file and the problem with it, in plain words."""
    text = UNWRITABLE.get(problem.errno or 0) or problem.strerror
    return f"{problem.filename}: {text}" if text and problem.filename else text or str(problem)


def problem_and_advice(problem: OSError, again: str) -> str:
    """The problem, and where the disk is full, the advice to make room and then do ``again``."""
    text = problem_text(problem)
    return f"{text}: make room, then {again}" if is_full(problem) else text


def is_full(problem: OSError) -> bool:
    """Whether room is all that lacks."""
    return problem.errno in (errno.ENOSPC, errno.EDQUOT)


def is_transient(problem: OSError) -> bool:
    """Whether trying again later may help."""
    return problem.errno in TRANSIENT or isinstance(problem, TimeoutError)


def try_writing(path: Path) -> OSError | None:
    """Write a little to ``path``, which is removed again; what hindered it, if anything did."""
    try:
        with path.open("wb") as file:
            file.write(bytes(PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as problem:
        return problem
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)
    return None
