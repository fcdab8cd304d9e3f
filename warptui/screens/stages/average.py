"""The average on the item screen: its preview and its dose."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from warptui.engine.model.detail import PREVIEW, ItemDetail
from warptui.engine.model.item import State
from warptui.screens import words
from warptui.screens.link.previews import PreviewError, read_preview
from warptui.screens.stages.view import Fact, Loaded, Pane, Side, StageView
from warptui.screens.widgets.pictures.image import Image, Picture

STAGE = "average"
_OF_THE_INPUT = re.compile(r"warptui\.engine\.errors\.(Input|Truncated|Corrupt|Gain)Error: ")
WORDS_SHOWN = 14  # lines of a worker's log in place of a picture
_WAITING = {
    State.WAITING: "still being written",
    State.QUEUED: "waits for its turn",
    State.RUNNING: "being processed now",
}


def _read(detail: ItemDetail) -> np.ndarray | str:
    """Read the preview; a text where it is missing."""
    row = detail.row
    if detail.path(PREVIEW):
        try:
            return read_preview(Path(detail.path(PREVIEW)))
        except PreviewError as problem:
            return str(problem)
    if row.state in (State.FAILED, State.MISSING):
        log_end = last_words(detail, WORDS_SHOWN)
        more = [] if log_end or row.state is State.MISSING else ["", "P tries again, i shows all"]
        return "\n".join([f"{row.state}: {row.reason}", *log_end, *more])
    return _WAITING.get(row.state, "no preview")


def last_words(detail: ItemDetail, n_lines: int) -> list[str]:
    """The end of the worker's log about a failed item, under a heading; empty without a log.

    Lines that only underline parts of others are left out: they mean nothing once wrapped. Nor is
    there more to say where the input is at fault: the reason of the failure is all.
    """
    text = detail.log_tail if detail.traceback in detail.log_tail else ""
    text = text or f"{detail.log_tail.rstrip()}\n{detail.traceback}"
    lines = [line for line in text.strip().split("\n") if line.strip(" ^~")]
    if not lines or _OF_THE_INPUT.match(lines[-1]):
        return []
    cut = ", its end" if len(lines) > n_lines else ""
    return ["", f"the worker's log{cut}:", *lines[-n_lines:]]


def _picture(loaded: Loaded) -> Picture | str:
    found = loaded.parts.get(STAGE)
    if not isinstance(found, np.ndarray):
        return found or loaded.problem or "no preview"
    extent = max(pixels_angstrom(loaded))
    return Picture(found, extent / max(found.shape))


def pixels_angstrom(loaded: Loaded) -> tuple[float, float]:
    """The extent (y, x) of the micrograph in Å; 0 = unknown."""
    for stage in ("average", "motion"):
        result = loaded.result(stage)
        shape, pixel = result.get("shape_yx"), result.get("pixel_size")
        if shape and all(shape) and pixel:
            return float(pixel) * shape[0], float(pixel) * shape[1]
    return 0.0, 0.0


def _facts(loaded: Loaded) -> list[Fact]:
    motion, average = loaded.result("motion"), loaded.result("average")
    pixel = average.get("pixel_size") or motion.get("pixel_size") or None
    shape = average.get("shape_yx") or motion.get("shape_yx")
    dose, per_frame = average.get("dose"), motion.get("dose_per_frame")
    used, frames = average.get("n_frames"), motion.get("n_frames")
    size = words.with_unit(pixel, "Å/px", 3)
    if shape and shape[0]:
        size = f"{shape[1]} × {shape[0]} px, {size}"
    total = words.with_unit(dose, "e/Å²", 1)
    if per_frame:
        total += f", {per_frame:.2f} per frame"
    facts = [("size", size), ("dose", total)]
    if used and frames and used != frames:
        facts.append(("in the average", f"{used} of {frames} frames"))
    return facts


VIEW = StageView(
    STAGE,
    read=_read,
    panes=(Pane("picture", "Average", Side.REAL, Image, _picture),),
    facts=_facts,
)
