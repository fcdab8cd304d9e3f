"""The picking in Warp's XML."""

from __future__ import annotations

from collections.abc import Mapping

from warptui.engine.formats.warp import xml
from warptui.engine.formats.warp.xml import Element
from warptui.engine.model.stored import StageRecord
from warptui.engine.stages.base import WarpPart
from warptui.engine.stages.warp.options import base_options


def write(root: Element, record: StageRecord, records: Mapping[str, StageRecord]) -> None:
    """Write the options, the masked area and the lowest score of the picks."""
    average = records.get("average")
    result, settings = record.result, record.settings
    masked = result.get("mask_percent")
    root.set("MaskPercentage", xml.format_value(-1.0 if masked is None else float(masked)))
    xml.set_params(
        root,
        "OptionsBoxNet",
        {
            **base_options(average or record, result),
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


PART = WarpPart(write)
