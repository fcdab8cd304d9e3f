"""Tracks are found from nothing at low signal, and fitted better than frame by frame."""

from __future__ import annotations

import pytest
import torch
from simulated_frames import make_frames, rings_of, rms

from warptui.engine.ops.common.fourier import frequencies_yx, shift_phases
from warptui.engine.ops.motion.data_term import Comparison, make_comparison
from warptui.engine.ops.motion.track import Track, fit_track, search_significance, search_track

SHAPE, PIXEL, N_FRAMES = (256, 240), 2.5, 20


def weak(k: torch.Tensor) -> torch.Tensor:
    """Signal to noise of a frame of about 1 e/Å²: most at low frequency, little beyond."""
    return 0.06 * torch.exp(-45 * k**2 - 12 * k)


def drift(length: float, seed: int, n_frames: int = N_FRAMES) -> torch.Tensor:
    """(1, frame, 2) Å: fast at first, then slow, with a bend and a little jitter."""
    generator = torch.Generator().manual_seed(seed)
    direction, bend = torch.rand(2, generator=generator, dtype=torch.float64) * 6.28
    time = torch.arange(n_frames, dtype=torch.float64)
    early = 1 - torch.exp(-time / 3)
    angle = direction + 0.4 * (bend / 3.14 - 1) * early
    path = length * early[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
    return (path + 0.1 * torch.randn(n_frames, 2, generator=generator))[None]


def compared(spectra: torch.Tensor) -> Comparison:
    rings = rings_of(SHAPE, PIXEL, n_rings=40)
    return make_comparison(spectra.clone(), rings, dose=None, voltage=300, b_factor=-50.0)


def frame_by_frame(spectra: torch.Tensor, truth: torch.Tensor, n: int = 10) -> torch.Tensor:
    """Best an independent alignment can do: each frame against the others, aligned by truth."""
    ky, kx = frequencies_yx(SHAPE, (PIXEL, PIXEL))
    phase_y, phase_x = shift_phases(ky, kx, -truth)
    aligned = spectra * phase_y[:, :, None] * phase_x[:, None, :]
    rest = aligned.sum(0) - aligned
    k = (ky[:, None] ** 2 + kx[None, :] ** 2).sqrt()
    snr = weak(k)
    weight = snr / (1 + N_FRAMES * snr)
    step = torch.arange(-40 * n, 40 * n + 1, dtype=torch.float64) * 0.02 * 10 / n
    grid_y = shift_phases(ky, kx, torch.stack([step, 0 * step], 1))[0]
    grid_x = shift_phases(ky, kx, torch.stack([0 * step, step], 1))[1]
    found = []
    for frame in range(len(spectra)):
        product = weight * rest[frame].conj() * aligned[frame]
        score = (grid_y @ product @ grid_x.T).real
        y, x = divmod(int(score.argmax()), len(step))
        found.append(torch.stack([step[y], step[x]]))
    return torch.stack(found) - truth


@pytest.mark.parametrize("seed", range(4))
def test_a_drift_of_40_angstrom_is_found_at_low_signal(seed):
    truth = drift(40.0, seed)
    spectra = make_frames(truth, weak, SHAPE, PIXEL, seed)[0]
    found = search_track(spectra, SHAPE, (PIXEL, PIXEL))
    assert rms(found + truth[0]) < 2.5
    assert float((found + truth[0]).mean(0).abs().max()) < float(truth.abs().max())
    torch.testing.assert_close(found.mean(0), torch.zeros(2).double(), atol=1e-6, rtol=0)


def fitted(seed: int, length: float = 15.0) -> tuple[Track, torch.Tensor, torch.Tensor]:
    truth = drift(length, seed)
    spectra = make_frames(truth, weak, SHAPE, PIXEL, 50 + seed)
    start = search_track(spectra[0], SHAPE, (PIXEL, PIXEL))
    return fit_track(compared(spectra), start, N_FRAMES), truth[0], spectra[0]


@pytest.mark.slow
def test_the_fit_beats_the_best_alignment_of_single_frames():
    ours, theirs = [], []
    for seed in range(4):
        track, truth, spectra = fitted(seed)
        ours.append(rms(track.shifts_yx + truth))
        theirs.append(rms(frame_by_frame(spectra, truth) + truth))
    assert max(ours) < 0.6
    assert sum(ours) < 0.75 * sum(theirs)


def test_the_error_that_the_fit_expects_is_the_error_that_it_makes():
    made, said = [], []
    for seed in range(10, 16):
        track, truth, _ = fitted(seed)
        made.append(rms(track.shifts_yx + truth))
        said.append(track.error)
    ratio = (sum(x**2 for x in said) / sum(x**2 for x in made)) ** 0.5
    assert 0.6 < ratio < 1.6


def test_shifts_to_apply_are_minus_the_displacement_on_both_axes():
    truth = torch.zeros(1, N_FRAMES, 2, dtype=torch.float64)
    truth[0, :, 0] = torch.linspace(0, 20, N_FRAMES)
    truth[0, :, 1] = torch.linspace(0, -8, N_FRAMES)
    spectra = make_frames(truth, weak, SHAPE, PIXEL, 3)
    track = fit_track(compared(spectra), search_track(spectra[0], SHAPE, (PIXEL, PIXEL)), N_FRAMES)
    span = track.shifts_yx[-1] - track.shifts_yx[0]
    assert float(span[0]) == pytest.approx(-20, abs=1.2)
    assert float(span[1]) == pytest.approx(8, abs=1.2)


@pytest.mark.parametrize("n_frames", [2, 3, 5])
def test_short_movies_are_tracked(n_frames):
    truth = drift(12.0, 7, n_frames)
    spectra = make_frames(truth, lambda k: 4 * weak(k), SHAPE, PIXEL, 8)
    track = fit_track(compared(spectra), search_track(spectra[0], SHAPE, (PIXEL, PIXEL)), n_frames)
    assert rms(track.shifts_yx + truth[0]) < 0.6


@pytest.mark.parametrize("n_nodes", [1, 5, 10])
def test_fewer_nodes_than_frames_give_a_smoother_track(n_nodes):
    truth = torch.zeros(1, N_FRAMES, 2, dtype=torch.float64)
    if n_nodes > 1:
        truth[0, :, 1] = torch.linspace(0, 10, N_FRAMES)
    spectra = make_frames(truth, weak, SHAPE, PIXEL, 9)
    start = search_track(spectra[0], SHAPE, (PIXEL, PIXEL))
    track = fit_track(compared(spectra), start, n_nodes)
    assert rms(track.shifts_yx + truth[0]) < 0.5


def test_frames_that_do_not_move_are_not_moved():
    truth = torch.zeros(1, N_FRAMES, 2, dtype=torch.float64)
    moved = []
    for seed in range(4):
        spectra = make_frames(truth, weak, SHAPE, PIXEL, 70 + seed)
        start = search_track(spectra[0], SHAPE, (PIXEL, PIXEL))
        moved.append(rms(fit_track(compared(spectra), start, N_FRAMES).shifts_yx))
    assert max(moved) < 0.25 and sum(moved) / 4 < 0.15  # Å: a sixteenth of a pixel


@pytest.mark.slow
def test_only_a_common_signal_is_more_significant_than_nothing():
    pixel, shape = (5.0, 5.0), (96, 96)
    truth = drift(20.0, 1, 8)
    nothing = [
        search_significance(make_frames(truth, torch.zeros_like, shape, 5.0, s)[0], shape, pixel)
        for s in range(12)
    ]
    something = search_significance(
        make_frames(truth, lambda k: 3 * weak(k), shape, 5.0, 1)[0], shape, pixel
    )
    # ten random movies tell the spread of nothing to a quarter: a little more than normal
    assert abs(sum(nothing) / len(nothing)) < 1.2 and max(nothing) < 4.5
    assert something > 8
