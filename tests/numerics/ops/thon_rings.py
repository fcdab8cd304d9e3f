"""Images with Thon rings of a known CTF, without a specimen: fast, and true to the last digit."""

from __future__ import annotations

import math

import torch

from warptui.engine.ops.common.patches import patch_grid
from warptui.engine.ops.ctf.defocus_field import Places
from warptui.engine.ops.ctf.estimate import Estimate, Wanted, estimate_ctf
from warptui.engine.ops.ctf.polar import add_power, empty_power, make_polar_grid
from warptui.engine.ops.ctf.transfer_function import Optics, calculate_ctf_image

OPTICS = Optics(300.0, 2.7, 0.07)
PIXEL = 1.2
WANTED = Wanted(
    k_min=1 / 30,
    k_max=1 / 4,
    defocus_min=3e3,
    defocus_max=5e4,
    grid_xyt=(5, 5, 1),
    fit_phase=False,
    curve_step=1 / (256 * PIXEL),
    n_curve=128,
)


def noise(shape_yx: tuple[int, int], seed: int) -> torch.Tensor:
    """White noise."""
    return torch.randn(*shape_yx, generator=torch.Generator().manual_seed(seed))


def ringed(
    shape_yx: tuple[int, int],
    seed: int,
    *,
    signal: float = 1.0,
    slope_xy: tuple[float, float] = (0.0, 0.0),
    defocus: float = 1.2e4,
    n_levels: int = 1,
    b_factor: float = -60.0,
    shell: float | None = None,
    **ctf: float,
) -> torch.Tensor:
    """White signal under a CTF in white noise.

    With a slope (Å/Å) strips of the image that share a defocus are cut from as many images. The
    coarse part of the signal's power ripples as that of shells ``shell`` Å wide does.
    """
    y, x = torch.meshgrid(*(torch.arange(n) - (n - 1) / 2 for n in shape_yx), indexing="ij")
    z = defocus + PIXEL * (slope_xy[0] * x + slope_xy[1] * y)
    levels = torch.linspace(float(z.min()), float(z.max()), n_levels) if n_levels > 1 else z[:1, 0]
    step = float(levels[1] - levels[0]) if n_levels > 1 else 1.0
    spectrum = torch.fft.rfft2(noise(shape_yx, seed))
    if shell is not None:
        ky = torch.fft.fftfreq(shape_yx[0], PIXEL)[:, None]
        k = torch.hypot(ky, torch.fft.rfftfreq(shape_yx[1], PIXEL)[None, :])
        ripple = torch.cos(2 * math.pi * k * shell) * torch.exp(-((k / 0.1) ** 2))
        spectrum = spectrum * torch.sqrt(1 - 0.9 * ripple)
    image = torch.zeros(shape_yx)
    for level in levels.tolist():
        transfer = calculate_ctf_image(
            shape_yx, PIXEL, OPTICS, defocus=level, b_factor=b_factor, **ctf
        )
        share = (1 - (z - level).abs() / step).clamp(min=0) if n_levels > 1 else 1.0
        image += share * torch.fft.irfft2(spectrum * transfer, s=shape_yx)
    return signal * image + noise(shape_yx, seed + 1000)


def estimate(
    images: torch.Tensor | list[torch.Tensor], size: int = 256, wanted: Wanted = WANTED
) -> Estimate:
    """What is found in one image, or in one image for each time."""
    images = images if isinstance(images, list) else [images]
    device = images[0].device
    shape_yx = (images[0].shape[0], images[0].shape[1])
    patches = patch_grid(shape_yx, size, device)
    grid = make_polar_grid(size, PIXEL, device)
    count = grid.n_coefficients.clamp(min=1).to(torch.float32)
    powers, times = [], []
    for time, image in enumerate(images):
        total = empty_power(patches, grid)
        add_power(image, patches, grid, total)
        powers.append(total.polar[:, :-1].view(-1, *count.shape) / count)
        times += [(time + 0.5) / len(images)] * len(powers[-1])
    places = Places(
        (patches.centres_yx[:, 1] / (shape_yx[1] - 1)).repeat(len(images)),
        (patches.centres_yx[:, 0] / (shape_yx[0] - 1)).repeat(len(images)),
        torch.tensor(times, dtype=torch.float64),
        (shape_yx[1] * PIXEL, shape_yx[0] * PIXEL),
        patches.overlap,
    )
    return estimate_ctf(torch.cat(powers), grid, places, OPTICS, wanted)
