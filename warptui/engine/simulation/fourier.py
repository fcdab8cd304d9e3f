"""Half-spectrum transforms of real images, on all cores, and the sizes that they like."""

from __future__ import annotations

import numpy as np
import scipy.fft


def forward(
    image: np.ndarray, shape_yx: tuple[int, int] | None = None, *, threads: int = -1
) -> np.ndarray:
    """(..., y, x) float32 -> (..., y, x // 2 + 1) complex64, zero-padded to ``shape_yx``."""
    return np.asarray(scipy.fft.rfft2(image, shape_yx, workers=threads))


def inverse(spectrum: np.ndarray, shape_yx: tuple[int, int], *, threads: int = -1) -> np.ndarray:
    """The inverse of `forward`; may overwrite ``spectrum``. ``threads`` -1 = all cores."""
    return np.asarray(scipy.fft.irfft2(spectrum, shape_yx, overwrite_x=True, workers=threads))


def even_fast(n: int) -> int:
    """The next even size >= n whose transforms are fast."""
    n += n % 2
    while True:
        fast = int(scipy.fft.next_fast_len(n, real=True) or n)
        if fast == n:
            return n
        n = fast + fast % 2


def frequencies(shape_yx: tuple[int, int], pixel_size: float) -> tuple[np.ndarray, np.ndarray]:
    """(ky, kx) of the half spectrum, 1/Å, shapes (ny, 1) and (1, nx // 2 + 1), float32."""
    ky = np.fft.fftfreq(shape_yx[0], pixel_size).astype(np.float32)[:, None]
    kx = np.fft.rfftfreq(shape_yx[1], pixel_size).astype(np.float32)[None, :]
    return ky, kx
