"""The products that stages declare, as files of one item."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from warptui.engine.errors import InputError
from warptui.engine.formats.array import write_array
from warptui.engine.formats.mrc import read_mrc, write_mrc
from warptui.engine.stages.base import Product


class ProductFiles:
    """Saves, loads and discards products: MRC images and arrays (.npy)."""

    def __init__(self, root: Path, item_name: str, root_name: str, device: torch.device) -> None:
        self._root, self._device = root, device
        self._item_name, self._root_name = item_name, root_name

    def path(self, product: Product) -> Path:
        """Where its file is, or would be."""
        return product.path(self._root, self._root_name)

    def save(self, product: Product, image: Tensor, pixel_size: float = 0.0) -> Path:
        """Check and write an image ``(y, x)``; ``pixel_size`` in Å/px goes into MRC headers.

        Raises
        ------
        OutputError
            If the product's check finds a fault.
        """
        array = image.detach().cpu().numpy()
        if product.check is not None:
            product.check(f"{self._item_name}: {product.name}", array)
        path = self.path(product)
        if path.suffix == ".npy":
            write_array(path, array)
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        write_mrc(path, array, pixel_size, mode="float16" if product.float16 else "float32")
        return path

    def load(self, product: Product) -> Tensor:
        """``(y, x)`` float32 of an MRC product that was saved, on the worker's device.

        Raises
        ------
        InputError
            If the file is gone.
        """
        path = self.path(product)
        try:
            array, _ = read_mrc(path)
        except FileNotFoundError as problem:
            raise InputError(
                f"{self._item_name}: its {product.name} {path} is gone; process the item again (P)"
            ) from problem
        return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)).to(self._device)

    def discard(self, product: Product) -> None:
        """Remove its file, if there is one."""
        self.path(product).unlink(missing_ok=True)
