"""A bench of which nothing is stored: a trial must not replace what is in the project."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
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
from warptui.engine.stages.base import Product
from warptui.engine.worker.bench.movie import MovieBench, open_bench
from warptui.engine.worker.bench.particle_files import particles_in
from warptui.engine.worker.bench.pick_files import PickFiles
from warptui.engine.worker.bench.products import ProductFiles


class Pictures:
    """What a trial shows: arrays in a folder of the trial."""

    def __init__(self, folder: Path) -> None:
        self.paths: dict[str, str] = {}  # by name
        self._folder = folder

    def add(self, name: str, array: np.ndarray) -> None:
        """Write an array."""
        path = self._folder / f"{name}.npy"
        write_array(path, array)
        self.paths[name] = str(path)


class TrialProducts:
    """Loads stored products; of those that a trial makes only previews are kept."""

    def __init__(self, stored: ProductFiles, pictures: Pictures) -> None:
        self._stored, self._pictures = stored, pictures
        self.load, self.identity = stored.load, stored.identity

    def save(self, product: Product, image: Tensor, pixel_size: float = 0.0) -> str:
        """Check the product, show it if it is a preview; the path that it would have."""
        array = self._stored.checked(product, image)
        if product.preview:
            self._pictures.add(product.name, array)
        return self._stored.relative(product)

    def discard(self, product: Product) -> None:
        """Stored products stay."""


class TrialPicks:
    """Reads the edits; shows mask and picks."""

    def __init__(
        self, stored: PickFiles, project: ProjectPaths, root_name: str, pictures: Pictures
    ) -> None:
        self._project, self._root_name, self._pictures = project, root_name, pictures
        self.edits, self.candidates, self.load = stored.edits, stored.candidates, stored.load

    def save_candidates(self, found: Candidates, key: Mapping[str, Any]) -> None:
        """The mask is a picture to show; stored candidates stay."""
        self._pictures.add("mask", found.mask)

    def save_mask(self, mask: np.ndarray) -> str:
        """The path that the mask would have."""
        return self._relative(self._project.mask(self._root_name))

    def save(self, model: str, chosen: Chosen, pixel_size: float, micrograph: str) -> str:
        """Show y and x (Å) and score of the picks; the path that they would have."""
        table = np.column_stack([chosen.positions_yx_angstrom, chosen.scores])
        self._pictures.add("picks", table)
        return self._relative(self._project.picks(self._root_name, model_suffix(model)))

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._project.root).as_posix()


def open_trial_bench(
    item: Item,
    project: ProjectPaths,
    config: Config,
    device: str,
    *,
    threads: int,
    on_progress: Callable[[float], None],
    folder: Path,
) -> MovieBench:
    """A bench that reads a project and writes only into ``folder``, which belongs to one trial."""
    bench = open_bench(item, project, config, device, threads=threads, on_progress=on_progress)
    pictures = Pictures(folder)
    return replace(
        bench,
        deconvolution=[],  # it would not be shown
        products=TrialProducts(ProductFiles(project.root, item, bench.device), pictures),
        picks=TrialPicks(PickFiles(project, item.root_name), project, item.root_name, pictures),
        particles=particles_in(folder, project.root, item.root_name),
        pictures=pictures.paths,
    )
