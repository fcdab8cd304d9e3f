"""A bench whose products go nowhere: what is only tried must not replace what is stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from warptui.engine.config.settings import Config
from warptui.engine.formats.array import write_array
from warptui.engine.formats.star.picks import Candidates, model_suffix
from warptui.engine.model.edits import Chosen
from warptui.engine.model.item import Item
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.worker.bench import MovieBench, refuse_blank_product


class TrialBench(MovieBench):
    """Reads what the stored stages made, and keeps only pictures, in a folder of the trial."""

    def __init__(
        self,
        item: Item,
        project: ProjectPaths,
        config: Config,
        device: str,
        *,
        threads: int,
        on_progress: Callable[[float], None],
        folder: Path,
    ) -> None:
        super().__init__(item, project, config, device, threads=threads, on_progress=on_progress)
        self.deconvolution = []  # nobody would see it
        self.pictures: dict[str, str] = {}  # paths by product
        self._folder = folder

    def save(self, name: str, image: Tensor, pixel_size: float) -> Path:
        """Where the product would be."""
        refuse_blank_product(self.item.name, name, image.detach().cpu().numpy())
        return self._product(name)

    def discard(self, name: str) -> None:
        """What is stored stays."""

    def save_preview(self, picture: Tensor, product: str = "average") -> Path:
        """Write the picture beside those of other trials."""
        path = super().save_preview(picture, product)
        self.pictures[product] = str(path)
        return path

    def save_candidates(self, found: Candidates, key: Mapping[str, Any]) -> None:
        """The mask is a picture to show; what is stored stays."""
        self._save_array("mask", found.mask)

    def save_picks(self, model: str, chosen: Chosen, pixel_size: float, micrograph: str) -> Path:
        """Keep y and x (Å) and score of the picks to show them; where they would be."""
        self._save_array("picks", np.column_stack([chosen.positions_yx_angstrom, chosen.scores]))
        return self._project.picks(self.item.root_name, model_suffix(model))

    def save_mask(self, mask: np.ndarray) -> Path:
        """Where the mask would be."""
        return self._project.mask(self.item.root_name)

    def _save_array(self, product: str, array: np.ndarray) -> None:
        path = self._preview_path(product)
        write_array(path, array)
        self.pictures[product] = str(path)

    def _preview_path(self, product: str) -> Path:
        return self._folder / f"{product}.npy"
