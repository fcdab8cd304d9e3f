"""The CTF in Warp's XML."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from warptui.engine.formats.warp import ctf as warp_ctf
from warptui.engine.formats.warp import xml
from warptui.engine.formats.warp.ctf import WarpCtf
from warptui.engine.formats.warp.xml import Element
from warptui.engine.model.stored import StageRecord
from warptui.engine.stages.base import WarpPart
from warptui.engine.stages.warp.options import base_options, nyquist_fraction


def write(root: Element, record: StageRecord, records: Mapping[str, StageRecord]) -> None:
    """Write the options and the result; without a CTF no elements of one stay."""
    result, settings = record.result, record.settings
    optics = _optics(record)
    low, high = result.get("fit_range_angstrom") or (
        settings.get("fit_min_resolution"),
        settings.get("fit_max_resolution"),
    )
    pixel_size = float(result.get("pixel_size") or 0.0)
    motion = records.get("motion")
    motion_facts = motion.result if motion is not None else {}
    binned = {"shape_yx": motion_facts.get("shape_yx", (0, 0)), "pixel_size": pixel_size}
    xml.set_params(
        root,
        "OptionsCTF",
        {
            **base_options(record, binned),
            "Window": int(result.get("window_px") or settings.get("window_px", 512)),
            "RangeMin": nyquist_fraction(pixel_size, low),
            "RangeMax": nyquist_fraction(pixel_size, high),
            "Voltage": optics["voltage"],
            "Cs": optics["cs"],
            "Cc": 2.7,
            "Amplitude": optics["amplitude_contrast"],
            "DoPhase": bool(settings.get("fit_phase_shift", False)),
            "UseMovieSum": bool(settings.get("use_average", False)),
            "ZMin": float(settings.get("defocus_min_um", 0.0)),
            "ZMax": float(settings.get("defocus_max_um", 5.0)),
            "GridDims": list(settings.get("grid", (1, 1, 1))),
            "DosePerAngstromFrame": float(motion_facts.get("dose_per_frame") or 0.0),
        },
    )
    ctf = to_warp_ctf(result, optics)
    if ctf is None:
        warp_ctf.clear_ctf(root)
    else:
        warp_ctf.set_ctf(root, ctf)


def to_warp_ctf(result: Mapping[str, Any], optics: Mapping[str, float]) -> WarpCtf | None:
    """A result of the ctf stage in Warp's terms; None where no CTF was found."""
    if result.get("defocus_um") is None:
        return None
    pixel_size = float(result.get("pixel_size") or 0.0)
    grid = (1, 1, 1)
    nodes = tuple(map(float, result.get("grid_defocus_um") or ()))
    if result.get("grid") and len(nodes) == math.prod(result["grid"]):
        grid = tuple(result["grid"])
    else:
        nodes = ()
    # Curves are scaled by the envelope; Warp's are not, and know it at the peaks.
    frequencies = [float(k) * pixel_size for k in result.get("curve_k") or ()]
    frequencies = [x for x in frequencies if x <= 0.5 + 1e-6]
    scale = list(map(float, result.get("curve_scale") or [1.0] * len(frequencies)))
    simulated = result.get("curve_simulated") or []
    measured = [
        float(y) * factor
        for y, factor in zip(result.get("curve_measured") or (), scale, strict=False)
    ]
    at_peaks = warp_ctf.peaks(simulated[: len(frequencies)])
    return WarpCtf(
        defocus_um=float(result["defocus_um"]),
        astigmatism_um=float(result.get("astigmatism_um") or 0.0),
        astigmatism_angle_deg=float(result.get("astigmatism_angle_deg") or 0.0),
        phase_shift_deg=float(result.get("phase_shift_deg") or 0.0),
        resolution=result.get("resolution"),
        pixel_size=pixel_size,
        **optics,
        grid=grid,
        grid_defocus_um=nodes,
        grid_phase_shift_deg=tuple(map(float, result.get("grid_phase_shift_deg") or ())),
        measured=tuple(zip(frequencies, measured, strict=False)),
        background=tuple((frequencies[index], 0.0) for index in at_peaks),
        scale=tuple((frequencies[index], scale[index]) for index in at_peaks),
    )


def _optics(record: StageRecord) -> dict[str, float]:
    given = record.sections.get("optics", {})
    usual = {"voltage": 300.0, "cs": 2.7, "amplitude_contrast": 0.07}
    return {key: float(given.get(key, value)) for key, value in usual.items()}


PART = WarpPart(write)
