"""The true map against projections of the same particle; shell correlation against RELION's."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import scipy.fft

from warptui.engine.formats.mrc import write_mrc
from warptui.engine.simulation.density import Particle
from warptui.engine.simulation.projection import euler_matrix, project
from warptui.engine.simulation.volume import (
    resolution_angstrom,
    shell_correlation,
    soft_sphere,
    true_map,
)

PIXEL = 1.5


@pytest.fixture(scope="module")
def particle() -> Particle:
    """A few hundred atoms without symmetry."""
    rng = np.random.default_rng(4)
    xyz = rng.normal(0, 8, (300, 3)).astype(np.float32)
    xyz -= xyz.mean(axis=0)
    potential = rng.uniform(50, 200, 300).astype(np.float32)
    return Particle("cloud", xyz, potential, np.full(300, 76.0, np.float32))


def centred(image: np.ndarray, size: int) -> np.ndarray:
    """The middle of an image, its centre pixel in the middle."""
    first = image.shape[0] // 2 - size // 2
    return image[first : first + size, first : first + size]


def low_pass(image: np.ndarray, share: float = 0.8) -> np.ndarray:
    """Without what lies beyond a share of Nyquist."""
    k = np.hypot(np.fft.fftfreq(len(image))[:, None], np.fft.rfftfreq(len(image)))
    return scipy.fft.irfft2(scipy.fft.rfft2(image) * (k < share / 2), s=image.shape)


def test_the_map_seen_along_its_axes_is_what_the_projector_draws(particle: Particle) -> None:
    size = 64
    volume = true_map(particle, size, PIXEL)
    # sums along z, along y and along x are views whose axes are those of the matrices' rows
    views = {
        0: np.eye(3),
        1: np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
        2: np.array([[0, 1.0, 0], [0, 0, 1], [1, 0, 0]]),
    }
    for axis, matrix in views.items():
        expected = centred(project(particle, matrix, (0.0, 0.0), PIXEL), size)
        seen = volume.sum(axis=axis) * PIXEL
        assert np.abs(seen - expected).max() < 0.02 * np.abs(expected).max()


def test_shell_correlation_is_that_of_its_definition() -> None:
    rng = np.random.default_rng(1)
    one = rng.normal(size=(16, 16, 16))
    other = one + rng.normal(size=one.shape)
    a, b = np.fft.fftn(one), np.fft.fftn(other)
    k = np.fft.fftfreq(16, 1 / 16)
    radius = np.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + k**2)
    curve = shell_correlation(one, other)
    for shell in range(1, 8):  # full spectrum; at Nyquist half spectra count some points twice
        inside = (radius >= shell - 0.5) & (radius < shell + 0.5)
        top = (a * b.conj())[inside].real.sum()
        power = (np.abs(a[inside]) ** 2).sum() * (np.abs(b[inside]) ** 2).sum()
        assert curve[shell] == pytest.approx(top / np.sqrt(power), abs=1e-4)


@pytest.mark.parametrize("scale", [0.1, 7.0])
def test_shell_correlation_knows_no_scale_and_is_symmetric(scale: float) -> None:
    rng = np.random.default_rng(2)
    one, other = rng.normal(size=(2, 12, 12, 12))
    curve = shell_correlation(one, other)
    np.testing.assert_allclose(shell_correlation(other, scale * one), curve, atol=1e-5)
    np.testing.assert_allclose(shell_correlation(one, scale * one), 1, atol=1e-5)
    np.testing.assert_allclose(shell_correlation(one, -one)[1:], -1, atol=1e-5)


def test_resolution_is_read_between_shells() -> None:
    curve = np.array([1.0, 1.0, 0.8, 0.4, 0.2, 0.9])
    assert resolution_angstrom(curve, 100, 0.5) == pytest.approx(100 / 2.75)
    assert resolution_angstrom(curve, 100, 0.1) == pytest.approx(100 / 5)


def test_the_sphere_is_soft() -> None:
    sphere = soft_sphere(32, 8, 4)
    assert sphere[16, 16, 16] == sphere[16, 16, 24] == 1
    assert sphere[16, 16, 26] == pytest.approx(0.5, abs=1e-6)
    assert sphere[16, 16, 29] == 0


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("relion_project"), reason="RELION is not installed")
def test_relion_projects_and_compares_the_map_as_we_do(particle: Particle, tmp_path: Path) -> None:
    size, angles = 64, (35.0, 70.0, -20.0)
    volume = true_map(particle, size, PIXEL)
    write_mrc(tmp_path / "true.mrc", volume, PIXEL, mode="float32")
    noisy = volume + np.random.default_rng(3).normal(0, volume.std(), volume.shape)
    write_mrc(tmp_path / "noisy.mrc", noisy.astype(np.float32), PIXEL, mode="float32")

    def relion(*command: str) -> str:
        return subprocess.run(
            command, cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout

    said = relion(
        "relion_image_handler", "--i", "true.mrc", "--fsc", "noisy.mrc", "--angpix", "1.5"
    )
    rows = [line.split() for line in said.splitlines() if len(line.split()) == 4]
    theirs = np.array([float(row[3]) for row in rows if row[0].isdigit()])
    # RELION counts the points of the half spectrum's first column twice
    np.testing.assert_allclose(shell_correlation(volume, noisy)[: len(theirs)], theirs, atol=0.02)
    assert len(theirs) == size // 2 + 1

    rot, tilt, psi = (str(angle) for angle in angles)
    relion(
        "relion_project", "--i", "true.mrc", "--o", "seen.mrc", "--angpix", "1.5",
        "--rot", rot, "--tilt", tilt, "--psi", psi,
    )  # fmt: skip
    with mrcfile.open(tmp_path / "seen.mrc", permissive=True) as opened:
        seen = np.array(opened.data, float).squeeze()
    expected = centred(project(particle, euler_matrix(*angles), (0.0, 0.0), PIXEL), size)
    # its interpolation has no corners of the spectrum
    assert np.corrcoef(low_pass(seen).ravel(), low_pass(expected).ravel())[0, 1] > 0.995
