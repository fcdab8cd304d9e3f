"""Contrast transfer, tilt, damage, ice and projections against formulas and measurements."""

from __future__ import annotations

import numpy as np
import pytest

from warptui.engine.simulation import ctf, ice
from warptui.engine.simulation.density import Particle, bundled_particle
from warptui.engine.simulation.fourier import frequencies
from warptui.engine.simulation.ice import IceNoise
from warptui.engine.simulation.movie import simulate_movie
from warptui.engine.simulation.projection import euler_matrix, project
from warptui.engine.simulation.rendering import Renderer
from warptui.engine.simulation.settings import MovieSettings
from warptui.engine.simulation.specimen import Canvas, Surface, make_surface
from warptui.engine.simulation.trajectory import smooth_basis

OPTICS = MovieSettings(
    shape_yx=(768, 768), n_frames=4, defocus_um=1.5, astigmatism_um=0.0,
    surface_roughness_angstrom=0, interface_fraction=0, drift_angstrom=0, local_angstrom=0,
    jitter_angstrom=0, ice_thickness_variation=0, detector="perfect", b_factor=0, damage="none",
)  # fmt: skip
POINT = Particle("point", np.zeros((1, 3), np.float32), np.ones(1, np.float32) * 3000,
                 np.zeros(1, np.float32), b_factor=4.0)  # fmt: skip


