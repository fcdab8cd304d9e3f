"""Defects: bad pixels are found at any dose, real signal stays, gaps are filled smoothly."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from warptui.engine.formats.camera.gain import read_gain
from warptui.engine.formats.movie import open_movie
from warptui.engine.ops.frames.defects import fill_defects, find_defects, plan_filling


def specimen(shape=(300, 340)) -> torch.Tensor:
    """Relative intensity: ice of varying thickness, particles, a carbon edge, gold beads."""
    y, x = torch.meshgrid(
        torch.arange(shape[0], dtype=torch.float32),
        torch.arange(shape[1], dtype=torch.float32),
        indexing="ij",
    )
    image = 1 + 0.1 * torch.sin(y / 60) * torch.cos(x / 45)
    for index in range(12):
        at_y, at_x = 20 + 23 * index, 15 + (61 * index) % (shape[1] - 30)
        image = image - 0.1 * torch.exp(-((y - at_y) ** 2 + (x - at_x) ** 2) / (2 * 6.0**2))
    image = torch.where(x > shape[1] - 40, image * 0.7, image)
    for at_y, at_x, radius in ((60, 80, 5), (150, 200, 8), (220, 90, 12)):
        distance = torch.sqrt((y - at_y) ** 2 + (x - at_x) ** 2)
        bead = torch.sigmoid(distance - radius)  # an edge one pixel wide
        fringe = 1 + 0.4 * torch.exp(-((distance - radius - 2) ** 2) / 2)
        image = image * (0.25 + 0.75 * bead) * fringe
    return image


def expose(dose: float, n_frames: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    rate = (specimen() * dose).expand(n_frames, -1, -1)
    return torch.poisson(rate, generator=generator)


@pytest.mark.parametrize("n_frames", [1, 2, 16, 40])
@pytest.mark.parametrize("dose", [0.03, 0.5, 1.0, 2.0])
def test_real_signal_is_left_alone(dose, n_frames):
    found = find_defects(expose(dose, n_frames).sum(0))
    # A pixel without any count among ten or more expected ones is a matter of chance.
    assert int(found.sum()) <= 10
    assert not bool(find_defects(specimen() * dose).any())


@pytest.mark.parametrize("n_frames", [1, 40])
@pytest.mark.parametrize("dose", [0.03, 1.0, 2.0])
def test_hot_pixels_are_found_at_any_dose(dose, n_frames):
    frames = expose(dose, n_frames)
    total = frames.sum(0)
    level = float(total.mean())
    hot = torch.from_numpy(np.random.default_rng(0).integers(4, 290, (12, 2)))
    for index, (y, x) in enumerate(hot):
        total[y, x] += 14 * level**0.5 + 40 + 300 * index
    found = find_defects(total)
    assert bool(found[hot[:, 0], hot[:, 1]].all())
    assert int(found.sum()) <= 12 + 10


@pytest.mark.parametrize("total_dose", [16.0, 32.0, 80.0])
def test_dead_pixels_are_found_where_their_zero_is_no_chance(total_dose):
    total = expose(total_dose, 1)[0]
    at = torch.arange(10, 290, 9)
    total[at, at] = 0
    found = find_defects(total)
    # Steep places are judged by their own spread: one of a few dead pixels may stay there.
    assert float(found[at, at].float().mean()) > 0.9
    assert int(found.sum()) <= len(at) + 12


def test_one_pixel_of_a_billion_in_one_frame_is_found_and_hides_no_other():
    frames = expose(1.0, 20)
    frames[7, 100, 120] = 1e9
    frames[3, 30, 40] = 150.0
    found = find_defects(frames.sum(0))
    assert bool(found[100, 120])
    assert bool(found[30, 40])
    assert int(found.sum()) < 10


def test_pixels_that_are_not_finite_are_bad():
    total = expose(20.0, 1)[0]
    total[5, 6], total[7, 8], total[9, 10] = np.nan, np.inf, -np.inf
    found = find_defects(total)
    assert bool(found[[5, 7, 9], [6, 8, 10]].all())
    assert int(found.sum()) < 12
    assert bool(find_defects(torch.full((20, 20), torch.nan)).all())


@pytest.mark.parametrize("factor", [0.0, 5.0])
@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize("dose", [2.0, 30.0])
def test_whole_bad_lines_are_found(factor, dim, dose):
    total = expose(dose, 1)[0]
    total.select(dim, 77).mul_(factor)
    found = find_defects(total)
    assert bool(found.select(dim, 77).all())
    assert int(found.sum()) < found.shape[1 - dim] + 20


def test_counts_in_other_units_than_electrons_are_measured():
    """An integrating camera: 38 counts an electron, an offset, and its own spread."""
    total = expose(20.0, 1)[0] * 38 - 5000
    total[50, 60] = 38 * 200
    found = find_defects(total)
    assert bool(found[50, 60])
    assert int(found.sum()) < 5


@pytest.mark.parametrize("value", [0.0, 3.0, -2.0])
def test_a_constant_image_has_no_defects(value):
    assert not bool(find_defects(torch.full((70, 90), value)).any())


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 5), (16, 16), (17, 33), (257, 300)])
def test_every_size_works(shape):
    total = torch.poisson(torch.full(shape, 30.0), generator=torch.Generator().manual_seed(0))
    assert int(find_defects(total).sum()) == 0
    if min(shape) > 8:
        total[1, 1] = 1e4
        assert torch.nonzero(find_defects(total)).tolist() == [[1, 1]]


@given(st.integers(0, 1 << 16), st.sampled_from([(1, 1), (5, 7), (40, 33)]), st.floats(0, 1))
@settings(max_examples=50, deadline=None)
def test_filling_touches_bad_pixels_only_and_uses_good_ones_only(seed, shape, fraction):
    rng = np.random.default_rng(seed)
    bad = torch.from_numpy(rng.random(shape) < fraction)
    frames = torch.from_numpy(rng.uniform(1, 2, (3, *shape)).astype(np.float32))
    frames[:, bad] = torch.nan
    before = frames.clone()
    fill_defects(frames, plan_filling(bad))
    assert torch.equal(frames[:, ~bad], before[:, ~bad])
    if bool(bad.all()):
        assert bool((frames == 0).all())
    else:
        assert bool((frames >= 1).all() and (frames <= 2).all())


def test_a_slope_is_continued_into_a_hole():
    y, x = torch.meshgrid(torch.arange(50.0), torch.arange(60.0), indexing="ij")
    plane = (2 * y + 3 * x)[None].contiguous()
    bad = torch.zeros(50, 60, dtype=torch.bool)
    bad[20, 30] = bad[35, 10] = bad[35, 11] = True
    filled = plane.clone()
    filled[:, bad] = -1e9
    fill_defects(filled, plan_filling(bad))
    assert float((filled - plane).abs().max()) < 3.0
    assert float(filled[0, 20, 30]) == pytest.approx(float(plane[0, 20, 30]), abs=1e-3)


def test_filling_keeps_the_mean():
    frames = torch.poisson(torch.full((20, 200, 200), 0.8), generator=torch.Generator())
    bad = torch.rand(200, 200, generator=torch.Generator().manual_seed(1)) < 0.01
    expected = frames[:, ~bad].mean()
    fill_defects(frames, plan_filling(bad))
    assert float(frames[:, bad].mean()) == pytest.approx(float(expected), rel=0.02)


def test_the_same_input_gives_the_same_output():
    frames = expose(1.0, 5)
    bad = torch.rand(frames.shape[1:], generator=torch.Generator().manual_seed(1)) < 0.01
    filling = plan_filling(bad)
    one, two = (fill_defects(frames.clone(), filling) for _ in range(2))
    assert torch.equal(one, two)


def test_the_middle_of_a_large_hole_gets_the_mean_of_the_frame():
    frames = torch.full((1, 100, 100), 7.0)
    bad = torch.zeros(100, 100, dtype=torch.bool)
    bad[10:90, 10:90] = True
    frames[:, bad] = torch.nan
    fill_defects(frames, plan_filling(bad))
    assert frames[0, 50, 50] == pytest.approx(7.0)
    assert frames[0, 10, 10] == pytest.approx(7.0)


@pytest.mark.parametrize(
    "frames",
    [torch.zeros(2, 8, 8, dtype=torch.uint8), torch.zeros(8, 9), torch.zeros(8, 16)[:, ::2]],
)
def test_frames_that_cannot_be_filled_are_refused(frames):
    with pytest.raises(ValueError, match="frames"):
        fill_defects(frames, plan_filling(torch.zeros(8, 8, dtype=torch.bool)))


@pytest.mark.shared
def test_the_reference_movies_defects_are_found_and_nothing_else(shared_data):
    folder = shared_data / "movies"
    truth = json.loads((folder / "gain_truth.json").read_text())
    with open_movie(folder / "gain.tif") as reader:
        total = torch.from_numpy(reader.read_all().sum(axis=0, dtype=np.float32))
    gain = read_gain(folder / "gain_reference.mrc", shape_yx=(1024, 1024))
    found = {
        tuple(at) for at in torch.nonzero(find_defects(total * torch.from_numpy(gain))).tolist()
    }
    expected = {tuple(at) for at in truth["hot_pixels"] + truth["dead_pixels"]}
    assert found == expected


@pytest.mark.gpu
def test_a_gpu_finds_and_fills_the_same():
    frames = expose(1.0, 20)
    frames[:, 50, 60] = 40.0
    found = find_defects(frames.sum(0))
    on_gpu = find_defects(frames.cuda().sum(0))
    assert torch.equal(found, on_gpu.cpu())
    filled = fill_defects(frames.cuda(), plan_filling(on_gpu))
    torch.testing.assert_close(filled.cpu(), fill_defects(frames, plan_filling(found)))
