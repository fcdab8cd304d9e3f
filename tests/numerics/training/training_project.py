"""A project with tiny averages, particles that are plain blobs, and a network of one channel."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from warptui.engine.formats.boxnet_model import write_boxnet
from warptui.engine.formats.mrc import write_mrc
from warptui.engine.model.edits import Edits, Spot
from warptui.engine.nets.boxnet import BoxNet
from warptui.engine.project.edits_file import write_edits
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.simulation.scene import paint
from warptui.engine.training.example import Example

PIXEL_SIZE = 8.0
DIAMETER = 160.0
SIZE = 96


def make_blobs(seed: int, n: int = 8, size: int = SIZE) -> tuple[np.ndarray, np.ndarray]:
    """Dark blobs in noise (y, x), and their centres (n, 2) px."""
    random = np.random.default_rng(seed)
    image = random.normal(size=(size, size)).astype(np.float32)
    centres: list[np.ndarray] = []
    for _ in range(1000):
        place = random.uniform(12, size - 12, 2)
        if len(centres) < n and all(np.hypot(*(place - other)) > 24 for other in centres):
            centres.append(place)
    grid = np.ogrid[:size, :size]
    for y, x in centres:
        squared = (grid[0] - y) ** 2 + (grid[1] - x) ** 2
        image -= (2.5 * np.exp(-squared / 2 / 5**2)).astype(np.float32)
    return image, np.array(centres)


def make_example(seed: int, n: int = 8, size: int = SIZE) -> Example:
    """The same with labels."""
    image, centres = make_blobs(seed, n, size)
    none = np.zeros(image.shape, bool)
    diameters = np.full(len(centres), DIAMETER, np.float32)
    labels, certainty = paint(
        image.shape, centres, diameters, np.ones(len(centres), bool), artifact=none, doubtful=none
    )
    name = f"m{seed}.mrc"
    return Example(name, image, labels, certainty, centres.astype(np.float32), diameters, "blob")


@dataclass
class Project:
    """A project folder whose averages are there already."""

    root: Path

    @property
    def paths(self) -> ProjectPaths:
        return ProjectPaths(self.root)

    @property
    def items(self) -> dict[str, str]:
        """Names by root names."""
        return {path.stem: path.name for path in sorted(self.root.glob("m*.mrc"))}

    def add(self, seed: int, training: str = "examples", **edits: object) -> str:
        """A micrograph with all its blobs marked; its item's name."""
        image, centres = make_blobs(seed)
        name = f"m{seed}.mrc"
        write_mrc(self.root / name, image, PIXEL_SIZE)
        self.mark(seed, image, centres, training, **edits)
        return name

    def mark(
        self,
        seed: int,
        image: np.ndarray,
        centres: np.ndarray,
        training: str = "examples",
        **edits: object,
    ) -> None:
        """An average with blobs that are marked."""
        path = self.paths.average(f"m{seed}")
        path.parent.mkdir(exist_ok=True)
        write_mrc(path, 10 + image, PIXEL_SIZE)
        spots = tuple(
            Spot(y_angstrom=y * PIXEL_SIZE, x_angstrom=x * PIXEL_SIZE) for y, x in centres
        )
        given = {"added": spots, "training": training, **edits}
        self.edit(seed, Edits.model_validate(given))

    def edit(self, seed: int, edits: Edits) -> None:
        path = self.paths.edits(f"m{seed}")
        path.parent.mkdir(exist_ok=True)
        write_edits(path, edits)


def write_net(path: Path, width: int = 1) -> None:
    """A network that knows nothing yet."""
    torch.manual_seed(5)
    weights = {name: value.numpy() for name, value in BoxNet(width).state_dict().items()}
    write_boxnet(path, weights, width, {"made_at": 1})
