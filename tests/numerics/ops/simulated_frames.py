"""Spectra of frames that obey the statistical model exactly, for the tests of the fits."""

from __future__ import annotations

from collections.abc import Callable

import torch

from warptui.engine.ops.common.fourier import frequencies_yx, shift_phases
from warptui.engine.ops.motion.rings import Rings, make_rings


def rings_of(
    shape_yx: tuple[int, int], pixel: float, n_rings: int = 24, k_max_of_nyquist: float = 0.95
) -> Rings:
    """Rings of an ordinary half spectrum."""
    ky, kx = frequencies_yx(shape_yx, (pixel, pixel))
    return make_rings(
        ky,
        kx,
        k_min=0.6 / (pixel * min(shape_yx)),
        k_max=k_max_of_nyquist / (2 * pixel),
        n_rings=n_rings,
        nyquist_column=shape_yx[1] % 2 == 0,
    )


def make_frames(
    displacement_yx: torch.Tensor,
    snr: Callable[[torch.Tensor], torch.Tensor],
    shape_yx: tuple[int, int],
    pixel: float,
    seed: int,
    *,
    noise: float = 1.0,
    amplitude: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> torch.Tensor:
    """Half spectra (patch, frame, ny, nx // 2 + 1): one random signal a patch, plus noise.

    The signal lies at ``displacement_yx`` (patch, frame, 2), Å; its power is ``snr(k)`` times
    that of the noise, and ``amplitude(k)`` (frame, ny, nx // 2 + 1) is what damage leaves.
    """
    generator = torch.Generator().manual_seed(seed)
    n_patches, n_frames = displacement_yx.shape[:2]
    ky, kx = frequencies_yx(shape_yx, (pixel, pixel))
    k = (ky[:, None] ** 2 + kx[None, :] ** 2).sqrt()
    frames = noise * torch.randn(n_patches, n_frames, *shape_yx, generator=generator)
    spectra = torch.fft.rfft2(frames)
    signal = torch.fft.rfft2(torch.randn(n_patches, *shape_yx, generator=generator))
    signal = signal * noise * snr(k).sqrt()
    left = torch.ones(n_frames, *k.shape) if amplitude is None else amplitude(k)
    phase_y, phase_x = shift_phases(ky, kx, displacement_yx)
    for frame in range(n_frames):
        moved = signal * phase_y[:, frame, :, None] * phase_x[:, frame, None, :]
        spectra[:, frame] += left[frame] * moved
    return spectra


def rms(difference: torch.Tensor) -> float:
    """RMS length of vectors (..., frame, 2) less their mean over frames."""
    centred = difference - difference.mean(-2, keepdim=True)
    return float(centred.square().sum(-1).mean().sqrt())