def radial_power(image: np.ndarray, pixel_size: float) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies (1/Å) and mean power, in rings of one Fourier pixel."""
    n = len(image)
    power = np.abs(np.fft.rfft2(image - image.mean())) ** 2
    ky, kx = frequencies(image.shape, pixel_size)
    ring = np.rint(np.hypot(ky, kx) * n * pixel_size).astype(int).ravel()
    mean = np.bincount(ring, power.ravel())[: n // 2] / np.bincount(ring)[: n // 2]
    return np.arange(n // 2) / (n * pixel_size), mean


def ctf_zeros(settings: MovieSettings, defocus_angstrom: float, up_to: float) -> np.ndarray:
    """Frequencies where sin(πλΔf k² - π/2 Cs λ³ k⁴ + asin A) crosses zero, by brute force."""
    volts = settings.voltage * 1e3
    wavelength = 12.2643 / np.sqrt(volts + 0.97845e-6 * volts**2)
    k = np.linspace(0.005, up_to, 200_000)
    chi = np.pi * wavelength * defocus_angstrom * k**2
    chi -= np.pi / 2 * settings.cs * 1e7 * wavelength**3 * k**4
    value = np.sin(chi + np.arcsin(settings.amplitude_contrast))
    return k[1:][np.sign(value[1:]) != np.sign(value[:-1])]


@pytest.mark.parametrize(("voltage", "cs", "defocus"), [(300.0, 2.7, 1.5), (200.0, 2.0, 0.9)])
def test_spectrum_of_a_movie_has_the_zeros_of_its_ctf(voltage, cs, defocus):
    settings = OPTICS.model_copy(
        update={"voltage": voltage, "cs": cs, "defocus_um": defocus, "particles_per_um2": 0.0}
    )
    total = 0
    for seed in range(4):
        frame = next(simulate_movie(settings.model_copy(update={"seed": seed})).rates())
        k, power = radial_power(frame, settings.pixel_size)
        total = total + power
    for zero in ctf_zeros(settings, defocus * 1e4, 0.2):
        near = np.abs(k - zero) < 0.008
        found = k[near][np.asarray(total)[near].argmin()]
        assert found == pytest.approx(zero, abs=0.0025)


def test_a_dense_point_is_dark_at_underfocus_and_bright_at_overfocus():
    for defocus, sign in ((1.5, -1), (-1.5, 1)):
        settings = OPTICS.model_copy(
            update={"defocus_um": defocus, "ice_noise": 0.0, "b_factor": 400.0}
        )
        movie = simulate_movie(settings.model_copy(update={"particles_per_um2": 2000.0}), POINT)
        frame = next(movie.rates())
        here = [
            frame[round(one["y"]), round(one["x"])] / frame.mean() - 1
            for one in movie.truth.record["particles"]
        ]
        assert sign * np.median(here) > 0.01


def test_astigmatism_is_largest_along_its_angle_from_x_to_y():
    settings = OPTICS.model_copy(update={"astigmatism_um": 0.4, "astigmatism_angle_deg": 30.0})
    angles = np.deg2rad([30.0, 120.0])
    k = 0.1
    values = ctf.calculate_ctf(k * np.sin(angles), k * np.cos(angles), settings, 1.5e4)
    plain = settings.model_copy(update={"astigmatism_um": 0.0})
    along, across = (
        ctf.calculate_ctf(np.array(0.0), np.array(k), plain, z) for z in (1.7e4, 1.3e4)
    )
    np.testing.assert_allclose(values, [along, across], atol=1e-5)


@pytest.mark.parametrize(("tilt", "axis"), [(40.0, 20.0), (-30.0, 0.0), (25.0, 90.0)])
def test_tilt_raises_defocus_across_its_axis(tilt, axis):
    settings = OPTICS.model_copy(update={"tilt_deg": tilt, "tilt_axis_deg": axis})
    surface = make_surface(settings, np.random.default_rng(0))
    centre = np.array([383.5])
    step = 100.0
    along = np.deg2rad(axis + 90)  # the axis itself: y at 0°
    across = np.deg2rad(axis)

    def rise(angle: float) -> float:
        moved = surface.defocus_angstrom(
            centre + step * np.cos(angle), centre + step * np.sin(angle)
        )
        return float((moved - surface.defocus_angstrom(centre, centre))[0])

    assert rise(along) == pytest.approx(0, abs=1e-6)
    assert rise(across) == pytest.approx(step * np.tan(np.deg2rad(tilt)))


@pytest.mark.shared
def test_tilt_geometry_is_that_of_the_shared_movie(shared_data):
    from warptui.engine.simulation.truth import read_truth

    record = read_truth(shared_data / "movies" / "tilt40_truth.json").record
    settings = MovieSettings(
        shape_yx=(1024, 1024), pixel_size=record["pixel_size"], defocus_um=1.8,
        tilt_deg=record["ctf"]["tilt_deg"], tilt_axis_deg=record["ctf"]["tilt_axis_deg"],
        surface_roughness_angstrom=0,
    )  # fmt: skip
    nodes = record["ctf"]["surface"]
    y, x = np.meshgrid(nodes["ys"], nodes["xs"], indexing="ij")
    ours = make_surface(settings, np.random.default_rng(0)).defocus_angstrom(x, y)
    np.testing.assert_allclose(ours, nodes["defocus"], atol=3)


@pytest.mark.slow
def test_tilted_ice_has_its_local_ctf():
    settings = OPTICS.model_copy(
        update={"shape_yx": (1024, 1024), "tilt_deg": 55.0, "defocus_um": 1.5, "voltage": 200.0,
                "pixel_size": 2.0}
    )  # fmt: skip
    canvas = Canvas.around(settings.shape_yx, 8)
    surface = make_surface(settings, np.random.default_rng(0))
    noise = IceNoise(settings, canvas, surface, np.random.default_rng(1))
    size, margin = 256, canvas.margin
    ky, kx = frequencies((size, size), settings.pixel_size)
    for x in (384, 640):
        total = np.zeros((size, size // 2 + 1))
        for _ in range(6):
            image = np.fft.irfft2(noise.draw(), canvas.shape_yx)
            for y in range(0, 1024 - size + 1, 128):
                patch = image[margin + y : margin + y + size,
                              margin + x - size // 2 : margin + x + size // 2]  # fmt: skip
                total += (
                    np.abs(np.fft.rfft2(patch * np.hanning(size)[:, None] * np.hanning(size))) ** 2
                )
        band = (np.hypot(ky, kx) > 0.02) & (np.hypot(ky, kx) < 0.09)
        candidates = np.arange(5000, 25000, 100.0)
        scores = [
            np.corrcoef(ctf.calculate_ctf(ky, kx, settings, z)[band] ** 2, total[band])[0, 1]
            for z in candidates
        ]
        best = candidates[int(np.argmax(scores))]
        expected = surface.defocus_angstrom(np.array(x), np.array(511.5))
        assert best == pytest.approx(float(expected), abs=300)


@pytest.mark.parametrize("law", ["critical", "gaussian", "stretched", "none"])
def test_damage_grows_with_dose_and_frequency(law):
    k = np.linspace(0.01, 0.5, 50)
    early, late = (ctf.damage(k, dose, law, 300.0) for dose in (1.0, 40.0))
    assert (early <= 1).all()
    if law == "none":
        assert (late == 1).all()
    else:
        assert (late < early).all()
        assert (np.diff(late) < 0).all()


def test_critical_dose_at_three_angstrom_is_the_published_one():
    assert ctf.critical_dose(np.array([1 / 3]), 300.0)[0] == pytest.approx(4.34, abs=0.02)
    assert ctf.critical_dose(np.array([1 / 3]), 200.0)[0] == pytest.approx(4.34 * 0.8, abs=0.02)


def test_frames_lose_signal_as_the_damage_law_says():
    settings = OPTICS.model_copy(
        update={"damage": "critical", "dose_per_frame": 8.0, "ice_noise": 0.0,
                "particles_per_um2": 4000.0, "min_distance_diameters": 0.2}
    )  # fmt: skip
    frames = list(simulate_movie(settings).rates())
    k, first = radial_power(frames[0], 1.0)
    _, last = radial_power(frames[3], 1.0)
    for at in (0.03, 0.06, 0.1, 0.15):
        ring = np.abs(k - at) < 0.004
        measured = np.sqrt(last[ring].sum() / first[ring].sum())
        expected = np.exp(-24.0 / (2 * (0.24499 * at**-1.6649 + 2.8141)))
        assert measured == pytest.approx(expected, rel=0.05)


def test_ice_moves_more_at_high_frequencies():
    settings = OPTICS.model_copy(update={"dose_per_frame": 1.0, "particles_per_um2": 0.0})
    frames = [frame - frame.mean() for frame in simulate_movie(settings).rates()]
    first, third = (np.fft.rfft2(frames[index]) for index in (0, 2))
    ky, kx = frequencies(settings.shape_yx, 1.0)
    k = np.hypot(ky, kx)
    for at in (0.05, 0.15, 0.27):
        ring = np.abs(k - at) < 0.01
        kept = (third[ring] * first[ring].conj()).real.sum() / (np.abs(first[ring]) ** 2).sum()
        expected = np.exp(-2 * np.pi**2 * at**2 * settings.ice_mobility * 2.0)
        assert kept == pytest.approx(expected, abs=0.03)


def test_ice_power_is_that_of_its_molecules():
    settings = OPTICS.model_copy(update={"particles_per_um2": 0.0})
    frame = next(simulate_movie(settings).rates())
    k, power = radial_power(frame / frame.mean(), 1.0)
    ring = np.abs(k - 0.15) < 0.02
    expected = ice.amplitude(k, settings) ** 2 * np.mean(
        ctf.calculate_ctf(np.zeros(1), np.linspace(0.13, 0.17, 999), settings, 1.5e4) ** 2
    )
    assert power[ring].mean() / 768**2 == pytest.approx(expected[ring].mean(), rel=0.1)


def test_projection_holds_the_potential_and_puts_points_where_the_matrix_says():
    particle = Particle("one", np.array([[30.0, -12.0, 7.0]], np.float32),
                        np.array([100.0], np.float32), np.array([40.0], np.float32), b_factor=200.0,
                        solvent_b_factor=200.0)  # fmt: skip
    matrix = euler_matrix(20, 70, -40)
    image = project(particle, matrix, (0.3, -0.2), 1.5)
    assert image.sum() * 1.5**2 == pytest.approx(60.0, rel=1e-3)
    n = len(image)
    y, x = np.mgrid[:n, :n] - n // 2
    seen = matrix @ [30.0, -12.0, 7.0] / 1.5
    assert (image * x).sum() / image.sum() == pytest.approx(seen[0] - 0.2, abs=0.02)
    assert (image * y).sum() / image.sum() == pytest.approx(seen[1] + 0.3, abs=0.02)


def test_bundled_particles_have_their_mass_and_symmetry():
    apoferritin = bundled_particle("apoferritin")
    assert apoferritin.mass_kda == pytest.approx(480, rel=0.08)
    assert bundled_particle("hsp").mass_kda == pytest.approx(115, rel=0.08)
    radius = np.linalg.norm(apoferritin.xyz_angstrom, axis=1)
    assert 35 < radius.min() < 45 and 60 < radius.max() < 70  # a hollow shell
    inertia = np.linalg.eigvalsh(apoferritin.xyz_angstrom.T @ apoferritin.xyz_angstrom)
    assert np.ptp(inertia) < 1e-3 * inertia.max()  # octahedral: all axes alike


def test_renderer_adds_nothing_of_its_own():
    settings = OPTICS.model_copy(update={"shape_yx": (128, 128), "ice_noise": 0.0})
    movie = simulate_movie(settings)
    surface = Surface((128, 128), 1e4, (0.0, 0.0), np.zeros(len(smooth_basis(0.0, 0.0, (2, 2)))))
    renderer = Renderer(
        settings, movie.canvas, movie.motion, surface,
        np.zeros(movie.canvas.shape_yx, np.float32), np.random.default_rng(0),
    )  # fmt: skip
    assert np.abs(renderer.frame(0)).max() == 0
