"""Results of the movie stages in Warp's terms, so that Warp, WarpTools and M go on from them.

Option groups hold the settings as Warp counts them: pixel sizes unbinned, resolutions as fractions
of the Nyquist frequency of the binned image, binning as a power of two.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from warptui.engine.formats.warp import ctf as warp_ctf
from warptui.engine.formats.warp import xml
from warptui.engine.formats.warp.ctf import WarpCtf
from warptui.engine.formats.warp.xml import Element, Grid
from warptui.engine.model.stored import StageRecord, StoredItem


def set_results(root: Element, item: StoredItem, unchanged: Collection[str] = ()) -> None:
    """Write the records of ``item`` that Warp has elements for.

    Stages that are ``unchanged`` since they were written are left as they stand: another program
    may have refined them.
    """
    motion, ctf = item.records.get("motion"), item.records.get("ctf")
    if ctf is not None and "ctf" not in unchanged:
        _set_ctf(root, ctf, motion)
    if motion is not None and "motion" not in unchanged:
        _set_motion(root, motion)
    picking, average = item.records.get("picking"), item.records.get("average")
    if picking is not None and "picking" not in unchanged:
        _set_picking(root, picking, average)
    if average is not None and not {"average", "ctf"} <= set(unchanged):
        _set_average(root, average, motion, ctf)
    cut = item.records.get("particles")
    if cut is not None and cut.result.get("n_particles") and "particles" not in unchanged:
        _set_particles(root, cut, average)


def _set_ctf(root: Element, record: StageRecord, motion: StageRecord | None) -> None:
    result, settings = record.result, record.settings
    optics = _optics(record)
    low, high = result.get("fit_range_angstrom") or (
        settings.get("fit_min_resolution"),
        settings.get("fit_max_resolution"),
    )
    pixel_size = float(result.get("pixel_size") or 0.0)
    motion_facts = motion.result if motion is not None else {}
    binned = {"shape_yx": motion_facts.get("shape_yx", (0, 0)), "pixel_size": pixel_size}
    xml.set_params(
        root,
        "OptionsCTF",
        {
            **_base_options(record, binned),
            "Window": int(result.get("window_px") or settings.get("window_px", 512)),
            "RangeMin": _nyquist_fraction(pixel_size, low),
            "RangeMax": _nyquist_fraction(pixel_size, high),
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


def _set_motion(root: Element, record: StageRecord) -> None:
    result, settings = record.result, record.settings
    if result.get("early_motion") is None:  # unknown is not written as a value
        root.attrib.pop("MeanFrameMovement", None)
    else:
        root.set("MeanFrameMovement", xml.format_value(float(result["early_motion"])))
    track = [tuple(node) for node in result.get("global_yx_angstrom") or [(0.0, 0.0)]]
    width, height, depth = result.get("local_grid", (1, 1, 1))
    n_nodes = width * height * depth
    local_x = result.get("local_x_angstrom") or [0.0] * n_nodes
    local_y = result.get("local_y_angstrom") or [0.0] * n_nodes
    pixel_size = float(result.get("pixel_size") or 0.0)
    xml.set_params(
        root,
        "OptionsMovement",
        {
            **_base_options(record, result),
            "RangeMin": _nyquist_fraction(pixel_size, settings.get("fit_min_resolution")),
            "RangeMax": _nyquist_fraction(pixel_size, settings.get("fit_max_resolution")),
            "Bfactor": float(settings.get("b_factor", 0.0)),
            "GridDims": [width, height, len(track)],
            "DosePerAngstromFrame": float(result.get("dose_per_frame") or 0.0),
        },
    )
    for axis, name in ((1, "GridMovementX"), (0, "GridMovementY")):
        values = tuple(float(node[axis]) for node in track)
        xml.set_grid(root, name, Grid(1, 1, len(track), values))
    for nodes, name in ((local_x, "GridLocalMovementX"), (local_y, "GridLocalMovementY")):
        xml.set_grid(root, name, Grid(width, height, depth, tuple(map(float, nodes))))


def _set_average(
    root: Element, record: StageRecord, motion: StageRecord | None, ctf: StageRecord | None
) -> None:
    result, settings = record.result, record.settings
    deconvolution = ctf.sections.get("average", {}).get("deconvolution") if ctf else None
    strength, falloff, highpass = deconvolution or (1.0, 1.0, 300.0)
    dose, n_frames = result.get("dose"), result.get("n_frames")
    per_frame = dose / n_frames if dose and n_frames else 0.0
    if motion is not None and motion.result.get("dose_per_frame"):
        per_frame = motion.result["dose_per_frame"]
    xml.set_params(
        root,
        "OptionsMovieExport",
        {
            **_base_options(record, result),
            "DoAverage": True,
            "DoStack": False,
            "DoDeconv": bool(deconvolution),
            "DoDenoise": bool(settings.get("halves", False)),
            "DeconvolutionStrength": float(strength),
            "DeconvolutionFalloff": float(falloff),
            "HighpassAngstrom": float(highpass),
            "StackGroupSize": 1,
            "SkipFirstN": int(settings.get("skip_first", 0)),
            "SkipLastN": int(settings.get("skip_last", 0)),
            "DosePerAngstromFrame": float(per_frame),
        },
    )


def _set_picking(root: Element, record: StageRecord, average: StageRecord | None) -> None:
    result, settings = record.result, record.settings
    masked = result.get("mask_percent")
    root.set("MaskPercentage", xml.format_value(-1.0 if masked is None else float(masked)))
    xml.set_params(
        root,
        "OptionsBoxNet",
        {
            **_base_options(average or record, result),
            "ModelName": str(settings.get("model", "")),
            "OverwriteFiles": True,
            "PickingInvert": bool(settings.get("invert_contrast", False)),
            "ExpectedDiameter": float(settings.get("diameter_angstrom", 0.0)),
            "MinimumScore": float(settings.get("min_score", 0.0)),
            "MinimumMaskDistance": float(settings.get("min_mask_distance_angstrom", 0.0)),
            "ExportParticles": False,
            "OverrideImagePath": "",
            "OverrideStarSuffix": "",
        },
    )
    threshold = result.get("min_score", settings.get("min_score"))
    suffix = result.get("suffix") or settings.get("model", "")
    xml.set_threshold(root, str(suffix), float(threshold or 0.0))


def _set_particles(root: Element, record: StageRecord, average: StageRecord | None) -> None:
    result, settings = record.result, record.settings
    averaged = average.settings if average is not None else {}
    n_frames, dose = (average.result.get(key) if average is not None else 0 for key in _DOSE)
    xml.set_params(
        root,
        "OptionsParticlesExport",
        {
            **_base_options(average or record, average.result if average is not None else result),
            "Suffix": str(result.get("suffix", "")),
            "BoxSize": int(result.get("box_size_px", 0)),
            "BoxSizeResample": -1,
            "Diameter": float(result.get("diameter_angstrom", 0.0)),
            "Invert": bool(settings.get("invert_contrast", False)),
            "Normalize": bool(settings.get("normalize", False)),
            "CorrectAnisotropy": False,
            "PreflipPhases": bool(settings.get("phase_flip", False)),
            "Voltage": int(record.sections.get("optics", {}).get("voltage", 300)),
            "DoAverage": True,
            "DoDenoisingPairs": bool(settings.get("halves", False)),
            "DoStack": False,
            "StackGroupSize": 1,
            "SkipFirstN": int(averaged.get("skip_first", 0)),
            "SkipLastN": int(averaged.get("skip_last", 0)),
            "DosePerAngstromFrame": float(dose / n_frames) if dose and n_frames else 0.0,
        },
    )


_DOSE = ("n_frames", "dose")  # of an average's result


def _base_options(record: StageRecord, result: Mapping[str, Any]) -> dict[str, Any]:
    """What every option group of Warp starts with."""
    given = record.sections.get("input", {})
    binning = float(given.get("binning", 1.0))
    binned = float(result.get("pixel_size") or 0.0)
    height, width = result.get("shape_yx", (0, 0))
    return {
        "PixelSize": float(given.get("pixel_size") or binned / binning),
        "BinTimes": math.log2(binning),
        "EERGroupFrames": int(given.get("eer_frames_per_group", 0)),
        "GainPath": given.get("gain", ""),
        "GainHash": given.get("gain_hash", ""),
        "GainFlipX": bool(given.get("gain_flip_x", False)),
        "GainFlipY": bool(given.get("gain_flip_y", False)),
        "GainTranspose": bool(given.get("gain_transpose", False)),
        "DefectsPath": given.get("defects", ""),
        "DefectsHash": given.get("defects_hash", ""),
        "Dimensions": [width * binned, height * binned, 0.0],
    }


def _nyquist_fraction(pixel_size: float, resolution: float | None) -> float:
    return min(1.0, 2 * pixel_size / resolution) if resolution else 0.0
