"""The frames of a movie in memory, corrected when they are asked for."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from warptui.engine.ops.frames.counts import Counts
from warptui.engine.ops.frames.defects import (
    Filling,
    fill_defects,
    fill_values,
    find_defects,
    plan_filling,
)

SUM_ROWS = 64  # of the sum that stay in the cache while all frames are added to them


class Frames:
    """The frames of a movie, kept as the file's own small type; corrected one at a time.

    A quarter of the size of floats: a 3838 x 3710 x 32 movie of bytes takes 456 MB.
    """

    def __init__(self, stack: np.ndarray, gain: np.ndarray | None, device: torch.device) -> None:
        self.n_frames = len(stack)
        self.shape_yx: tuple[int, int] = (stack.shape[1], stack.shape[2])
        self._counts = stack
        self._stack = [torch.from_numpy(frame) for frame in stack]
        self._device = device
        self._gain = None if gain is None else torch.from_numpy(gain).to(device)
        self._filling: Filling | None = None
        self.n_defects = 0

    def raw(self, index: int, out: Tensor | None = None) -> Tensor:
        """``(y, x)`` float32: frame ``index`` times the gain, defects still in."""
        frame = _addable(self._stack[index]).to(self._device)
        if out is None:
            out = torch.empty(self.shape_yx, device=self._device)
        if self._gain is None:
            return out.copy_(frame)
        return torch.mul(frame, self._gain, out=out)

    def correct_defects(self, known: np.ndarray | None) -> Tensor:
        """Find dead and hot pixels in the sum of the frames; fill them and ``known`` ones.

        Returns
        -------
        Tensor
            ``(y, x)`` sum of the frames times the gain, defects still in.
        """
        total = torch.zeros(self.shape_yx, device=self._device)
        band = SUM_ROWS if self._device.type == "cpu" else len(total)
        for first in range(0, len(total), band):
            part = total[first : first + band]
            for frame in self._stack:
                part += _addable(frame[first : first + band]).to(self._device)
        if self._gain is not None:
            total *= self._gain
        bad = find_defects(total)
        if known is not None:
            bad |= torch.from_numpy(known).to(self._device)
        self.n_defects = int(bad.sum())
        if self.n_defects:
            self._filling = plan_filling(bad)
        return total

    def __getitem__(self, index: int) -> Tensor:
        """``(y, x)`` float32: frame ``index`` times the gain, defects filled."""
        return self.read(index, None)

    def read(self, index: int, out: Tensor | None) -> Tensor:
        """As ``frames[index]``, into ``out`` if given."""
        frame = self.raw(index, out)
        return frame if self._filling is None else fill_defects(frame, self._filling)

    def counts(self) -> Counts | None:
        """All frames as they are in memory, with what corrects them; None on other devices."""
        if self._device.type != "cpu" or self._counts.dtype.itemsize > 4:
            return None
        flat = self._counts.reshape(self.n_frames, -1)
        gain = None if self._gain is None else self._gain.numpy()
        # a sample will do: it fills what lies outside the image
        step = max(1, self.shape_yx[0] // 64)
        sample = self._counts[:, ::step].astype(np.float32)
        sample = sample if gain is None else sample * gain[::step]
        if not np.isfinite(sample.sum()):
            sample[~np.isfinite(sample)] = np.nan
        means = np.nanmean(sample, axis=(1, 2))
        pixels, fills = fill_values(flat, gain, self._filling, means)
        ny, nx = self.shape_yx
        rows = np.searchsorted(pixels, np.arange(ny + 1) * nx)
        return Counts(self._counts, gain, rows, pixels % nx, fills, means.astype(np.float32))


def _addable(frame: Tensor) -> Tensor:
    """Numbers of a type that torch computes with, and no larger than need be."""
    if frame.dtype.itemsize > 4 or frame.dtype == torch.uint16:
        return frame.to(torch.float32)
    return frame
