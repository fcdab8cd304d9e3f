"""The measurements of a training as curves. Pure.

Capital letters are the new network, small ones the network from which it started, whose scores
stay the same: they are dotted. So nothing depends on colours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from warptui.screens.widgets.plots.chart import Plot
from warptui.screens.widgets.plots.line_plot import Curve

MEASURES = ("f1", "accuracy", "precision", "recall")
NAMES = {"f1": "F1", "accuracy": "accuracy", "precision": "precision", "recall": "recall"}
COLOURS = {"H": "state-done", "E": "axis-x", "C": "axis-y"}
_CURVES = (  # key and letter of each curve
    ("held_out", "H"),
    ("new_on_new", "E"),
    ("new_on_old", "C"),
    ("held_out_old", "h"),
    ("old_on_new", "e"),
    ("old_on_old", "c"),
)
_DOTS = 40  # spacing of a dotted line


def scores_plot(metrics: Sequence[Mapping[str, Any]], measure: str) -> Plot | str:
    """One measure of both networks on all data, against the epochs."""
    epochs = _column(metrics, "epoch")
    curves = []
    for key, letter in _CURVES:
        values = np.array([_number((line.get(key) or {}).get(measure)) for line in metrics])
        if not np.isfinite(values).any():
            continue
        colour = COLOURS[letter.upper()]
        if letter.islower():
            level = values[np.isfinite(values)][-1]
            x = np.linspace(epochs[0], max(epochs[-1], epochs[0] + 1), _DOTS)
            curves.append(Curve(letter, x, np.full(_DOTS, level), colour, dotted=True))
        else:
            curves.append(Curve(letter, epochs, values, colour, dotted=_is_point(values)))
    if not curves:
        return "nothing was measured yet"
    return Plot(NAMES[measure], tuple(curves))


def loss_plot(metrics: Sequence[Mapping[str, Any]]) -> Plot | str:
    """The loss against the epochs."""
    epochs, values = _column(metrics, "epoch"), _column(metrics, "loss")
    if not np.isfinite(values).any():
        return "no loss yet"
    return Plot("", (Curve("loss", epochs, values, "plot-dots", dotted=_is_point(values)),))


def _is_point(values: np.ndarray) -> bool:
    """Whether there is one measurement only, which makes no line."""
    return np.count_nonzero(np.isfinite(values)) == 1


def _column(metrics: Sequence[Mapping[str, Any]], key: str) -> np.ndarray:
    return np.array([_number(line.get(key)) for line in metrics], dtype=float)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else np.nan
