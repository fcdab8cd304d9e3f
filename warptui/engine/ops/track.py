"""The global track of a movie: a search that cannot be lost, then a fit that is exact."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from warptui.engine.ops import motion_prior
from warptui.engine.ops.agreement import make_rings, ring_mean
from warptui.engine.ops.comparison import Comparison
from warptui.engine.ops.fourier import crop_spectrum, frequencies_yx, good_size, shift_phases
from warptui.engine.ops.motion_prior import MotionPrior
from warptui.engine.ops.splines import spline_weights

SEARCH_RESOLUTION = 12.0  # Å; coarser than any drift's blur within a frame
SEARCH_B_FACTOR = -1500.0  # Å²; the search must see one broad peak, not fringes
SEARCH_STEP = 12.0  # Å; about the largest surprise from one frame to the next
CONVERGED = 0.01  # Å
N_SURROGATES = 10


class Track(NamedTuple):
    """Global shifts and what they rest on."""

    shifts_yx: Tensor  # (frame, 2) to apply, Å, mean 0, float64
    prior: MotionPrior
    error: float  # estimated RMS error of the shift vector, Å
    n_evaluations: int


def search_track(
    spectra: Tensor,
    shape_yx: tuple[int, int],
    pixel_yx: tuple[float, float],
    keep: Tensor | None = None,
) -> Tensor:
    """Find the track of whole frames at low resolution, from nothing.

    Frames are added one after another to a sum that grows from the calm end of the movie
    towards its fast start, each looked for around where the last one lay; then every frame
    is compared with the sum of all others again. A second attempt starts from no motion;
    the one whose frames agree better wins.

    Parameters
    ----------
    spectra
        ``(frame, ny, nx // 2 + 1)`` complex64 half spectra of whole frames.
    shape_yx, pixel_yx
        Their size in px and pixel sizes in Å.
    keep
        ``(ny, nx // 2 + 1)`` 0/1: coefficients to look at; None for all.

    Returns
    -------
    Tensor
        ``(frame, 2)`` shifts to apply in Å, mean 0.
    """
    _, shifts = _Search(spectra, shape_yx, pixel_yx, keep).best()
    return shifts - shifts.mean(0)


def search_significance(
    spectra: Tensor, shape_yx: tuple[int, int], pixel_yx: tuple[float, float]
) -> float:
    """By how many standard deviations the best track beats what a search finds in nothing.

    Nothing is made from the movie itself: its frames, each displaced at random by far more
    than the search looks for, share the noise and the spectrum but no position. Arguments
    as in `search_track`.
    """
    search = _Search(spectra, shape_yx, pixel_yx, None)
    found, _ = search.best()
    frames = search.frames
    generator = torch.Generator().manual_seed(len(frames))
    edge = torch.tensor([n * p for n, p in zip(search.shape, search.pixel, strict=True)])
    values = []
    for _ in range(N_SURROGATES):
        shares = torch.rand(len(frames), 2, generator=generator, dtype=torch.float64)
        phase_y, phase_x = shift_phases(search.ky, search.kx, (shares * edge).to(search.ky.device))
        search.frames = frames * phase_y[:, :, None] * phase_x[:, None, :]
        values.append(search.best()[0])
    null = torch.tensor(values, dtype=torch.float64)
    return (found - float(null.mean())) / max(float(null.std()), 1e-30)


class _Search:
    """Whitened low-resolution frames, their sums and correlation peaks."""

    def __init__(
        self,
        spectra: Tensor,
        shape_yx: tuple[int, int],
        pixel_yx: tuple[float, float],
        keep: Tensor | None,
    ) -> None:
        sizes = [
            min(n, good_size(math.ceil(2 * n * pixel / SEARCH_RESOLUTION)))
            for n, pixel in zip(shape_yx, pixel_yx, strict=True)
        ]
        self.shape = (sizes[0], sizes[1])
        self.pixel = [p * n / m for p, n, m in zip(pixel_yx, shape_yx, sizes, strict=True)]
        self.ky, self.kx = frequencies_yx(self.shape, self.pixel, spectra.device)
        edge = min(n * p for n, p in zip(shape_yx, pixel_yx, strict=True))
        rings = make_rings(
            self.ky,
            self.kx,
            k_min=3 / edge,
            k_max=1 / SEARCH_RESOLUTION,
            n_rings=max(4, min(sizes) // 4),
            nyquist_column=True,
        )
        frames = crop_spectrum(spectra, shape_yx, self.shape)
        power = ring_mean((frames.real**2 + frames.imag**2).mean(0), rings)
        flat = torch.exp(SEARCH_B_FACTOR * rings.k**2 / 4) / power.clamp(min=1e-30).sqrt()
        weight = rings.spread(flat)
        if keep is not None:
            weight = weight * crop_spectrum(keep, shape_yx, self.shape)
        self.frames = frames * weight
        self.y = torch.fft.fftfreq(sizes[0], 1 / sizes[0], device=spectra.device) * self.pixel[0]
        self.x = torch.fft.fftfreq(sizes[1], 1 / sizes[1], device=spectra.device) * self.pixel[1]

    def moved(self, frame: int, shift: Tensor) -> Tensor:
        phase_y, phase_x = shift_phases(self.ky, self.kx, shift.to(self.ky.device))
        return self.frames[frame] * phase_y[:, None] * phase_x[None, :]

    def find(self, reference: Tensor, frame: int, expected: Tensor, sigma: float) -> Tensor:
        """Shift that brings ``frame`` onto ``reference``, near ``expected``, Å."""
        correlation = torch.fft.irfft2(reference * self.frames[frame].conj(), s=self.shape)
        scale = correlation.std().clamp(min=1e-30)
        distance = (self.y[:, None] - expected[0]) ** 2 + (self.x[None, :] - expected[1]) ** 2
        score = correlation / scale - distance / (2 * sigma**2)
        y, x = divmod(int(score.argmax()), self.shape[1])
        n_y, n_x = self.shape
        dy = _vertex(score[y - 1, x], score[y, x], score[(y + 1) % n_y, x]) * self.pixel[0]
        dx = _vertex(score[y, x - 1], score[y, x], score[y, (x + 1) % n_x]) * self.pixel[1]
        return torch.tensor([float(self.y[y]) + dy, float(self.x[x]) + dx], dtype=torch.float64)

    def grow(self) -> Tensor:
        n_frames = len(self.frames)
        shifts = torch.zeros(n_frames, 2, dtype=torch.float64)
        seed = max(1, n_frames // 6)
        reference = self.frames[n_frames - seed :].sum(0)
        for frame in range(n_frames - seed - 1, -1, -1):
            expected = shifts[frame + 1].clone()
            if frame + 3 < n_frames - seed:
                expected += (shifts[frame + 1] - shifts[frame + 3]) / 2
            shifts[frame] = self.find(reference, frame, expected, SEARCH_STEP)
            reference = reference + self.moved(frame, shifts[frame])
        return shifts

    def refine(self, shifts: Tensor) -> Tensor:
        """Compare every frame with the sum of all others, a few times over."""
        for sigma in (SEARCH_STEP, SEARCH_STEP / 2, SEARCH_STEP / 3):
            moved = torch.stack([self.moved(t, shifts[t]) for t in range(len(shifts))])
            total = moved.sum(0)
            shifts = torch.stack(
                [self.find(total - moved[t], t, shifts[t], sigma) for t in range(len(shifts))]
            )
        return shifts

    def best(self) -> tuple[float, Tensor]:
        """Value and shifts of the better of two attempts."""
        attempts = [
            self.refine(self.grow()),
            self.refine(torch.zeros(len(self.frames), 2).double()),
        ]
        values = [self.value(shifts) for shifts in attempts]
        best = int(values[1] > values[0])
        return values[best], attempts[best]

    def total(self, shifts: Tensor) -> Tensor:
        total = torch.zeros_like(self.frames[0])
        for frame in range(len(shifts)):
            total = total + self.moved(frame, shifts[frame])
        return total

    def value(self, shifts: Tensor) -> float:
        """Power of the sum of the frames."""
        return float(self.total(shifts).abs().square().sum())


def _vertex(before: Tensor, at: Tensor, after: Tensor) -> float:
    """Offset of a parabola's top from its middle point, in samples."""
    bend = float(before - 2 * at + after)
    return 0.5 * float(before - after) / bend if bend < 0 else 0.0


def fit_track(comparison: Comparison, start_yx: Tensor, n_nodes: int, max_rounds: int = 8) -> Track:
    """Most probable global track, its smoothness chosen by the movie itself.

    Each round measures the agreement at the current track, picks the prior with the largest
    evidence, and takes the Newton step with the expected information (Fisher scoring).

    Parameters
    ----------
    comparison
        One patch: the whole frames.
    start_yx
        ``(frame, 2)`` from `search_track`.
    n_nodes
        Temporal nodes of the track; at most one per frame.
    """
    n_frames = len(start_yx)
    weights = spline_weights(n_nodes, torch.linspace(0, 1, n_frames, dtype=torch.float64))
    family = motion_prior.PriorFamily(n_frames, n_nodes)
    shifts = start_yx.clone()
    prior = motion_prior.START._replace(local=0.0)
    likelihood = torch.zeros_like(comparison.extra)
    coherence = comparison.coherence(comparison.evaluate(shifts[None], likelihood))
    error = float("nan")
    evaluations = 1
    for _ in range(max_rounds):
        likelihood = comparison.likelihood(coherence)
        agreement = comparison.evaluate(shifts[None], likelihood)
        evaluations += 1
        frame_information = comparison.information(coherence).cpu()
        score = agreement.score[0].cpu() + frame_information @ shifts
        prior, posterior = family.choose(
            weights.T @ frame_information @ weights,
            weights.T @ score,
            prior,
            ("drift", "jitter", "drift_time"),
        )
        new = weights @ posterior.nodes
        new = new - new.mean(0)
        change = float((new - shifts).square().sum(1).mean().sqrt())
        shifts = new
        error = motion_prior.centred_error(weights[None], posterior)
        coherence = comparison.coherence(agreement)
        if change < CONVERGED:
            break
    return Track(shifts, prior, error, evaluations)
