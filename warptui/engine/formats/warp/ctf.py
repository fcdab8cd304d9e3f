"""The CTF in Warp's XML: defocus in µm, phase shifts in units of π, curves per pixel.

Warp's model of the 1D spectrum is |CTF(k)| times ``SimulatedScale``, above a background that is
already subtracted from ``PS1D``; frequencies are in cycles per pixel of the binned image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from warptui.engine.errors import CorruptError
from warptui.engine.formats.warp import xml
from warptui.engine.formats.warp.xml import Element, Grid

ELEMENTS = (
    "PS1D",
    "SimulatedBackground",
    "SimulatedScale",
    "CTF",
    "GridCTF",
    "GridCTFDefocusDelta",
    "GridCTFDefocusAngle",
    "GridCTFPhase",
    "GridCTFDoming",
)
CURVES = {
    "PS1D": "measured",
    "SimulatedBackground": "background",
    "SimulatedScale": "scale",
}
Curve = tuple[tuple[float, float], ...]  # (cycles per pixel, value)


@dataclass(frozen=True)
class WarpCtf:
    """An item's CTF from Warp's elements, in warptui's units."""

    defocus_um: float
    astigmatism_um: float = 0.0
    astigmatism_angle_deg: float = 0.0
    phase_shift_deg: float = 0.0
    resolution: float | None = None  # Å
    pixel_size: float = 0.0  # Å/px of the binned image
    voltage: float = 300.0
    cs: float = 2.7
    amplitude_contrast: float = 0.07
    grid: tuple[int, int, int] = (1, 1, 1)  # x, y, time
    grid_defocus_um: tuple[float, ...] = ()
    grid_phase_shift_deg: tuple[float, ...] = ()
    measured: Curve = ()  # background subtracted
    background: Curve = ()
    scale: Curve = ()


def phase_in_pi(phase_shift_deg: float) -> float:
    """A phase shift in Warp's unit, π."""
    return phase_shift_deg / 180


def phase_in_degrees(phase_shift_pi: float) -> float:
    """The inverse of `phase_in_pi`."""
    return phase_shift_pi * 180


def positive_astigmatism(astigmatism_um: float, angle_deg: float) -> tuple[float, float]:
    """Astigmatism rewritten with u >= v and an angle of 0..180, as other programs expect."""
    if astigmatism_um < 0:
        astigmatism_um, angle_deg = -astigmatism_um, angle_deg + 90
    return astigmatism_um, angle_deg % 180


def set_ctf(root: Element, ctf: WarpCtf) -> None:
    """Write the elements of a CTF; parameters of other programs (beam tilt ...) stay."""
    astigmatism, angle = positive_astigmatism(ctf.astigmatism_um, ctf.astigmatism_angle_deg)
    root.set("CTFResolutionEstimate", f"{ctf.resolution or 0:.1f}".removesuffix(".0"))
    for name, field in CURVES.items():
        points = getattr(ctf, field)
        element = Element(name)
        value = xml.format_value
        element.text = ";".join(f"{value(float(x))}|{value(float(y))}" for x, y in points)
        xml.place(root, element)
    xml.set_params(
        root,
        "CTF",
        {
            "PixelSize": ctf.pixel_size,
            "PixelSizeDeltaPercent": 0.0,
            "PixelSizeAngle": 0.0,
            "Distortion": "1, 0, 0, 1",
            "Cs": ctf.cs,
            "Cc": 2.7,  # unused by every program, but expected
            "Voltage": ctf.voltage,
            "Defocus": ctf.defocus_um,
            "DefocusDelta": astigmatism,
            "DefocusAngle": angle,
            "Amplitude": ctf.amplitude_contrast,
            "Bfactor": 0.0,
            "BfactorDelta": 0.0,
            "BfactorAngle": 0.0,
            "Scale": 1.0,
            "PhaseShift": phase_in_pi(ctf.phase_shift_deg),
        },
    )
    defocus = ctf.grid_defocus_um or (ctf.defocus_um,)
    grid = ctf.grid if ctf.grid_defocus_um else (1, 1, 1)
    phases = ctf.grid_phase_shift_deg or (ctf.phase_shift_deg,)
    grids = {
        "GridCTF": Grid(*grid, tuple(defocus)),
        "GridCTFDefocusDelta": Grid(1, 1, 1, (astigmatism,)),
        "GridCTFDefocusAngle": Grid(1, 1, 1, (angle,)),
        "GridCTFPhase": Grid(1, 1, len(phases), tuple(map(phase_in_pi, phases))),
        "GridCTFDoming": Grid(1, 1, 1, (0.0,)),
    }
    for name, values in grids.items():
        xml.set_grid(root, name, values)


def clear_ctf(root: Element) -> None:
    """Remove the CTF of an earlier run, because the new run found no CTF."""
    root.set("CTFResolutionEstimate", "0")
    for name in ELEMENTS:
        for element in root.findall(name):
            root.remove(element)


def read_ctf(root: Element) -> WarpCtf | None:
    """Read the CTF of an item; None if the document has no CTF.

    Raises
    ------
    CorruptError
        If the CTF cannot be read.
    """
    params = xml.read_params(root, "CTF")
    if "Defocus" not in params:
        return None
    number = _Numbers(params)
    defocus, phase = xml.read_grid(root, "GridCTF"), xml.read_grid(root, "GridCTFPhase")
    astigmatism, angle = positive_astigmatism(
        number("DefocusDelta", 0.0), number("DefocusAngle", 0.0)
    )
    resolution = _number(root.get("CTFResolutionEstimate", "0"), "CTFResolutionEstimate")
    return WarpCtf(
        defocus_um=number("Defocus", 0.0),
        astigmatism_um=astigmatism,
        astigmatism_angle_deg=angle,
        phase_shift_deg=phase_in_degrees(number("PhaseShift", 0.0)),
        resolution=resolution or None,
        pixel_size=number("PixelSize", 0.0),
        voltage=number("Voltage", 300.0),
        cs=number("Cs", 2.7),
        amplitude_contrast=number("Amplitude", 0.07),
        grid=(defocus.width, defocus.height, defocus.depth) if defocus else (1, 1, 1),
        grid_defocus_um=defocus.values if defocus else (),
        grid_phase_shift_deg=tuple(map(phase_in_degrees, phase.values)) if phase else (),
        **{field: _read_curve(root, name) for name, field in CURVES.items()},
    )


def peaks(values: Sequence[float]) -> list[int]:
    """The maxima of a curve, which are the nodes of Warp's envelope."""
    return [
        index
        for index in range(1, len(values) - 1)
        if values[index - 1] < values[index] >= values[index + 1]
    ]


def _read_curve(root: Element, name: str) -> Curve:
    element = root.find(name)
    text = (element.text or "").strip() if element is not None else ""
    points = []
    for point in text.split(";") if text else ():
        x, separator, y = point.partition("|")
        if not separator:
            raise CorruptError(f"{name} holds {point!r}, expected x|y")
        points.append((_number(x, name), _number(y, name)))
    return tuple(points)


class _Numbers:
    """Parameters as numbers."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._params = params

    def __call__(self, name: str, default: float) -> float:
        text = self._params.get(name, "")
        return _number(text, name) if text else default


def _number(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise CorruptError(f"{name} = {text!r} is no number") from error
