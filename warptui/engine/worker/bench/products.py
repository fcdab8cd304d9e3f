"""Declared products of one item as files in the project folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from warptui.engine.errors import InputError
from warptui.engine.formats.array import write_array
from warptui.engine.formats.mrc import read_mrc, write_mrc
from warptui.engine.model.item import Item
from warptui.engine.stages.base import Product


class ProductFiles:
    """Saves, loads and discards the products of one item."""

    def __init__(self, project: Path, item: Item, device: torch.device) -> None:
        self._project, self._item, self._device = project, item, device

    def save(self, product: Product, image: Tensor, pixel_size: float = 0.0) -> str:
        """Check and write a product; its path relative to the project.

        MRC is float16 where product and values' range allow, else float32.

        Raises
        ------
        OutputError
            If the product's check refuses the image.
        ValueError
            If files of the product's suffix cannot be written.
        """
        array = self.checked(product, image)
        path = self._path(product)
        match path.suffix:
            case ".mrc":
                path.parent.mkdir(parents=True, exist_ok=True)
                mode = "float16" if product.float16 else "float32"
                write_mrc(path, array, pixel_size, mode=mode)
            case ".npy":
                write_array(path, array)
            case other:
                raise ValueError(f"{product.name}: products cannot be saved as {other!r}")
        return self.relative(product)

    def load(self, product: Product) -> Tensor:
        """``(y, x)`` float32 on the device: a product that `save` wrote as MRC.

        Raises
        ------
        InputError
            If the file was removed.
        """
        path = self._path(product)
        try:
            array, _ = read_mrc(path)
        except FileNotFoundError as problem:
            raise self._gone(product, path) from problem
        return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)).to(self._device)

    def discard(self, product: Product) -> None:
        """Remove the product's file if there is one."""
        self._path(product).unlink(missing_ok=True)

    def identity(self, product: Product) -> list[int]:
        """Size and time of a product that `save` wrote: another one has others.

        Raises
        ------
        InputError
            If the file was removed.
        """
        path = self._path(product)
        try:
            found = path.stat()
        except FileNotFoundError as problem:
            raise self._gone(product, path) from problem
        return [found.st_size, found.st_mtime_ns]

    def checked(self, product: Product, image: Tensor) -> np.ndarray:
        """The image in main memory. Raises OutputError if the product's check refuses it."""
        array = image.detach().cpu().numpy()
        if product.check is not None:
            product.check(f"{self._item.name}: {product.name}", array)
        return array

    def relative(self, product: Product) -> str:
        """The product's path as metadata has it."""
        return self._path(product).relative_to(self._project).as_posix()

    def _path(self, product: Product) -> Path:
        return product.path(self._project, self._item.root_name)

    def _gone(self, product: Product, path: Path) -> InputError:
        return InputError(
            f"{self._item.name}: its {product.name} {path} is gone; process the item again (P)"
        )
