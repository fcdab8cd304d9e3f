"""Motion-corrected, dose-weighted average (paper: *Export of corrected data*)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from warptui.engine.errors import StageError
from warptui.engine.model.item import MOVIE, Item
from warptui.engine.stages.base import (
    Needs,
    Product,
    Stage,
    StageResult,
    StageSettings,
    limit,
    refuse_blank,
    setting,
    summary,
)
from warptui.engine.stages.movie.motion import MotionResult
from warptui.engine.stages.warp import average as warp_average

if TYPE_CHECKING:
    import torch

    from warptui.engine.stages.bench import FrameBench

PREVIEW_PX = 512
PREVIEW_RESOLUTION = 20.0  # Å

AVERAGE = Product("average", "average", shown=True, check=refuse_blank)
ODD = Product("average/odd", "average/odd", check=refuse_blank)
EVEN = Product("average/even", "average/even", check=refuse_blank)
PREVIEW = Product("preview", "thumbnails", ".npy", preview=True, shown=True)
DECONVOLVED = Product("deconv", "deconv", check=refuse_blank)  # written by the ctf stage


class AverageSettings(StageSettings):
    """[average] of config.toml."""

    skip_first: int = setting(
        0, "number of frames left out at the start of the movie", unit="frames", ge=0, le=1000
    )
    skip_last: int = setting(
        0, "number of frames left out at the end of the movie", unit="frames", ge=0, le=1000
    )
    dose_weighting: str = setting(
        "gaussian",
        "dose weighting: gaussian (as Warp), critical (Grant 2015) or none",
        pattern="^(gaussian|critical|none)$",
    )
    halves: bool = setting(False, "also write averages of odd and of even frames")
    # The stage that knows the CTF deconvolves: these do not change the average.
    deconvolve: bool = setting(
        False, "also write deconvolved averages to deconv/, once the CTF is known", affects=False
    )
    deconvolution_strength: float = setting(
        1.0, "strength of the deconvolution", affects=False, ge=0, le=10
    )
    deconvolution_falloff: float = setting(
        1.0, "fall-off of the deconvolution with resolution", affects=False, ge=0, le=10
    )
    highpass_angstrom: float = setting(
        300.0, "high-pass filter of the deconvolution", unit="Å", affects=False, gt=0
    )

    @property
    def deconvolution(self) -> list[float]:
        """Strength, fall-off and high-pass; empty where no deconvolution is wanted."""
        if not self.deconvolve:
            return []
        return [self.deconvolution_strength, self.deconvolution_falloff, self.highpass_angstrom]

    @classmethod
    def settings_behind(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """The settings behind what the CTF stage recorded of [average]; empty: not wanted."""
        known = dict(values)
        if "deconvolution" not in known:
            return known
        names = ("deconvolution_strength", "deconvolution_falloff", "highpass_angstrom")
        derived = known.pop("deconvolution")
        if not derived:
            return known | {"deconvolve": False}
        return known | {"deconvolve": True, **dict(zip(names, derived, strict=True))}


class AverageResult(StageResult):
    """What was written."""

    mean_electrons: float | None = summary(
        "mean",
        "mean counts per pixel, summed over the frames used",
        unit="e/px",
        digits=1,
        filter_min=limit(
            "electrons_min", "minimum number of electrons", 10.0, order=150, ge=0, le=1e6
        ),
        filter_max=limit(
            "electrons_max", "maximum number of electrons", 60.0, order=160, ge=0, le=1e6
        ),
        minor=True,
    )
    pixel_size: float = 0.0  # Å/px of the average
    shape_yx: tuple[int, int] = (0, 0)
    n_frames: int = 0  # frames that went in
    dose: float | None = None  # total e/Å² of the frames that went in; None = unknown
    average_path: str = ""  # relative to the project folder
    notes: list[str] = []


def run(item: Item, bench: FrameBench, settings: AverageSettings) -> AverageResult:
    """Write the average of ``item``, its halves if wanted, and the preview.

    Every pixel is shifted by the motion model's interpolants at that pixel and frame. The
    frames' spectra are weighted by w_t(k) for the dose they were taken at, and the sum is
    divided by sqrt(mean of w²), so that its noise stays white and its mean stays the
    number of electrons (Grant & Grigorieff 2015, eq. 9). The halves share the weights of
    the whole: odd + even = average.
    """
    import torch

    frames = bench.frames.open()
    motion = bench.results.get("motion") or unmoved(bench)
    assert isinstance(motion, MotionResult)
    used = range(settings.skip_first, frames.n_frames - settings.skip_last)
    if not used:
        raise StageError(
            f"{item.name}: no frame is left of {frames.n_frames} after leaving out "
            f"{settings.skip_first} at the start and {settings.skip_last} at the end; "
            "lower average.skip_first or average.skip_last"
        )
    parts = ("odd", "even") if settings.halves else ("whole",)
    sums = _sums(bench, settings, motion, used, parts)
    electrons = sum(float(total.mean()) for total in sums.values())
    average = torch.stack(list(sums.values())).sum(0)
    pixel_size = bench.frames.pixel_size * bench.input.binning
    bench.products.discard(DECONVOLVED)  # of the previous average; the ctf stage writes a new one
    for half, product in (("odd", ODD), ("even", EVEN)):
        if settings.halves:
            bench.products.save(product, sums[half], pixel_size)
        else:
            bench.products.discard(product)
    path = bench.products.save(AVERAGE, average, pixel_size)
    bench.products.save(PREVIEW, _preview(average, pixel_size))
    bench.progress(1.0)
    dose = bench.frames.dose_per_frame
    notes = [] if dose is not None or settings.dose_weighting == "none" else ["not dose weighted"]
    if "motion" not in bench.results:
        notes.append("frames were added as they are: [motion] is switched off")
    return AverageResult(
        mean_electrons=electrons / bench.input.binning**2,
        pixel_size=pixel_size,
        shape_yx=(average.shape[0], average.shape[1]),
        n_frames=len(used),
        dose=None if dose is None else dose * len(used),
        average_path=path,
        notes=notes,
    )


def unmoved(bench: FrameBench) -> MotionResult:
    """Motion of frames that are taken as they are, because [motion] is switched off."""
    frames, binning = bench.frames.open(), bench.input.binning
    ny, nx = (n if binning == 1 else 2 * int(n / binning / 2) for n in frames.shape_yx)
    still = [(0.0, 0.0)] * frames.n_frames
    return MotionResult(
        n_frames=frames.n_frames,
        pixel_size=bench.frames.pixel_size * binning,
        shape_yx=(ny, nx),
        global_yx_angstrom=still,
        track_yx_angstrom=still,
    )


def _sums(
    bench: FrameBench,
    settings: AverageSettings,
    motion: MotionResult,
    used: range,
    parts: tuple[str, ...],
) -> dict[str, torch.Tensor]:
    """``(y, x)`` sums of the corrected frames: the whole, or odd and even ones."""
    import torch

    from warptui.engine.ops.common.fourier import crop_spectrum, frequencies_yx, padded_size
    from warptui.engine.ops.frames.warping import add_warped, prefilter_yx

    frames = bench.frames.open()
    device = bench.device
    sizes = [padded_size(n, bench.input.binning) for n in frames.shape_yx]
    full, small = ((sizes[0][i], sizes[1][i]) for i in (0, 1))
    pixel_yx = [bench.frames.pixel_size * full[i] / small[i] for i in (0, 1)]
    ky, kx = frequencies_yx(small, pixel_yx, device)
    dose = _DoseWeights(bench, settings, ky, kx, used)
    nodes = shift_nodes(motion) / bench.frames.pixel_size
    area = full[0] * full[1] / (small[0] * small[1])  # one binned pixel collects more electrons

    padded = torch.zeros(full, device=device)
    buffer = torch.empty(frames.shape_yx, device=device)
    shape = (small[0], small[1] // 2 + 1)
    spectra = {part: torch.zeros(shape, dtype=torch.complex64, device=device) for part in parts}
    means = dict.fromkeys(parts, 0.0)
    for done, index in enumerate(used):
        part = parts[0] if len(parts) == 1 else parts[index % 2 == 0]
        frame = frames.read(index, buffer)
        mean = frame.mean()
        means[part] += float(mean) * area
        padded.zero_()
        add_warped(padded, frame.sub_(mean), nodes[index])
        spectrum = torch.fft.rfft2(padded)
        if small != full:
            spectrum = crop_spectrum(spectrum, full, small)
        weight_y, weight_x, weight = dose.of(index)
        if weight_y is not None:
            spectrum *= weight_y[:, None]
            spectrum *= weight_x[None, :]
        if weight is not None:
            spectrum *= weight
        spectra[part] += spectrum
        bench.progress((done + 1) / (len(used) + 1))
    # What all frames have in common is done once: the weights' norm, the interpolation's
    # prefilter (it commutes with a smooth warp), and the scale of a cropped transform.
    pre_y, pre_x = prefilter_yx(ky * bench.frames.pixel_size, kx * bench.frames.pixel_size)
    finish = dose.norm * pre_y[:, None] * pre_x[None, :]
    ny, nx = motion.shape_yx
    return {
        part: torch.fft.irfft2(spectra[part] * finish, s=small)[:ny, :nx] + means[part]
        for part in parts
    }


class _DoseWeights:
    """Weights of the frames' coefficients, and what their sum is multiplied with."""

    def __init__(
        self,
        bench: FrameBench,
        settings: AverageSettings,
        ky: torch.Tensor,
        kx: torch.Tensor,
        used: range,
    ) -> None:
        import torch

        self._ky, self._kx = ky, kx
        self._dose_per_frame = bench.frames.dose_per_frame
        self._pre_exposure = bench.input.pre_exposure
        self._voltage = bench.optics.voltage
        self._law = settings.dose_weighting if bench.frames.dose_per_frame is not None else "none"
        square = ky[:, None] ** 2 + kx[None, :] ** 2
        self._k = square.sqrt() if self._law == "critical" else None
        # (ny, nx // 2 + 1): one over the square root of the mean squared weight
        self.norm = torch.ones_like(square)
        if self._law == "gaussian":
            # The squares of the weights of evenly spaced doses are a geometric series.
            first = torch.exp(-2 * self._dose(used[0]) * square)
            ratio = torch.exp(-2 * self._step() * square)
            rest = 1 - ratio
            mean = torch.where(
                rest > 1e-4, first * (1 - ratio ** len(used)) / rest / len(used), first
            )
            self.norm = mean.clamp_(min=1e-12).rsqrt_()
        elif self._law == "critical":
            mean = torch.zeros_like(square)
            for index in used:
                mean += self.of(index)[2].square()
            self.norm = (mean / len(used)).clamp_(min=1e-12).rsqrt_()

    def _step(self) -> float:
        assert self._dose_per_frame is not None
        return self._dose_per_frame

    def _dose(self, index: int) -> float:
        """Accumulated dose in the middle of a frame, e/Å²."""
        return self._pre_exposure + (index + 0.5) * self._step()

    def of(self, index: int) -> tuple[Any, Any, Any]:
        """Factors along y and x, and over both where the law does not factorise (else None)."""
        import torch

        from warptui.engine.ops.frames.dose import critical_dose_amplitude, gaussian_amplitude

        if self._law == "none":
            return None, None, None
        dose = torch.tensor([self._dose(index)], device=self._ky.device)
        if self._law == "gaussian":
            return (
                gaussian_amplitude(self._ky, dose)[0],
                gaussian_amplitude(self._kx, dose)[0],
                None,
            )
        assert self._k is not None
        return None, None, critical_dose_amplitude(self._k, dose, self._voltage)[0]


