"""Option groups of Warp's XML: the settings of a stage as Warp counts them.

Pixel sizes are unbinned, resolutions are fractions of the Nyquist frequency of the binned image,
binning is a power of two.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from warptui.engine.model.stored import StageRecord


def base_options(record: StageRecord, result: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that every option group starts with; ``result`` has the image's size."""
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


def nyquist_fraction(pixel_size: float, resolution: float | None) -> float:
    """A resolution (Å) as a fraction of Nyquist at ``pixel_size`` (Å/px); 0 where it is unknown."""
    return min(1.0, 2 * pixel_size / resolution) if resolution else 0.0
