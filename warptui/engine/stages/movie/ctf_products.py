"""What the ctf stage writes: its spectrum, with the model, and the deconvolved average."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

from warptui.engine.stages.base import Product, refuse_blank
from warptui.engine.stages.bench import FrameBench, HasDeconvolution
from warptui.engine.stages.movie.average import AVERAGE, DECONVOLVED

if TYPE_CHECKING:
    import torch

    from warptui.engine.ops.ctf.transfer_function import Optics
    from warptui.engine.stages.movie.average import AverageResult
    from warptui.engine.stages.movie.ctf import CtfResult

SPECTRUM = Product(
    "powerspectrum", "powerspectrum", float16=False, check=refuse_blank
)  # upper half
SPECTRUM_PICTURE = Product(
    "spectrum", "thumbnails/spectrum", ".npy", preview=True, shown=True
)  # beside its model


class CtfBench(FrameBench, HasDeconvolution, Protocol):
    """The bench of the ctf stage: frames, products, and the settings of deconvolution."""


def save_spectrum(
    bench: CtfBench, result: CtfResult, power: torch.Tensor, pixel_size: float, optics: Optics
) -> str:
    """Write powerspectrum/ and its picture; the path of the former.

    ``power`` is the mean ``(n, n // 2 + 1)`` of all patches, at any n, of unbinned frames or of
    the average, as ``pixel_size`` says.
    """
    import torch

    from warptui.engine.ops.ctf.spectrum import flattened, picture, resized, upper_half

    reach = min(1.0, pixel_size / result.pixel_size)
    flat = flattened(resized(power.to("cpu"), result.window_px, reach))
    path = bench.products.save(SPECTRUM, upper_half(flat), result.pixel_size)
    ctf = None
    if result.defocus_um is not None:
        lens = _lens(result)
        ctf = (
            lens["defocus"],
            lens["astigmatism"],
            lens["astigmatism_angle"],
            lens["phase_shift"],
        )
    envelope = torch.tensor(result.curve_scale) if result.curve_scale else None
    shown = picture(flat, result.pixel_size, optics, result.fit_range_angstrom, ctf, envelope)
    bench.products.save(SPECTRUM_PICTURE, shown)
    return path


def save_deconvolved(bench: CtfBench, result: CtfResult, optics: Optics) -> str:
    """Write deconv/; "" where none is wanted or possible, and then none stays from before."""
    from warptui.engine.ops.ctf.deconvolution import deconvolve

    average: AverageResult | Any = bench.results.get("average")
    if not bench.deconvolution or average is None or result.defocus_um is None:
        bench.products.discard(DECONVOLVED)
        return ""
    strength, falloff, highpass = bench.deconvolution
    image = deconvolve(
        bench.products.load(AVERAGE),
        average.pixel_size,
        optics,
        **_lens(result),
        strength=strength,
        falloff=falloff,
        highpass_angstrom=highpass,
    )
    return bench.products.save(DECONVOLVED, image, average.pixel_size)


def _lens(result: CtfResult) -> dict[str, float]:
    """Defocus and astigmatism in Å, angles in rad."""
    return {
        "defocus": 1e4 * (result.defocus_um or 0.0),
        "astigmatism": 1e4 * (result.astigmatism_um or 0.0),
        "astigmatism_angle": math.radians(result.astigmatism_angle_deg or 0.0),
        "phase_shift": math.radians(result.phase_shift_deg or 0.0),
    }
