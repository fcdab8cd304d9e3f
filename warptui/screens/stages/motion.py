"""Motion on the item screen: tracks, local motion, and motion per frame."""

from __future__ import annotations

import numpy as np

from warptui.screens import words
from warptui.screens.item.motion import (
    Motion,
    local_motion,
    magnification,
    read_motion,
    speeds,
)
from warptui.screens.stages.average import pixels_angstrom
from warptui.screens.stages.view import Fact, LayerSwitch, Loaded, Pane, Side, StageView
from warptui.screens.widgets.pictures.layers import Layer, Paths, Tint
from warptui.screens.widgets.plots.chart import Chart, Plot
from warptui.screens.widgets.plots.heat_strip import Heat, HeatStrip
from warptui.screens.widgets.plots.line_plot import Curve

NO_SIGNAL = (
    "No motion was applied.\n"
    "The frames show no common signal{confidence}, so they were summed as they are, and their "
    "motion is unknown rather than zero.\n"
    "An empty hole, thick ice or a blanked beam look like this. If the picture does show "
    "particles, the frames hold too few electrons each: more dose per frame would help."
)
_INSET = 0.05  # margin for tracks that start at the edge


def _motion(loaded: Loaded) -> Motion | None:
    return loaded.parts.get("motion")


def _why_none(loaded: Loaded) -> str:
    """The text in place of missing motion; empty where there is motion to draw."""
    motion, result = _motion(loaded), loaded.result("motion")
    if motion is None:
        return loaded.none_of("motion")
    if motion.known:
        return ""
    if (result.get("n_frames") or 0) < 2:
        return "one frame: there is no motion to correct"
    confidence = result.get("confidence")
    doubt = "" if confidence is None else f" (confidence {confidence:.2f}, 0.50 is needed)"
    return NO_SIGNAL.format(confidence=doubt)


def _plot(loaded: Loaded) -> Plot | str:
    motion, why_none = _motion(loaded), _why_none(loaded)
    if motion is None or why_none:
        return why_none
    frames = np.arange(1, len(motion.path_yx) + 1)
    error = loaded.result("motion").get("shift_error")
    known = f" ± {error:.2f} Å" if error is not None else ", Å"
    return Plot(
        f"of the centre{known}, per frame",
        (
            Curve("x", frames, motion.path_yx[:, 1], "axis-x"),
            Curve("y", frames, motion.path_yx[:, 0], "axis-y"),
        ),
    )


def _heat(loaded: Loaded) -> Heat | str:
    motion, why_none = _motion(loaded), _why_none(loaded)
    if motion is None or why_none:
        return why_none
    values, labels = speeds(motion)
    high = float(np.nanmax(values)) or 1.0
    times = ("frame 2", f"frame {len(motion.path_yx)}")
    return Heat(values, labels, "Å/frame", 0.0, high, times)


def _tracks(loaded: Loaded) -> Layer | None:
    motion = _motion(loaded)
    if motion is None or not motion.known:
        return None
    extent_yx = pixels_angstrom(loaded)
    factor = magnification(motion, max(extent_yx))
    places = _INSET + (1 - 2 * _INSET) * motion.places_yx
    enlarged = motion.tracks_yx * factor / extent_yx if all(extent_yx) else 0 * motion.tracks_yx
    kind = "local" if motion.local else "global"
    return Paths(places[:, None] + enlarged, f"{kind} tracks ×{factor}")


def _map(loaded: Loaded) -> Layer | None:
    motion = _motion(loaded)
    if motion is None or not motion.local:
        return None
    values = local_motion(motion)
    low, high = float(values.min()), float(values.max())
    return Tint(values, low, high, "local motion", "Å rms")


def _facts(loaded: Loaded) -> list[Fact]:
    result, motion = loaded.result("motion"), _motion(loaded)
    if motion is None:
        return []
    if not motion.known:
        local = "none applied"
    elif not motion.local:
        local = "not used: the whole image moves as one"
    else:
        grid = " × ".join(str(n) for n in result["local_grid"])
        local = f"{grid} nodes, up to {local_motion(motion).max():.1f} Å"
    return [("frames", str(result.get("n_frames") or words.UNKNOWN)), ("local motion", local)]


VIEW = StageView(
    "motion",
    read=lambda detail: read_motion(detail.results.get("motion", {})),
    panes=(
        Pane("motion", "Motion", Side.FACTS, Chart, _plot),
        Pane("speed", "Speed, Å per frame", Side.REAL, HeatStrip, _heat, spare=True),
    ),
    layers=(
        LayerSwitch("tracks", "t", "tracks", _tracks),
        LayerSwitch("motion-map", "m", "local motion", _map, shown=False),
    ),
    facts=_facts,
)
