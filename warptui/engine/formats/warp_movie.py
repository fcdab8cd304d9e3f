"""Results of the movie stages in Warp's terms, so that Warp, WarpTools and M go on from them.

Option groups hold the settings as Warp counts them: pixel sizes unbinned, resolutions as fractions
of the Nyquist frequency of the binned image, binning as a power of two.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from warptui.engine.formats import warp_xml
from warptui.engine.formats.warp_xml import Element, Grid
from warptui.engine.records import StageRecord, StoredItem


def set_results(root: Element, item: StoredItem) -> None:
    """Write the records of ``item`` that Warp has elements for."""
    motion = item.records.get("motion")
    if motion is not None:
        _set_motion(root, motion)
    average = item.records.get("average")
    if average is not None:
        _set_average(root, average, motion)


def _set_motion(root: Element, record: StageRecord) -> None:
    result, settings = record.result, record.settings
    if result.get("early_motion") is None:  # unknown is not written as a value
        root.attrib.pop("MeanFrameMovement", None)
    else:
        root.set("MeanFrameMovement", warp_xml.format_value(float(result["early_motion"])))
    track = [tuple(node) for node in result.get("global_yx_angstrom") or [(0.0, 0.0)]]
    width, height, depth = result.get("local_grid", (1, 1, 1))
    n_nodes = width * height * depth
    local_x = result.get("local_x_angstrom") or [0.0] * n_nodes
    local_y = result.get("local_y_angstrom") or [0.0] * n_nodes
    pixel_size = float(result.get("pixel_size") or 0.0)
    warp_xml.set_params(
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
        warp_xml.set_grid(root, name, Grid(1, 1, len(track), values))
    for nodes, name in ((local_x, "GridLocalMovementX"), (local_y, "GridLocalMovementY")):
        warp_xml.set_grid(root, name, Grid(width, height, depth, tuple(map(float, nodes))))


def _set_average(root: Element, record: StageRecord, motion: StageRecord | None) -> None:
    result, settings = record.result, record.settings
    dose, n_frames = result.get("dose"), result.get("n_frames")
    per_frame = dose / n_frames if dose and n_frames else 0.0
    if motion is not None and motion.result.get("dose_per_frame"):
        per_frame = motion.result["dose_per_frame"]
    warp_xml.set_params(
        root,
        "OptionsMovieExport",
        {
            **_base_options(record, result),
            "DoAverage": True,
            "DoStack": False,
            "DoDeconv": bool(settings.get("deconvolve", False)),
            "DoDenoise": bool(settings.get("halves", False)),
            "DeconvolutionStrength": float(settings.get("deconvolution_strength", 1.0)),
            "DeconvolutionFalloff": float(settings.get("deconvolution_falloff", 1.0)),
            "HighpassAngstrom": float(settings.get("highpass_angstrom", 300.0)),
            "StackGroupSize": 1,
            "SkipFirstN": int(settings.get("skip_first", 0)),
            "SkipLastN": int(settings.get("skip_last", 0)),
            "DosePerAngstromFrame": float(per_frame),
        },
    )


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
