"""The motion in Warp's XML: its model as grids of shifts in Å, to apply to a frame."""

from __future__ import annotations

from collections.abc import Mapping

from warptui.engine.formats.warp import xml
from warptui.engine.formats.warp.xml import Element, Grid
from warptui.engine.model.stored import StageRecord
from warptui.engine.stages.base import WarpPart
from warptui.engine.stages.warp.options import base_options, nyquist_fraction


def write(root: Element, record: StageRecord, records: Mapping[str, StageRecord]) -> None:
    """Write the options, the grids and the mean motion."""
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
            **base_options(record, result),
            "RangeMin": nyquist_fraction(pixel_size, settings.get("fit_min_resolution")),
            "RangeMax": nyquist_fraction(pixel_size, settings.get("fit_max_resolution")),
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


PART = WarpPart(write)
