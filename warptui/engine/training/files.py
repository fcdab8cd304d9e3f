"""Files of a training, renamed into place when complete; a full disk does not end training."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch

from warptui.engine.errors import TrainingError
from warptui.engine.formats.writing import write_bytes
from warptui.engine.nets.boxnet import BoxNet
from warptui.engine.project.filesystem import UNWRITABLE


def write_checkpoint(path: Path, state: dict[str, Any]) -> str:
    """Write a checkpoint; a failure keeps the previous one and returns the reason in words."""
    memory = io.BytesIO()
    torch.save(state, memory)
    try:
        write_bytes(path, memory.getbuffer())
    except OSError as problem:
        why = UNWRITABLE.get(problem.errno or 0, problem.strerror or str(problem))
        return f"no checkpoint could be written ({why}: {path}); training goes on without"
    return ""


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint that `write_checkpoint` wrote.

    Raises
    ------
    TrainingError
        If the checkpoint is missing or damaged.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as problem:
        raise TrainingError(
            f"{path}: the checkpoint cannot be read ({problem}); discard this training and begin "
            "another"
        ) from problem


def append_line(path: Path, record: dict[str, Any]) -> None:
    """Append a line of JSON; if the disk is full, this line is lost."""
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record, allow_nan=False) + "\n")
    except OSError as problem:
        if problem.errno not in UNWRITABLE:
            raise


def weights_of(net: BoxNet) -> dict[str, np.ndarray]:
    """A copy of a network's weights on the CPU."""
    return {name: value.detach().cpu().numpy() for name, value in net.state_dict().items()}
