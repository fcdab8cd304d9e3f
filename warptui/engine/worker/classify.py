"""What an error means: for the item that was processed, and for all others."""

from __future__ import annotations

from pathlib import Path

from warptui.engine.errors import Cancelled, DiskFullError, TransientError, WarptuiError
from warptui.engine.project import filesystem
from warptui.engine.worker.protocol import FailureKind

DEVICE_LOST = "CUDA error"  # after one, every call of the process fails


def loses_device(problem: Exception) -> bool:
    """Whether this process can use its device no more."""
    return DEVICE_LOST in str(problem)


def classify(problem: Exception, raw_path: Path, project: Path) -> tuple[FailureKind, str]:
    """The kind of a failure, and the sentence that the user reads."""
    text = str(problem) or type(problem).__name__
    match problem:
        case Cancelled():
            return FailureKind.CANCELLED, text
        case TransientError():
            return FailureKind.TRANSIENT, text
        case DiskFullError():
            return FailureKind.STORAGE, text
        case WarptuiError():
            return FailureKind.ITEM, text
        case MemoryError():
            return FailureKind.MEMORY, f"not enough memory: {text}"
        case OSError():
            return _classify_os_error(problem, str(raw_path), project)
    if "out of memory" in text.lower() or "can't allocate memory" in text.lower():
        return FailureKind.MEMORY, text.splitlines()[0]
    if loses_device(problem):
        return FailureKind.TRANSIENT, text.splitlines()[0]
    return FailureKind.ITEM, f"{type(problem).__name__}: {text}"


def _classify_os_error(problem: OSError, raw_path: str, project: Path) -> tuple[FailureKind, str]:
    path = str(problem.filename or "")
    text = f"{path}: {problem.strerror}" if path else str(problem)
    if problem.errno in filesystem.UNWRITABLE:
        return FailureKind.STORAGE, f"{filesystem.UNWRITABLE[problem.errno]}: {path or project}"
    if filesystem.is_transient(problem):
        return FailureKind.TRANSIENT, text
    if isinstance(problem, FileNotFoundError) and path == raw_path:
        return FailureKind.MISSING, "the raw file is gone"
    if isinstance(problem, PermissionError) and path and path != raw_path:
        return FailureKind.STORAGE, f"no permission to write {path}: change its owner or mode"
    return FailureKind.ITEM, text
