"""The picks of two networks on one held-out micrograph: read in a thread, drawn side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from warptui.engine.errors import WarptuiError
from warptui.engine.model.detail import PREVIEW, ItemDetail
from warptui.screens import words
from warptui.screens.link.feed import Engine
from warptui.screens.link.previews import PreviewError, read_preview
from warptui.screens.stages import average as average_view
from warptui.screens.widgets.pictures import layers
from warptui.screens.widgets.pictures.image import Picture
from warptui.screens.widgets.pictures.layers import Marks
from warptui.screens.widgets.pictures.shapes import Shape

SIGNS = (
    (Shape.CIRCLE, "right", layers.PICK),
    (Shape.CROSS, "wrong", layers.REMOVED),
    (Shape.BOX, "missed", layers.ADDED),
)
MATCHING_SHARE = 0.5  # of the diameter: a nearer pick is that particle


@dataclass(frozen=True, eq=False)
class Found:
    """The picks of one network compared with the marked particles, as fractions of the picture."""

    right: np.ndarray  # (n, 2)
    wrong: np.ndarray
    missed: np.ndarray
    f1: float | None = None  # for all held-out micrographs together


@dataclass(frozen=True, eq=False)
class Compared:
    """One held-out micrograph with the picks of the network before and after training."""

    item: str
    pixels: np.ndarray
    pixel_angstrom: float  # size of the picture
    radius: float  # radius of a particle, in widths of the picture
    before: Found
    after: Found

    def picture(self, which: str) -> Picture:
        """The picture with the picks of one network: ``before`` or ``after``."""
        found: Found = getattr(self, which)
        places = (found.right, found.wrong, found.missed)
        marks = tuple(
            Marks(there, self.radius, f"{shape.sign} {len(there):,}", shape, colour)
            for there, (shape, _, colour) in zip(places, SIGNS, strict=True)
        )
        return Picture(self.pixels, self.pixel_angstrom, marks)

    @property
    def signs(self) -> str:
        """The legend: the signs and what they mean."""
        meanings = ", ".join(f"{shape.sign} {name}" for shape, name, _ in SIGNS)
        return f"{meanings}; {Path(self.item).stem}"

    def title(self, which: str) -> str:
        """The title of the frame."""
        return f"{which}: F1 {words.number(getattr(self, which).f1, 3)}"


def matched(picks: np.ndarray, truth: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray]:
    """Match picks (n, 2) with particles ``truth`` (m, 2), nearest pairs first.

    Each counts once: two picks of one particle are one right and one wrong.
    """
    right, seen = np.zeros(len(picks), dtype=bool), np.zeros(len(truth), dtype=bool)
    if not len(picks) or not len(truth):
        return right, seen
    distances = np.linalg.norm(picks[:, None] - truth[None], axis=2)
    near = np.argwhere(distances <= limit)
    for pick, particle in near[np.argsort(distances[near[:, 0], near[:, 1]], kind="stable")]:
        if not right[pick] and not seen[particle]:
            right[pick] = seen[particle] = True
    return right, seen


def read_compared(client: Engine, name: str) -> tuple[dict[str, Any], Compared | str]:
    """Read a training's report and its pictures; a text if they are missing. Runs in a thread."""
    try:
        report = client.training_report(name)
    except (WarptuiError, KeyError, OSError) as problem:
        return {}, str(problem)
    item = str(report.get("item") or "")
    if not report:
        return report, "no pictures: nothing is known of this training"
    if not item:
        return report, "no pictures: no micrograph was held out"
    try:
        return report, compare(report, client.item(item))
    except (WarptuiError, KeyError) as problem:
        return report, f"{item}: {problem}"
    except PreviewError as problem:
        return report, str(problem)
    except (OSError, ValueError) as problem:
        return report, f"the picks on {item} cannot be read: {problem}"


def compare(report: Mapping[str, Any], detail: ItemDetail) -> Compared | str:
    """Read picks and picture, and match them; a sentence where something is missing."""
    item = str(report["item"])
    average = detail.results.get(average_view.STAGE, {})
    shape, pixel = average.get("shape_yx"), average.get("pixel_size")
    diameter = float(report.get("diameter_angstrom") or 0.0)
    if not detail.path(PREVIEW) or not shape or not pixel or not diameter:
        return f"{item}: its average is gone"
    extent = np.array(shape) * float(pixel)
    truth = _places(report["truth"])

    def judged(key: str) -> Found:
        picks = _places(report[key])
        right, seen = matched(picks, truth, MATCHING_SHARE * diameter)
        wrong, missed = picks[~right], truth[~seen]
        half, f1 = 0.5 * float(pixel), report.get(f"f1_{key}")
        return Found(
            (picks[right] + half) / extent,
            (wrong + half) / extent,
            (missed + half) / extent,
            None if f1 is None else float(f1),
        )

    pixels = read_preview(Path(detail.path(PREVIEW)))
    return Compared(
        item,
        pixels,
        float(extent.max() / max(pixels.shape)),
        0.5 * diameter / float(extent[1]),
        judged("before"),
        judged("after"),
    )


def _places(path: str) -> np.ndarray:
    table = np.load(path, allow_pickle=False)
    if table.ndim != 2 or table.shape[1] < 2:
        raise ValueError(f"{path} is no table of places: {table.shape}")
    return np.array(table[:, :2], dtype=float)
