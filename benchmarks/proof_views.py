"""Images against projections of the true particle: 2D class averages, and single particles."""

from __future__ import annotations

from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd
import scipy.fft
import scipy.ndimage

from warptui.engine.simulation.ctf import calculate_ctf
from warptui.engine.simulation.density import Particle
from warptui.engine.simulation.projection import euler_matrix, project
from warptui.engine.simulation.settings import MovieSettings

COARSE = 4.0  # Å/px at which they are compared
RESOLUTION = 12.0  # Å
BAND = (10.0, 3.0)  # Å, of the comparison of single particles
N_VIEWS = 150
ANGLES_DEG = np.arange(0, 360, 6)


def best_fits(averages: np.ndarray, particle: Particle, pixel_size: float) -> np.ndarray:
    """Highest correlation of each class average (n, y, x) with any view, turned and shifted."""
    coarse = np.stack([_coarse(average, pixel_size) for average in averages])
    size = coarse.shape[1]
    axis = np.arange(size) - size // 2
    inside = np.hypot(axis[:, None], axis) < (particle.diameter_angstrom / 2 + 8) / COARSE
    rng = np.random.default_rng(8)
    views = []
    for _ in range(N_VIEWS):
        rot, tilt = rng.uniform(0, 360), np.degrees(np.arccos(rng.uniform(-1, 1)))
        seen = _coarse(
            project(particle, euler_matrix(rot, tilt, 0.0), (0, 0), pixel_size), pixel_size
        )
        full = np.zeros((size, size))
        n = min(size, len(seen))
        first, from_ = (size - n) // 2, (len(seen) - n) // 2
        full[first : first + n, first : first + n] = seen[from_ : from_ + n, from_ : from_ + n]
        views.append(_normal(full, inside))
    spectra = scipy.fft.rfft2(np.array(views))
    best = np.zeros(len(coarse))
    for index, average in enumerate(coarse):
        if not average.any():
            continue
        for angle in ANGLES_DEG:
            turned = scipy.ndimage.rotate(average, angle, reshape=False, order=1)
            spectrum = scipy.fft.rfft2(_normal(turned, inside))
            best[index] = max(
                best[index], scipy.fft.irfft2(spectra * spectrum.conj(), s=(size, size)).max()
            )
    return best


def _normal(image: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Mean 0 and norm 1 within the disc, 0 outside."""
    values = np.where(inside, image - image[inside].mean(), 0.0)
    return values / max(float(np.sqrt((values**2).sum())), 1e-12)


def _coarse(image: np.ndarray, pixel_size: float) -> np.ndarray:
    """At about `COARSE` Å/px and without what is finer than `RESOLUTION`; centre at n // 2."""
    n = len(image)
    kept = 2 * round(n * pixel_size / COARSE / 2)
    spectrum = scipy.fft.fftshift(scipy.fft.fft2(scipy.fft.ifftshift(image)))
    first = n // 2 - kept // 2
    spectrum = spectrum[first : first + kept, first : first + kept]
    k = (np.arange(kept) - kept // 2) / (n * pixel_size)
    spectrum = np.where(np.hypot(k[:, None], k) < 1 / RESOLUTION, spectrum, 0)
    return scipy.fft.fftshift(scipy.fft.ifft2(scipy.fft.ifftshift(spectrum))).real


def agreement(
    folder: Path,
    rows: pd.DataFrame,
    particle: Particle,
    optics: MovieSettings,
    box_px: int,
    drawn: dict[tuple[float, ...], np.ndarray],
) -> np.ndarray:
    """Correlation (n,) of each image of a list with what the true particle looks like there.

    Over `BAND`, with the orientation, the origin and the CTF of the row: the same particles in
    other images or with another CTF can be compared one by one. ``drawn`` keeps projections.
    """
    pixel_size = optics.pixel_size
    ky = np.fft.fftfreq(box_px, pixel_size)[:, None]
    kx = np.fft.rfftfreq(box_px, pixel_size)[None, :]
    k = np.hypot(ky, kx)
    band = (k >= 1 / BAND[0]) & (k <= 1 / BAND[1])
    found = np.zeros(len(rows))
    stacks: dict[str, np.ndarray] = {}
    for index, row in enumerate(rows.itertuples(index=False)):
        number, _, path = row.rlnImageName.partition("@")
        if path not in stacks:
            with mrcfile.open(folder / path, permissive=True) as opened:
                stacks = {path: np.array(opened.data, np.float32).reshape(-1, box_px, box_px)}
        image = scipy.fft.rfft2(stacks[path][int(number) - 1])
        # where the particle is in the box: the origin brings it to the middle
        image *= np.exp(-2j * np.pi * (ky * row.rlnOriginYAngst + kx * row.rlnOriginXAngst))
        angles = (row.rlnAngleRot, row.rlnAngleTilt, row.rlnAnglePsi)
        if angles not in drawn:
            drawn[angles] = _drawn(particle, angles, box_px, pixel_size)
        state = optics.model_copy(
            update={
                "astigmatism_um": (row.rlnDefocusU - row.rlnDefocusV) * 1e-4,
                "astigmatism_angle_deg": row.rlnDefocusAngle,
                "phase_shift_deg": row.rlnPhaseShift,
            }
        )
        defocus = (row.rlnDefocusU + row.rlnDefocusV) / 2
        expected = drawn[angles] * calculate_ctf(ky, kx, state, defocus)
        ours, theirs = image[band], expected[band]
        power = (np.abs(ours) ** 2).sum() * (np.abs(theirs) ** 2).sum()
        found[index] = (ours * theirs.conj()).real.sum() / np.sqrt(power)
    return found


def _drawn(
    particle: Particle, angles: tuple[float, ...], box_px: int, pixel_size: float
) -> np.ndarray:
    """Half spectrum of the projected particle in a box, without a CTF."""
    seen = project(particle, euler_matrix(*angles), (0.0, 0.0), pixel_size)
    size = min(len(seen), box_px)
    box = np.zeros((box_px, box_px), np.float32)
    to, of = (box_px - size) // 2, (len(seen) - size) // 2
    box[to : to + size, to : to + size] = seen[of : of + size, of : of + size]
    return np.asarray(scipy.fft.rfft2(box))
