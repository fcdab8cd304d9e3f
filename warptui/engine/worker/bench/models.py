"""BoxNet models in memory: read once, and again when their file is another one."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch

from warptui.engine.errors import InputError
from warptui.engine.formats.boxnet_model import find_model, hash_model, read_boxnet
from warptui.engine.nets.boxnet import BoxNet


def load_net(path: Path) -> tuple[BoxNet, str]:
    """A network from a model's file, on the CPU, and the file's SHA-256.

    Raises
    ------
    InputError
        If the file is absent, damaged or of another version.
    """
    stored = read_boxnet(path)
    net = BoxNet(stored.width)
    try:
        net.load_state_dict({name: torch.from_numpy(x) for name, x in stored.weights.items()})
    except RuntimeError as problem:
        raise InputError(
            f"{path}: its weights do not fit a BoxNet of width {stored.width}; train it again"
        ) from problem
    return net, stored.hash


def ready_net(path: Path, device: torch.device) -> BoxNet:
    """The network of a model's file, ready to answer on ``device``; errors as `load_net`."""
    found = path.stat()
    return _ready_net(path, found.st_mtime_ns, found.st_size, device)


def net_hash(path: Path) -> str:
    """SHA-256 of a model's file."""
    found = path.stat()
    return _net_hash(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=8)
def _net_hash(path: Path, modified_ns: int, size: int) -> str:
    return hash_model(path)


@lru_cache(maxsize=2)
def _ready_net(path: Path, modified_ns: int, size: int, device: torch.device) -> BoxNet:
    net, _ = load_net(path)
    for weights in net.parameters():
        if weights.ndim == 4:  # channels last: a quarter faster on CPUs
            weights.data = weights.data.contiguous(memory_format=torch.channels_last)
    return net.to(device).eval()


class NetCache:
    """BoxNet models by name or path, on one device.

    Raises InputError if a model is absent, damaged or of another version.
    """

    def __init__(self, project: Path, device: torch.device) -> None:
        self._project, self._device = project, device

    def net(self, name: str) -> BoxNet:
        """The network that [picking] names, ready for inference."""
        return ready_net(find_model(name, self._project), self._device)

    def hash(self, name: str) -> str:
        """SHA-256 of the model's file."""
        return net_hash(find_model(name, self._project))
