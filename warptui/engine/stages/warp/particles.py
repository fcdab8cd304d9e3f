"""The export of particles in Warp's XML."""

from __future__ import annotations

from collections.abc import Mapping

from warptui.engine.formats.warp import xml
from warptui.engine.formats.warp.xml import Element
from warptui.engine.model.stored import StageRecord
from warptui.engine.stages.base import WarpPart
from warptui.engine.stages.warp.options import base_options

_DOSE = ("n_frames", "dose")  # of an average's result


def write(root: Element, record: StageRecord, records: Mapping[str, StageRecord]) -> None:
    """Write the options; an item without particles has no options."""
    average = records.get("average")
    if not record.result.get("n_particles"):
        return
    result, settings = record.result, record.settings
    averaged = average.settings if average is not None else {}
    n_frames, dose = (average.result.get(key) if average is not None else 0 for key in _DOSE)
    xml.set_params(
        root,
        "OptionsParticlesExport",
        {
            **base_options(average or record, average.result if average is not None else result),
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


PART = WarpPart(write)
