"""The export of averages in Warp's XML."""

from __future__ import annotations

from collections.abc import Mapping

from warptui.engine.formats.warp import xml
from warptui.engine.formats.warp.xml import Element
from warptui.engine.model.stored import StageRecord
from warptui.engine.stages.base import WarpPart
from warptui.engine.stages.warp.options import base_options


def write(root: Element, record: StageRecord, records: Mapping[str, StageRecord]) -> None:
    """Write the options, among them those of the deconvolution, which the CTF stage makes."""
    motion, ctf = records.get("motion"), records.get("ctf")
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
            **base_options(record, result),
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


PART = WarpPart(write, reads=("ctf",))
