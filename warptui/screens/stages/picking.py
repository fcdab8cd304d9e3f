"""Picks on the item screen: picks, mask, edits by hand, and their numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from warptui.engine.model.detail import ItemDetail
from warptui.screens import words
from warptui.screens.item.picks import Field, spots
from warptui.screens.link.previews import PreviewError, read_candidates, read_preview
from warptui.screens.stages.view import Fact, LayerSwitch, Loaded, StageView
from warptui.screens.widgets.pictures import layers
from warptui.screens.widgets.pictures.layers import Layer, Marks, Mask
from warptui.screens.widgets.pictures.shapes import Shape

CANDIDATES, MASK = "candidates", "mask preview"  # names of products
PICKS = "picks"  # of the layer of picks
HASH = 8  # characters of a model's hash that are shown
TRAINING = {
    "examples": "an example to learn from",
    "held-out": "held out: to measure on",
}
_AREAS = (
    ("uncertain", Shape.DASHED, layers.UNCERTAIN),
    ("certain", Shape.DOUBLE, layers.CERTAIN),
)
_PLACES = (("added", Shape.BOX, layers.ADDED), ("removed", Shape.CROSS, layers.REMOVED))


def _read(detail: ItemDetail) -> Field | str:
    """Read candidates, mask and edits; a text where they are missing."""
    from warptui.engine.model.edits import Edits

    result, average = detail.results.get("picking", {}), detail.results.get("average", {})
    if not result or not detail.path(CANDIDATES):
        return ""
    shape, pixel = average.get("shape_yx"), average.get("pixel_size")
    settings = detail.settings.get("picking", {}).get("picking", {})
    if not shape or not pixel or "diameter_angstrom" not in settings:
        return "the picks' settings are not known: process the item again"
    mask_pixel = result.get("mask_pixel_yx") or (8.0, 8.0)
    mask, problem = None, detail.edits_problem
    try:
        candidates = read_candidates(Path(detail.path(CANDIDATES)))
        if detail.path(MASK):
            mask = read_preview(Path(detail.path(MASK)))
    except PreviewError as missing:
        return str(missing)
    try:
        edits = Edits.model_validate(detail.edits)
    except ValueError as wrong:
        edits, problem = Edits(), problem or f"the edits cannot be understood: {wrong}"
    field = Field(
        candidates,
        mask,
        (int(shape[0]), int(shape[1])),
        float(pixel),
        float(settings["diameter_angstrom"]),
        float(settings.get("min_score", 0.95)),
        float(settings.get("min_mask_distance_angstrom", 0.0)),
        edits,
        (float(mask_pixel[0]), float(mask_pixel[1])),
        problem,
    )
    _ = field.chosen  # computed here, in the thread; drawing then finds the picks ready
    return field


def field_of(loaded: Loaded | None) -> Field | str:
    """The picks of an item and its edits, or why it cannot be edited."""
    if loaded is None:
        return "the item is still being read"
    found = loaded.parts.get("picking")
    if isinstance(found, Field):
        return found.problem or found
    return found or loaded.none_of("picks")


def _marks(loaded: Loaded) -> tuple[Layer, ...]:
    """Picks and edits as marks; each kind has its own shape."""
    field = loaded.parts.get("picking")
    if not isinstance(field, Field):
        return ()
    edits, radius = field.edits, 0.5 * field.diameter / field.width
    made: list[Layer] = []
    found = field.fractions(field.automatic)
    n = len(field.chosen)
    label = f"{Shape.CIRCLE.sign} {n:,} {'pick' if n == 1 else 'picks'} ≥ {field.threshold:g}"
    made.append(Marks(found, radius, label, Shape.CIRCLE, layers.PICK))
    for kind, shape, colour in _PLACES:
        if changed := getattr(edits, kind):
            places, label = field.fractions(spots(changed)), f"{shape.sign} {len(changed)} {kind}"
            made.append(Marks(places, radius, label, shape, colour))
    for kind, shape, colour in _AREAS:
        if areas := getattr(edits, kind):
            radii = np.array([area.radius_angstrom or field.diameter / 2 for area in areas])
            places, label = field.fractions(spots(areas)), f"{shape.sign} {len(areas)} {kind}"
            made.append(Marks(places, radii / field.width, label, shape, colour))
    return tuple(made)


def _mask(loaded: Loaded) -> Layer | None:
    field = loaded.parts.get("picking")
    if not isinstance(field, Field) or field.mask is None or not field.mask.any():
        return None
    return Mask(field.mask > 0, f"/ mask {100 * float((field.mask > 0).mean()):.1f} %")


def _facts(loaded: Loaded) -> list[Fact]:
    result, field = loaded.result("picking"), loaded.parts.get("picking")
    if not result:
        return []
    if not isinstance(field, Field):
        return [("picks", field or "the candidates are gone: process the item again")]
    chosen, edits = field.chosen, field.edits
    own = f" here, {field.min_score:g} set" if edits.min_score is not None else ""
    implied = result.get("implied_diameter_angstrom")
    seen = "" if implied is None else f"{implied:.0f} Å seen, "
    model, known = str(result.get("model") or words.UNKNOWN), str(result.get("model_hash") or "")
    facts = [
        ("picks", f"{len(chosen):,} of {len(field.candidates):,} from {field.threshold:g}{own}"),
        ("mean score", words.number(_mean(chosen.scores[len(edits.added) :]), 3)),
        ("diameter", f"{seen}{field.diameter:g} Å set"),
        ("picked by", f"{Path(model).stem} {known[:HASH]}".strip()),
    ]
    if field.n_edits or field.problem or field.unsaved:
        facts.append(("edits", _edits_text(field)))
    if edits.training:
        mask = "" if edits.train_mask else ", but for its mask"
        facts.append(("training", TRAINING[edits.training] + mask))
    return facts


def _edits_text(field: Field) -> str:
    if field.problem:
        return field.problem
    edits = field.edits
    counts = ((len(getattr(edits, kind)), kind) for kind, _, _ in (*_PLACES, *_AREAS))
    text = ", ".join(f"{n} {kind}" for n, kind in counts if n) or "none"
    return f"{text}; NOT SAVED: {field.unsaved}" if field.unsaved else text


def _mean(scores: np.ndarray) -> float | None:
    return float(scores.mean()) if len(scores) else None


def _compared(result: dict[str, Any]) -> list[Fact]:
    if not result:
        return []
    implied = words.with_unit(result.get("implied_diameter_angstrom"), "Å", 0)
    return [
        ("particles", words.number(result.get("n_particles"), 0)),
        ("mean score", words.number(result.get("mean_score"), 3)),
        ("diameter", implied),
        ("masked", words.with_unit(result.get("mask_percent"), "%", 1)),
    ]


VIEW = StageView(
    "picking",
    read=_read,
    layers=(
        LayerSwitch(PICKS, "p", "picks", _marks, named=True),
        LayerSwitch("mask", "M", "mask", _mask, named=True),
    ),
    facts=_facts,
    facts_first=True,
    compared=_compared,
)
