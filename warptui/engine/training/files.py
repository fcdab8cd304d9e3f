"""What a training writes: always beside the old and renamed, and a full disk ends nothing."""

from __future__ import annotations

import io
import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch

from warptui.engine.errors import TrainingError
from warptui.engine.formats.boxnet_file import read_boxnet
from warptui.engine.mounts import UNWRITABLE
from warptui.engine.nets.boxnet import BoxNet
from warptui.engine.paths import temporary


def write_checkpoint(path: Path, state: dict[str, Any]) -> str:
    """Write a state, or say in plain words why it could not be; the one before stays then."""
    memory = io.BytesIO()
    torch.save(state, memory)
    try:
        write_bytes(path, memory.getvalue())
    except OSError as problem:
        why = UNWRITABLE.get(problem.errno or 0, problem.strerror or str(problem))
        return f"no checkpoint could be written ({why}: {path}); training goes on without"
    return ""


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The state that `write_checkpoint` wrote.

    Raises
    ------
    TrainingError
        If it is absent or damaged.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as problem:
        raise TrainingError(
            f"{path}: the checkpoint cannot be read ({problem}); discard this training and begin "
            "another"
        ) from problem


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file beside ``path``, synced, then renamed into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = temporary(path)
    try:
        with scratch.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an ``.npy`` file."""
    memory = io.BytesIO()
    np.save(memory, array)
    write_bytes(path, memory.getvalue())


def append_line(path: Path, record: dict[str, Any]) -> None:
    """Add a line of JSON; a full disk costs this line."""
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record, allow_nan=False) + "\n")
    except OSError as problem:
        if problem.errno not in UNWRITABLE:
            raise


def load_net(path: Path) -> tuple[BoxNet, str]:
    """A network from a model file, and the file's hash.

    Raises
    ------
    InputError
        If the file is absent, damaged or of another version.
    """
    stored = read_boxnet(path)
    net = BoxNet(stored.width)
    weights = {name: torch.from_numpy(values) for name, values in stored.weights.items()}
    try:
        net.load_state_dict(weights)
    except RuntimeError as problem:
        raise TrainingError(
            f"{path}: its weights do not fit a BoxNet of width {stored.width}"
        ) from problem
    return net, stored.hash


def weights_of(net: BoxNet) -> dict[str, np.ndarray]:
    """A network's weights on the CPU."""
    return {name: value.detach().cpu().numpy() for name, value in net.state_dict().items()}
