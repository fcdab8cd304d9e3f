"""Coarse micrographs: what is labelled is there, what is there is labelled."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import torch

from warptui.engine.ops.picking.segmentation import normalise
from warptui.engine.simulation import contamination
from warptui.engine.simulation.density import bundled_particle
from warptui.engine.simulation.projection import project
from warptui.engine.simulation.scene import (
    ARTIFACT,
    PARTICLE,
    PIXEL_SIZE,
    SceneSettings,
    disc_radius_px,
    draw_settings,
    make_scene,
    paint,
)
from warptui.engine.simulation.species import Species, make_all_species, sphere_diameter_angstrom


@pytest.fixture(scope="module")
def species() -> tuple[Species, ...]:
    particles = (bundled_particle("apoferritin"), bundled_particle("hsp"))
    return make_all_species(particles, 12, PIXEL_SIZE, seed=1)


def test_views_have_the_mass_of_the_particle_at_their_offset(species) -> None:
    particle = bundled_particle("apoferritin")
    total = float(particle.potential.sum() - particle.solvent.sum())
    for view, offset in zip(species[0].views, species[0].offsets_yx_px, strict=True):
        view = view.astype(np.float64)
        assert view.sum() * PIXEL_SIZE**2 == pytest.approx(total, rel=0.02)
        y, x = np.indices(view.shape) - view.shape[0] // 2
        centre = np.array([(y * view).sum(), (x * view).sum()]) / view.sum()
        assert centre == pytest.approx(offset, abs=0.15)


def test_coarse_views_are_the_low_frequencies_of_fine_ones() -> None:
    """Band-limited, not sampled: nothing above Nyquist folds back."""
    particle = bundled_particle("hsp")
    matrix = np.eye(3)
    fine = project(particle, matrix, (0.0, 0.0), 2.0)
    coarse = project(particle, matrix, (0.0, 0.0), PIXEL_SIZE)
    n, m = len(fine), len(coarse)
    k = np.fft.fftshift(np.fft.fftfreq(m, PIXEL_SIZE))
    low = np.abs(k) < 0.4 / PIXEL_SIZE

    def at(image: np.ndarray, pixel_size: float) -> np.ndarray:
        position = (np.arange(len(image)) - len(image) // 2) * pixel_size
        wave = np.exp(-2j * np.pi * np.outer(k[low], position))
        return wave @ image @ wave.T * pixel_size**2

    first, second = at(fine, 2.0), at(coarse, PIXEL_SIZE)
    assert np.abs(first - second).max() < 0.01 * np.abs(first).max()
    assert n > m


def test_an_apoferritin_is_a_sphere_of_its_size() -> None:
    assert sphere_diameter_angstrom(bundled_particle("apoferritin")) == pytest.approx(138, abs=8)


@pytest.mark.parametrize("seed", range(6))
def test_the_same_settings_give_the_same_scene(species, seed: int) -> None:
    settings = draw_settings(seed, len(species), (160, 192))
    first, second = make_scene(settings, species), make_scene(settings, species)
    for name in ("image", "labels", "certainty", "centres_yx_px"):
        assert np.array_equal(getattr(first, name), getattr(second, name))
    assert first.image.shape == first.labels.shape == first.certainty.shape == (160, 192)
    assert np.isfinite(first.image).all() and first.image.std() > 0


def test_particles_are_dark_where_they_are_labelled(species) -> None:
    settings = SceneSettings(seed=5, shape_yx=(256, 256), species=(1,), defocus_um=2.0)
    scene = make_scene(settings, species)
    assert len(scene.centres_yx_px) > 30
    image = normalise(torch.from_numpy(scene.image)).numpy()
    discs = scene.labels == PARTICLE
    assert image[discs].mean() < image[scene.labels == 0].mean() - 0.3
    shifted = np.roll(discs, (23, 31), (0, 1)) & ~discs
    assert abs(image[shifted].mean() - image[~discs].mean()) < 0.1
    rows, columns = np.round(scene.centres_yx_px).astype(int).T
    assert (scene.labels[rows, columns] == PARTICLE).all()
    assert (scene.certainty[rows, columns] == 1).all()


def test_counting_noise_is_that_of_the_electrons(species) -> None:
    settings = SceneSettings(
        seed=8, species=(), dose=30, quantum_efficiency=0.8, ice_thickness_variation=0
    )
    image = make_scene(settings, species).image
    electrons = 30 * PIXEL_SIZE**2 * 0.8 * np.exp(-400 / 3200)
    difference = (image[:, 1::2] - image[:, ::2]) / np.sqrt(2)
    assert difference.std() == pytest.approx(1 / np.sqrt(electrons), rel=0.15)
    assert image.mean() == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("kind", contamination.KINDS)
def test_contamination_shows_where_it_is_said_to_be(species, kind: str) -> None:
    shown, areas = [], []
    for seed in range(4):
        plain = SceneSettings(seed=40 + seed, shape_yx=(256, 256), species=())
        dirty = make_scene(plain.model_copy(update={"artifacts": (kind,)}), species)
        clean = make_scene(plain, species)
        inside = dirty.labels == ARTIFACT
        areas.append(inside.mean())
        if inside.any() and not inside.all():
            change = np.abs(dirty.image - clean.image)
            outside = (dirty.labels != ARTIFACT) & (dirty.certainty > 0)
            shown.append(change[inside].mean() / change[outside].mean())
    assert max(areas) > 0.002
    if kind == "crystalline_film":
        assert min(areas) == 1
    else:
        assert np.median(shown) > 1.1


@pytest.mark.parametrize("seed", range(5))
def test_debris_is_small_and_background(species, seed: int) -> None:
    dirt = contamination.Dirt.clean((352, 352))  # as large as the scene's canvas
    contamination.add_debris(dirt, 60, PIXEL_SIZE, np.random.default_rng([seed, 2]))
    specks, n = scipy.ndimage.label(dirt.potential > dirt.potential.max() / 20)
    assert 25 < n <= 60  # some touch
    areas = np.bincount(specks.ravel())[1:] * PIXEL_SIZE**2
    assert np.sqrt(np.median(areas) / np.pi) * 2 < 70  # Å across
    assert not dirt.artifact.any() and not dirt.doubtful.any()
    settings = SceneSettings(seed=seed, shape_yx=(256, 256), species=(), defocus_um=2.0, debris=60)
    scene = make_scene(settings, species)
    assert (scene.labels == 0).all() and (scene.certainty == 1).all()
    there = dirt.potential[48:-48, 48:-48] > dirt.potential.max() / 2
    image = scene.image - scipy.ndimage.gaussian_filter(scene.image, 12)
    assert image[there].mean() < image[~there].mean()


def test_random_scenes_are_empty_with_a_phase_plate_now_and_then() -> None:
    drawn = [draw_settings(seed, 20, (64, 64)) for seed in range(400)]
    blank = [one for one in drawn if not one.species and one.phase_shift_deg]
    assert 12 < len(blank) < 45
    assert 35 < sum(one.debris > 0 for one in drawn) < 90


def test_nothing_is_asked_about_what_nobody_can_tell() -> None:
    centres = np.array([[20, 20], [20, 24], [60, 60]], np.float32)
    no = np.zeros((80, 80), bool)
    labels, certainty = paint(
        (80, 80),
        centres,
        np.full(3, 120, np.float32),
        np.array([False, False, True]),
        artifact=no,
        doubtful=no,
    )
    assert labels[20, 22] == 0 and certainty[20, 22] == 0
    assert labels[60, 60] == PARTICLE
    assert (labels == PARTICLE).sum() == pytest.approx(np.pi * disc_radius_px(120.0) ** 2, rel=0.1)
    assert certainty[60, 66] == 0.5  # within the particle, beyond its disc
    assert certainty[60, 70] == 1.0
