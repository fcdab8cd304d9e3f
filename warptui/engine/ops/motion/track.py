"""The global motion track of a movie: a robust search, then an exact fit."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from warptui.engine.ops.common.fourier import crop_spectrum, frequencies_yx, good_size, shift_phases
from warptui.engine.ops.common.splines import spline_weights
from warptui.engine.ops.motion import prior as motion_prior
from warptui.engine.ops.motion.coherence import Coherence
from warptui.engine.ops.motion.data_term import Comparison
from warptui.engine.ops.motion.prior import MotionPrior
from warptui.engine.ops.motion.rings import make_rings, ring_mean

SEARCH_RESOLUTION = 12.0  # Å; coarser than any drift's blur within a frame
SEARCH_B_FACTOR = -1500.0  # Å²; the search must see one broad peak, not fringes
SEARCH_STEP = 12.0  # Å; about the largest surprise from one frame to the next
CONVERGED = 0.01  # Å
N_SURROGATES = 10


class Track(NamedTuple):
    """Global shifts, with their prior, error and coherence."""

    shifts_yx: Tensor  # (frame, 2) to apply, Å, mean 0, float64
    prior: MotionPrior
    error: float  # estimated RMS error of the shift vector, Å
    coherence: Coherence  # of the frames, within 0.01 Å of these shifts
    n_evaluations: int


def search_track(
    spectra: Tensor,
    shape_yx: tuple[int, int],
    pixel_yx: tuple[float, float],
    keep: Tensor | None = None,
) -> Tensor:
    """Find the track of whole frames at low resolution, without a starting track.

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


def refine_track(
    spectra: Tensor, shape_yx: tuple[int, int], pixel_yx: tuple[float, float], shifts_yx: Tensor
) -> Tensor:
    """Refine a certain track: compare every frame with the sum of all others again.

    ``shifts_yx`` ``(frame, 2)`` in Å; the other arguments and the result as in `search_track`.
    """
    shifts = _Search(spectra, shape_yx, pixel_yx, None).refine(shifts_yx)
    return shifts - shifts.mean(0)


def search_significance(
    spectra: Tensor, shape_yx: tuple[int, int], pixel_yx: tuple[float, float]
) -> float:
    """Significance of the best track over a search in noise, in standard deviations.

    The noise comes from the movie itself: its frames, each displaced at random by far more than
    the range of the search, share noise and spectrum but no position. Arguments as in
    `search_track`.
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

    def moved(self, shifts: Tensor) -> Tensor:
        """The frames, shifted by ``(frame, 2)`` Å."""
        phase_y, phase_x = shift_phases(self.ky, self.kx, shifts.to(self.ky.device))
        return self.frames * phase_y[:, :, None] * phase_x[:, None, :]

    def find(self, references: Tensor, frames: Tensor, expected: Tensor, sigma: float) -> Tensor:
        """Shifts ``(n, 2)`` in Å that bring ``frames`` onto ``references``, near ``expected``."""
        correlation = torch.fft.irfft2(references * frames.conj(), s=self.shape)
        # its mean is zero: the innermost frequencies are left out
        scale = torch.linalg.vector_norm(correlation, dim=(1, 2)) / math.sqrt(math.prod(self.shape))
        scale = scale.clamp(min=1e-30)
        # only places within reach are looked at: there the expectation costs under 8 sigma
        n_y, n_x = self.shape
        centre = [
            (expected[:, axis].to(correlation.device) / self.pixel[axis]).round().long()
            for axis in (0, 1)
        ]
        reach = [
            torch.arange(-r, r + 1, device=correlation.device)
            for r in (
                min(math.ceil(4 * sigma / p), (n - 3) // 2)
                for p, n in zip(self.pixel, self.shape, strict=True)
            )
        ]
        y = centre[0][:, None] + reach[0]
        x = centre[1][:, None] + reach[1]
        each = torch.arange(len(correlation), device=correlation.device)[:, None, None]
        window = correlation[each, (y % n_y)[:, :, None], (x % n_x)[:, None, :]]
        far_y = y * self.pixel[0] - expected[:, :1].to(y.device)
        far_x = x * self.pixel[1] - expected[:, 1:].to(x.device)
        distance = far_y[:, :, None] ** 2 + far_x[:, None, :] ** 2
        score = window / scale[:, None, None] - distance / (2 * sigma**2)
        score = score.to(torch.float64).cpu()
        y, x = y.cpu(), x.cpu()
        found = torch.empty(len(score), 2, dtype=torch.float64)
        for n, one in enumerate(score):
            # the rim has no neighbours to fit a parabola to
            row, column = divmod(int(one[1:-1, 1:-1].argmax()), one.shape[1] - 2)
            row, column = row + 1, column + 1
            dy = _vertex(*one[row - 1 : row + 2, column].tolist())
            dx = _vertex(*one[row, column - 1 : column + 2].tolist())
            found[n, 0] = (float(y[n, row]) + dy) * self.pixel[0]
            found[n, 1] = (float(x[n, column]) + dx) * self.pixel[1]
        return found

    def grow(self) -> Tensor:
        n_frames = len(self.frames)
        shifts = torch.zeros(n_frames, 2, dtype=torch.float64)
        seed = max(1, n_frames // 6)
        reference = self.frames[n_frames - seed :].sum(0)
        for frame in range(n_frames - seed - 1, -1, -1):
            expected = shifts[frame + 1].clone()
            if frame + 3 < n_frames - seed:
                expected += (shifts[frame + 1] - shifts[frame + 3]) / 2
            this = slice(frame, frame + 1)
            shifts[this] = self.find(
                reference[None], self.frames[this], expected[None], SEARCH_STEP
            )
            phase_y, phase_x = shift_phases(self.ky, self.kx, shifts[frame].to(self.ky.device))
            reference = reference + self.frames[frame] * phase_y[:, None] * phase_x[None, :]
        return shifts

    def refine(self, shifts: Tensor) -> Tensor:
        """Compare every frame with the sum of all others, a few times over."""
        for sigma in (SEARCH_STEP, SEARCH_STEP / 2, SEARCH_STEP / 3):
            moved = self.moved(shifts)
            shifts = self.find(moved.sum(0) - moved, self.frames, shifts, sigma)
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

    def value(self, shifts: Tensor) -> float:
        """Power of the sum of the frames."""
        return float(self.moved(shifts).sum(0).abs().square().sum())


def _vertex(before: float, at: float, after: float) -> float:
    """Offset of a parabola's top from its middle point, in samples."""
    bend = before - 2 * at + after
    return 0.5 * (before - after) / bend if bend < 0 else 0.0


def fit_track(
    comparison: Comparison, start_yx: Tensor, n_nodes: int, max_rounds: int = 24
) -> Track:
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
    return Track(shifts, prior, error, coherence, evaluations)
