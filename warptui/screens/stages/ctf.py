"""The CTF on the item screen: spectrum, model, rings, defocus map, deconvolved picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from warptui.engine.model.detail import ItemDetail
from warptui.screens import words
from warptui.screens.item.deconvolution import Filter, deconvolved, lens_of
from warptui.screens.link.previews import PreviewError, read_preview
from warptui.screens.stages.average import pixels_angstrom
from warptui.screens.stages.view import Fact, LayerSwitch, Loaded, Pane, Side, StageView
from warptui.screens.widgets.pictures.image import Image, Picture
from warptui.screens.widgets.pictures.layers import Layer, Marks, Swap, Tint
from warptui.screens.widgets.pictures.spline import evaluate_natural_spline
from warptui.screens.widgets.plots.chart import Chart, Plot
from warptui.screens.widgets.plots.line_plot import Curve

# keys of the values that the overview's plots show
DEFOCUS, PHASE_SHIFT = "ctf.defocus_um", "ctf.phase_shift_deg"
MAGNITUDE, ANGLE, SIGMAS = (f"ctf.astigmatism_{field}" for field in ("um", "angle_deg", "sigma"))
SPECTRUM = "spectrum"  # a product: the picture of the spectrum beside its model
REACH = 1.1  # how far the engine's picture reaches beyond the fit
RESOLVED = 0.3  # the quality at which the resolution is taken
BEYOND = 1.6  # how far curves are shown beyond the resolution
SHOWN = (-0.3, 1.2)  # of the curves; the lowest frequencies would flatten the Thon rings
LEAST_UM = 1e-4  # nodes of defocus from which a map is drawn
NEEDED = 0.5  # least confidence at which values are shown
MODELS = {
    "grid": "local: the defocus differs from place to place",
    "plane": "a tilted plane; no finer model was supported",
    "constant": "one defocus for all; no local model was supported",
}
NO_CTF = (
    "No CTF was found{confidence}: no rings that a defocus explains.\n"
    "An empty hole, thick ice, carbon that is gone or a failed exposure look like this. If there "
    "are rings in the spectrum, widen ctf.defocus_min_um and ctf.defocus_max_um or the fit's "
    "range: T tries that on this item."
)


def _read(detail: ItemDetail) -> np.ndarray | str:
    """Read the picture of the spectrum; a text where it is missing."""
    if not detail.path(SPECTRUM):
        return ""
    try:
        return read_preview(Path(detail.path(SPECTRUM)))
    except PreviewError as problem:
        return str(problem)


def _missing(loaded: Loaded) -> str:
    """The text in place of a missing CTF; empty where there is a CTF."""
    result = loaded.result("ctf")
    if not result:
        return loaded.problem or loaded.none_of("CTF")
    if result.get("defocus_um") is not None:
        return ""
    confidence = result.get("confidence")
    doubt = "" if confidence is None else f" (confidence {confidence:.2f}, {NEEDED:.2f} is needed)"
    notes = "\n".join(str(note) for note in result.get("notes") or ())
    return NO_CTF.format(confidence=doubt) + (f"\n{notes}" if notes else "")


def _picture(loaded: Loaded) -> Picture | str:
    found = loaded.parts.get("ctf")
    if not isinstance(found, np.ndarray):
        return found or _missing(loaded) or "no picture of the spectrum"
    result = loaded.result("ctf")
    resolution, pixel = result.get("resolution"), result.get("pixel_size")
    if result.get("defocus_um") is None:
        return Picture(found)
    places, radius, caption = np.zeros((0, 2)), 0.0, "model | measured"
    if resolution and pixel:
        low_high = result.get("fit_range_angstrom") or (0.0, 2 * pixel)
        edge = min(REACH / max(low_high[1], 1e-6), 0.5 / pixel)  # 1/Å, half of the width
        caption += f", resolution {resolution:.1f} Å"
        if 1 / resolution < edge:
            places, radius = np.array([[0.5, 0.5]]), 0.5 / resolution / edge
    return Picture(found, layers=(Marks(places, radius, caption),))


def _curves(loaded: Loaded) -> Plot | str:
    """Curves, scaled by the envelope of the rings so that noise does not cover the signal."""
    why, result = _missing(loaded), loaded.result("ctf")
    k = _numbers(result, "curve_k")
    if why or len(k) < 2:
        return why or "this result holds no curves"
    low, high = result.get("fit_range_angstrom") or (np.inf, 2 * (result.get("pixel_size") or 1.0))
    resolution = result.get("resolution") or high
    shown = (k >= 0.8 / low) & (k <= min(REACH / high, BEYOND / resolution))
    scale, fit = _numbers(result, "curve_scale"), _numbers(result, "curve_simulated")
    scale = scale if len(scale) == len(k) else np.ones(len(k))
    inside = shown & (k >= 1 / low)
    if len(fit) == len(k) and inside.any():
        scale = scale / max(float(np.nanmax((fit * scale)[inside])), 1e-12)
    curves = []
    for label, y, colour in (
        ("measured", scale * _numbers(result, "curve_measured", len(k)), "plot-dots"),
        ("fit", scale * _numbers(result, "curve_simulated", len(k)), "axis-y"),
        ("quality", _numbers(result, "curve_quality", len(k)), "state-done"),
    ):
        if np.isfinite(y[shown]).any():
            curves.append(Curve(label, k[shown], np.clip(y[shown], *SHOWN), colour))
    if not curves:
        return "this result holds no curves"
    ends = np.array([k[shown][0], k[shown][-1]])
    curves.append(Curve(f"limit {RESOLVED}", ends, np.full(2, RESOLVED), "muted"))
    if ends[0] < 1 / resolution < ends[1]:
        there = np.full(2, 1 / resolution)
        curves.append(Curve(f"{resolution:.1f} Å", there, np.array([0.0, 1.0]), "plot-limit"))
    return Plot("", tuple(curves), spacings=True)


def _numbers(result: dict[str, Any], key: str, n: int | None = None) -> np.ndarray:
    """A list of a result, with NaN for unknown values; all NaN if its length is not ``n``."""
    values = np.array([np.nan if v is None else v for v in result.get(key) or ()], dtype=float)
    return values if n is None or len(values) == n else np.full(n, np.nan)


def _map(loaded: Loaded) -> Layer | None:
    result = loaded.result("ctf")
    nodes = np.asarray(result.get("grid_defocus_um") or (), dtype=float)
    n_x, n_y, n_t = (int(n) for n in result.get("grid") or (1, 1, 1))
    if result.get("defocus_um") is None or n_x * n_y < 2 or len(nodes) != n_x * n_y * n_t:
        return None
    middle = evaluate_natural_spline(nodes.reshape(n_t, n_y, n_x), 3)[1]
    if np.ptp(middle) < LEAST_UM:  # no local model was supported: one defocus for the whole image
        return None
    fine = evaluate_natural_spline(evaluate_natural_spline(middle, 33).T, 33).T
    return Tint(fine, float(fine.min()), float(fine.max()), "defocus", "µm", digits=3)


def _deconvolved(loaded: Loaded) -> Layer | None:
    picture, extent = loaded.parts.get("average"), max(pixels_angstrom(loaded))
    lens = lens_of(loaded.result("ctf"), _section(loaded, "optics"))
    if not isinstance(picture, np.ndarray) or lens is None or not extent:
        return None
    given = _section(loaded, "average").get("deconvolution")
    how = Filter(*given) if given else Filter()
    pixels = deconvolved(picture, extent / max(picture.shape), lens, how)
    return Swap(pixels, f"deconvolved, strength {how.strength:g}, fall-off {how.falloff:g}")


def _section(loaded: Loaded, name: str) -> dict[str, Any]:
    """A section of the settings with which the stage ran."""
    settings = loaded.detail.settings.get("ctf", {}) if loaded.detail is not None else {}
    return settings.get(name, {})


def _facts(loaded: Loaded) -> list[Fact]:
    result = loaded.result("ctf")
    if not result:
        return []
    low, high = result.get("fit_range_angstrom") or (None, None)
    fitted = ("CTF fitted", f"{words.number(low, 1)} to {words.with_unit(high, 'Å', 1)}")
    if result.get("defocus_um") is None:
        return [("CTF", "none: see the spectrum"), fitted]
    defocus, error = 1e4 * result["defocus_um"], result.get("defocus_error_um")
    half = 5e3 * abs(result.get("astigmatism_um") or 0.0)
    known = "" if error is None else f" ± {1e4 * error:.0f}"
    model = MODELS.get(str(result.get("model")), words.UNKNOWN)
    facts = [
        ("u, v", f"{defocus + half:.0f}, {defocus - half:.0f}{known} Å"),
        *([("u - v", f"{2 * half:.0f}{_error(result)}")] if _error(result) else []),
        ("u from x", _angle(result)),
        *([("phase", _phase(result))] if result.get("phase_shift_error_deg") is not None else []),
        ("CTF model", model),
    ]
    tilt, towards = result.get("tilt_deg"), result.get("tilt_axis_deg")
    if tilt is not None:
        where = "" if towards is None else f", defocus grows towards {towards:.0f}° from x"
        facts.append(("tilt", f"{tilt:.1f}°{where}"))
    if result.get("drift_angle_deg") is not None:
        facts.append(("rings fade", f"along {result['drift_angle_deg']:.0f}° from x: drift?"))
    score = result.get("score")
    held = "" if score is None else f", correlation {score:.2f}"
    return [*facts, (fitted[0], fitted[1] + held)]


def _error(result: dict[str, Any]) -> str:
    """The error of u - v, if known."""
    error = result.get("astigmatism_error_um")
    return "" if error is None else f" ± {1e4 * error:.0f} Å"


def _angle(result: dict[str, Any]) -> str:
    """The direction of u; unknown where the astigmatism is hardly larger than its error."""
    angle = f"{words.number(result.get('astigmatism_angle_deg'), 0)}°"
    if result.get("astigmatism_error_um") is None:
        return angle
    error = result.get("astigmatism_angle_error_deg")
    return "unknown" if error is None else f"{angle} ± {error:.0f}°"


def _phase(result: dict[str, Any]) -> str:
    """The phase shift, with its error where it was fitted."""
    shift, error = result.get("phase_shift_deg"), result.get("phase_shift_error_deg")
    if shift is None:
        return words.UNKNOWN
    return f"{shift:.0f}°" if error is None else f"{shift:.0f}° ± {error:.0f}°"


def _compared(result: dict[str, Any]) -> list[Fact]:
    if not result:
        return []
    low, high = result.get("fit_range_angstrom") or (None, None)
    error, angle = result.get("defocus_error_um"), result.get("astigmatism_angle_deg")
    shown = (
        ("defocus", "defocus_um", "µm", 3),
        ("astigmatism", "astigmatism_um", "µm", 3),
        ("angle", "astigmatism_angle_deg", "°", 0),
        ("phase", "phase_shift_deg", "°", 0),
        ("resolution", "resolution", "Å", 1),
        ("confidence", "confidence", "", 2),
        ("quality", "quality", "", 2),
        ("correlation", "score", "", 2),
    )
    facts = [(label, words.with_unit(result.get(key), unit, n)) for label, key, unit, n in shown]
    known = words.UNKNOWN if error is None else f"± {1e4 * error:.0f} Å"
    facts.insert(1, ("error", known))
    facts.insert(3, ("its error", _error(result).strip() or words.UNKNOWN))
    facts[4] = ("angle", _angle(result) if angle is not None else words.UNKNOWN)
    facts[5] = ("phase", _phase(result))
    model = str(result.get("model") or words.UNKNOWN) if angle is not None else words.UNKNOWN
    fitted = f"{words.number(low, 1)} to {words.with_unit(high, 'Å', 1)}"
    return [*facts, ("model", model), ("fitted", fitted)]


VIEW = StageView(
    "ctf",
    read=_read,
    pictures=(SPECTRUM,),
    panes=(
        Pane("spectrum", "Spectrum", Side.FOURIER, Image, _picture),
        Pane("rings", "Rings, by resolution in Å", Side.FOURIER, Chart, _curves),
    ),
    layers=(
        LayerSwitch("defocus-map", "d", "defocus map", _map, shown=False),
        LayerSwitch("deconvolved", "c", "deconvolved", _deconvolved, shown=False),
    ),
    facts=_facts,
    compared=_compared,
)
