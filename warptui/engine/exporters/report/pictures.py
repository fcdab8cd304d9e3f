"""Example micrographs of the session: thumbnails as data URIs, with their values."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np

from warptui.engine.exporters.report.facts import Facts, in_words
from warptui.engine.model.item import root_name_of
from warptui.engine.model.summary import Summary
from warptui.engine.stages.base import Role
from warptui.engine.stages.movie.average import PREVIEW

SIDE_PX = 256
N_PICTURES = 4  # of the best, of typical ones, and of the worst
# Values that micrographs are ranked by, the first that is known; whether more is better.
RANKS = ((Role.RESOLUTION, False), (Role.EARLY_MOTION, False), (Role.PARTICLES, True))


def pictures(facts: Facts) -> dict[str, Any] | None:
    """Best, typical and worst micrographs by the first known value; None if no value is known."""
    picked = _picked(facts)
    if picked is None:
        return None
    ranked, groups = picked
    return {
        "label": ranked.label,
        "groups": [
            (title, [_figure(facts, number) for number in numbers]) for title, numbers in groups
        ],
    }


def _picked(facts: Facts) -> tuple[Summary, list[tuple[str, list[int]]]] | None:
    for role, more_is_better in RANKS:
        summary = facts.with_role(role)
        if summary is None:
            continue
        values = facts.items.value(summary.key)
        those = np.flatnonzero(facts.selected & np.isfinite(values))
        if not len(those):
            continue
        order = those[np.argsort(values[those], kind="stable")]
        order = order[::-1] if more_is_better else order
        if len(order) <= 3 * N_PICTURES:
            return summary, [("From best to worst", order.tolist())]
        middle = (len(order) - N_PICTURES) // 2
        return summary, [
            ("Best", order[:N_PICTURES].tolist()),
            ("Typical", order[middle : middle + N_PICTURES].tolist()),
            ("Worst", order[-N_PICTURES:].tolist()),
        ]
    return None


def _figure(facts: Facts, number: int) -> dict[str, str]:
    name = facts.items.names[number]
    shown = []
    for summary in facts.summaries:
        value = float(facts.items.value(summary.key)[number])
        if not summary.minor and value == value:
            shown.append(f"{summary.label} {in_words(value, summary)}")
    uri = data_uri(facts.project.product(PREVIEW, root_name_of(name)))
    return {"name": name, "uri": uri, "values": ", ".join(shown)}


def data_uri(path: Path, side: int = SIDE_PX) -> str:
    """The thumbnail of an item, with the first row at the bottom; "" if it has no thumbnail."""
    try:
        picture = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return ""  # not made yet, or being replaced: the page states that it is missing
    if picture.ndim != 2 or picture.dtype != np.uint8 or not picture.size:
        return ""
    return "data:image/png;base64," + base64.b64encode(png(shrunk(picture, side)[::-1])).decode()


def shrunk(picture: np.ndarray, side: int) -> np.ndarray:
    """Reduce (y, x) uint8 until the longer side is at most ``side``, by means of whole pixels."""
    factor = -(-max(picture.shape) // side)
    if factor == 1:
        return picture
    ny, nx = (n // factor for n in picture.shape)
    blocks = picture[: ny * factor, : nx * factor].reshape(ny, factor, nx, factor)
    return np.rint(blocks.mean(axis=(1, 3), dtype=np.float32)).astype(np.uint8)


def png(picture: np.ndarray) -> bytes:
    """A grey picture (y, x) uint8 as a PNG file, the first row on top."""
    return bytes(imagecodecs.png_encode(np.ascontiguousarray(picture), level=9))
