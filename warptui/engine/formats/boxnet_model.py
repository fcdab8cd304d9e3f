"""BoxNet model files: weights as safetensors, with a card about data and training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from warptui.engine.errors import InputError, OutputError
from warptui.engine.formats.writing import write_bytes

SUFFIX = ".safetensors"
FORMAT = 1  # raised when the network's shape or the meaning of its output changes
_SHOWN_HASH = 12


@dataclass(frozen=True)
class BoxNetFile:
    """Weights of one network, with their card and hash."""

    weights: dict[str, np.ndarray]
    width: int
    card: dict[str, Any] = field(default_factory=dict)  # data, schedule, metrics, date
    hash: str = ""  # SHA-256 of the file's bytes


def find_model(name: str, project: Path) -> Path:
    """The path of the model in picking.model.

    ``name`` is a bundled model, a model in the project's ``models/`` folder, or a path.

    Raises
    ------
    InputError
        If there is no such model; lists the existing models.
    """
    for path in (project / "models" / f"{name}{SUFFIX}", bundled_folder() / f"{name}{SUFFIX}"):
        if path.is_file():
            return path
    path = Path(name)
    path = path if path.is_absolute() else project / path
    if path.is_file():
        return path
    known = ", ".join(model_names(project)) or "none"
    raise InputError(
        f"picking.model: no model {name!r}; expected the path of a {SUFFIX} file or one of: {known}"
    )


def model_names(project: Path) -> list[str]:
    """Names of the project's own models, then of the bundled ones."""
    own = sorted(path.stem for path in (project / "models").glob(f"*{SUFFIX}"))
    bundled = sorted(path.stem for path in bundled_folder().glob(f"*{SUFFIX}"))
    return own + [name for name in bundled if name not in own]


def bundled_folder() -> Path:
    """Folder of the models that the program includes."""
    return Path(str(resources.files("warptui.engine.nets") / "models"))


def read_boxnet(path: Path) -> BoxNetFile:
    """Read and check a model file.

    Raises
    ------
    InputError
        If the file is missing, damaged, no BoxNet model, or of an unsupported format.
    """
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise InputError(
            f"{path}: the BoxNet model cannot be read: {problem.strerror}"
        ) from problem
    try:
        weights = safetensors.numpy.load(content)
        size = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + size]).get("__metadata__", {})
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as problem:
        raise InputError(
            f"{path}: damaged, or no {SUFFIX} file ({problem}); copy it again or train it again"
        ) from problem
    if metadata.get("kind") != "BoxNet":
        raise InputError(f"{path}: holds no BoxNet model; expected one that warptui wrote")
    if metadata.get("format") != str(FORMAT):
        raise InputError(
            f"{path}: format {metadata.get('format')} of BoxNet models; this version reads "
            f"{FORMAT}. Train it again, or use the version of warptui that wrote it"
        )
    bad = [name for name, values in weights.items() if not np.isfinite(values).all()]
    if bad:
        raise InputError(f"{path}: weights that are not finite in {bad[0]}; train it again")
    return BoxNetFile(
        {name: values.astype(np.float32) for name, values in weights.items()},
        int(metadata["width"]),
        json.loads(metadata.get("card", "{}")),
        hashlib.sha256(content).hexdigest(),
    )


def write_boxnet(
    path: Path, weights: Mapping[str, np.ndarray], width: int, card: Mapping[str, Any]
) -> str:
    """Write a model in half precision, renamed into place when complete; returns its hash.

    Raises
    ------
    OutputError
        If a weight is not finite, or too large for half precision.
    """
    stored = {}
    for name, values in weights.items():
        half = np.ascontiguousarray(values, dtype=np.float16 if values.ndim > 1 else np.float32)
        if not np.isfinite(half).all():
            raise OutputError(f"{path}: weights in {name} are not finite; nothing was written")
        stored[name] = half
    metadata = {
        "kind": "BoxNet",
        "format": str(FORMAT),
        "width": str(width),
        "card": json.dumps(dict(card)),
    }
    content = safetensors.numpy.save(stored, metadata)
    write_bytes(path, content)
    return hashlib.sha256(content).hexdigest()


def hash_model(path: Path) -> str:
    """SHA-256 of a model's file, in hex.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as problem:
        raise InputError(
            f"{path}: the BoxNet model cannot be read: {problem.strerror}"
        ) from problem


def short_hash(full: str) -> str:
    """The first digits of a hash, for people to compare."""
    return full[:_SHOWN_HASH]
