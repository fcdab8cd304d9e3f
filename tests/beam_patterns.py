"""Beam shifts as acquisition makes them: a turned lattice of holes, noise, drift, many rounds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

EPU_XML = (
    '<MicroscopeImage xmlns="http://schemas.datacontract.org/2004/07/Fei.SharedObjects" '
    'xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><name>Empty</name><microscopeData>'
    '<optics><Apertures i:nil="true"/><BeamDiameter>1E-06</BeamDiameter>'
    '<BeamShift xmlns:a="http://schemas.datacontract.org/2004/07/Fei.Types">'
    "<a:_x>{x}</a:_x><a:_y>{y}</a:_y></BeamShift>"
    '<BeamTilt xmlns:a="http://schemas.datacontract.org/2004/07/Fei.Types">'
    "<a:_x>-0.002</a:_x><a:_y>0.015</a:_y></BeamTilt></optics></microscopeData></MicroscopeImage>"
)


def afis(
    side: int,
    n: int,
    noise: float,
    *,
    drift: float = 0.0,
    shots: int = 1,
    spacing: float = 0.06,
    seed: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """(n, 2) shifts on a lattice of ``side``² holes, and the number of each one's position.

    ``noise`` and ``drift`` (over the session) are in units of the spacing.
    """  # fmt: skip
    steps = np.arange(side) - side // 2
    holes = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2).astype(float)
    if shots > 1:
        turns = 2 * np.pi * np.arange(shots) / shots
        within = 0.2 * np.stack([np.cos(turns), np.sin(turns)], -1)
        holes = (holes[:, None] + within).reshape(-1, 2)
    angle = np.deg2rad(21.0)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    which = np.arange(n) % len(holes)
    there = holes[which] @ turn + np.random.default_rng(seed).normal(0, noise, (n, 2))
    return spacing * (there + drift * np.linspace(0, 1, n)[:, None]), which


def write_epu(movie: Path, x: float, y: float) -> Path:
    """EPU's XML beside a movie of this name."""
    path = movie.with_name(movie.stem.removesuffix("_fractions") + ".xml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(EPU_XML.format(x=x, y=y))
    return path