def shift_nodes(motion: MotionResult) -> torch.Tensor:
    """Nodes ``(frame, y, x, 2)`` of the total shift to apply to each frame, Å."""
    import torch

    from warptui.engine.ops.common.splines import spline_weights

    time = torch.linspace(0, 1, motion.n_frames, dtype=torch.float64)
    nodes = torch.tensor(motion.global_yx_angstrom, dtype=torch.float64)
    track = (spline_weights(len(nodes), time) @ nodes)[:, None, None, :]
    if not motion.local_used:
        return track
    n_x, n_y, n_t = motion.local_grid
    grid = torch.stack(
        [
            torch.tensor(values, dtype=torch.float64).reshape(n_t, n_y, n_x)
            for values in (motion.local_y_angstrom, motion.local_x_angstrom)
        ],
        dim=-1,
    )
    return track + torch.einsum("tn,nyxc->tyxc", spline_weights(n_t, time), grid)


def _preview(average: torch.Tensor, pixel_size: float) -> torch.Tensor:
    """``(y, x)`` uint8 picture, long edge 512 px, contrast from the central part.

    Finer detail than 20 Å is noise to the eye: it is taken out, so that particles show.
    """
    import torch

    from warptui.engine.ops.common.fourier import frequencies_yx

    ny, nx = average.shape
    scale = min(1.0, PREVIEW_PX / max(ny, nx))
    size = (max(1, round(ny * scale)), max(1, round(nx * scale)))
    picture = torch.nn.functional.interpolate(average[None, None], size=size, mode="area")[0, 0]
    ky, kx = frequencies_yx(size, [pixel_size / scale] * 2, average.device)
    blur_y = torch.exp(-0.5 * (ky * PREVIEW_RESOLUTION) ** 2)
    blur_x = torch.exp(-0.5 * (kx * PREVIEW_RESOLUTION) ** 2)
    picture = torch.fft.irfft2(torch.fft.rfft2(picture) * blur_y[:, None] * blur_x, s=size)
    centre = picture[size[0] // 8 : size[0] - size[0] // 8, size[1] // 8 : size[1] - size[1] // 8]
    middle, sigma = centre.median(), centre.std().clamp(min=1e-12)
    return ((picture - middle) / (6 * sigma) + 0.5).clamp(0, 1).mul(255).round().to(torch.uint8)


STAGE = Stage(
    "average",
    MOVIE,
    AverageSettings,
    AverageResult,
    run,
    needs=Needs(("motion",)),
    sections=("input", "optics.voltage"),
    products=(AVERAGE, ODD, EVEN, PREVIEW),
    xml=warp_average.PART,
)
