"""Power spectra of patches of a movie or of its average: what the CTF is estimated from."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from warptui.engine.errors import StageError
from warptui.engine.stages.movie.average import AVERAGE, AverageResult
from warptui.engine.stages.movie.motion import MotionResult

if TYPE_CHECKING:
    import torch

    from warptui.engine.ops.ctf.defocus_field import Places
    from warptui.engine.ops.ctf.polar import PolarGrid
    from warptui.engine.stages.bench import FrameBench
    from warptui.engine.stages.movie.ctf import CtfSettings

DOSE_PER_GROUP = 8.0  # e/Å² of frames that are aligned; what is summed is seen better
DOSE_UNALIGNED = 4.0  # e/Å²; what moves in less stays in place
N_GROUPS = 8  # of frames whose dose is unknown
MIN_PATCH_PX = 128


class Spectra(NamedTuple):
    """Power of patches, and where they are."""

    power: torch.Tensor  # (sample, sector, bin) mean power of coefficients
    image: torch.Tensor  # (size, size // 2 + 1) mean power of patches
    grid: PolarGrid
    curve_pixel_size: float  # Å, binned: of the average
    places: Places
    n_images: int  # whose power was averaged
    notes: list[str]


def measure(name: str, bench: FrameBench, settings: CtfSettings, *, small: bool = False) -> Spectra:
    """Spectra of groups of frames, aligned by what is known of their motion, or of the average.

    ``small`` patches are those in which a tilted film blurs no rings.
    """
    import torch

    if settings.use_average:
        average = bench.results.get("average")
        if not isinstance(average, AverageResult):
            raise StageError(
                f"{name}: ctf.use_average is true and there is no average; "
                "set average.enabled = true, or ctf.use_average = false"
            )
        image = bench.products.load(AVERAGE).to(torch.float32)
        return measure_image(image, average.pixel_size, settings, name=name, small=small)
    frames = bench.frames.open()
    shifts = _shifts_px(bench, bench.frames.pixel_size)
    dose = DOSE_PER_GROUP if shifts else DOSE_UNALIGNED
    groups = _groups(frames.n_frames, bench.frames.dose_per_frame, dose, settings.grid[2])
    buffer = torch.empty(frames.shape_yx, device=bench.device)

    def summed(group: list[int]) -> torch.Tensor:
        total = torch.zeros(frames.shape_yx, device=bench.device)
        for index in group:
            _add_moved(total, frames.read(index, buffer), shifts[index] if shifts else (0, 0))
        bench.progress(0.2 + 0.5 * group[-1] / frames.n_frames)
        return total

    return _measure(
        name,
        frames.shape_yx,
        [lambda group=group: summed(group) for group in groups],
        bench.frames.pixel_size,
        bench.input.binning,
        settings,
        bench.device,
        small,
    )


def measure_image(
    image: torch.Tensor,
    pixel_size: float,
    settings: CtfSettings,
    *,
    name: str = "image",
    small: bool = False,
) -> Spectra:
    """Spectra of one ``(y, x)`` image."""
    if not bool(image.isfinite().all()) or float(image.max()) == float(image.min()):
        raise StageError(f"{name}: its average has no finite or no differing values: no CTF")
    shape = (image.shape[0], image.shape[1])
    return _measure(name, shape, [lambda: image], pixel_size, 1.0, settings, image.device, small)


def _measure(
    name: str,
    shape_yx: tuple[int, int],
    images: Sequence[Callable[[], torch.Tensor]],
    pixel_size: float,
    binning: float,
    settings: CtfSettings,
    device: torch.device,
    small: bool,
) -> Spectra:
    """One sample for each patch and each share of ``images`` in time."""
    import torch

    from warptui.engine.ops.common.patches import patch_grid
    from warptui.engine.ops.ctf.defocus_field import Places
    from warptui.engine.ops.ctf.polar import add_power, empty_power, make_polar_grid

    size, notes = _patch_size(name, shape_yx, settings.window_px, binning, small)
    patches = patch_grid(shape_yx, size, device)
    grid = make_polar_grid(size, pixel_size, device)
    count = grid.n_coefficients.clamp(min=1).to(torch.float32)
    n_patches = len(patches.corners_yx)
    n_times = min(settings.grid[2], len(images))
    powers, mean = [], torch.zeros(size, size // 2 + 1, device=device)
    for time in range(n_times):
        own = images[time * len(images) // n_times : (time + 1) * len(images) // n_times]
        total = empty_power(patches, grid)
        for image in own:
            add_power(image(), patches, grid, total)
        powers.append(total.polar[:, :-1].view(-1, *count.shape) / (count * len(own)))
        mean += total.image / (n_patches * len(own) * n_times)
    ny, nx = shape_yx
    time_of = (torch.arange(n_times, dtype=torch.float64) + 0.5) / n_times
    places = Places(
        (patches.centres_yx[:, 1] / (nx - 1)).repeat(n_times),
        (patches.centres_yx[:, 0] / (ny - 1)).repeat(n_times),
        time_of.repeat_interleave(n_patches),
        (nx * pixel_size, ny * pixel_size),
        patches.overlap,
    )
    return Spectra(torch.cat(powers), mean, grid, pixel_size * binning, places, len(images), notes)


def _patch_size(
    name: str, shape_yx: tuple[int, int], window_px: int, binning: float, small: bool
) -> tuple[int, list[str]]:
    """Edge of the patches in px of the frames, and notes.

    Twice the window where the image is large enough, as Warp has it: rings of a high defocus
    are finer than what a small patch resolves. ``small`` ones have the size of the window.
    """
    from warptui.engine.ops.common.fourier import good_size

    ny, nx = shape_yx
    smallest = min(ny, nx)
    window = window_px * binning
    notes = []
    if smallest < MIN_PATCH_PX:
        raise StageError(
            f"{name}: an image of {nx} x {ny} px is too small for a CTF; "
            f"at least {MIN_PATCH_PX} px each way are needed (ctf.enabled = false does without)"
        )
    if window > smallest:
        notes.append(f"the image is smaller than ctf.window_px = {window_px}: {smallest} px used")
        window = smallest
    limit = int(max(window, 0.0 if small else min(2 * window, 0.75 * smallest)))
    size = limit - limit % 2
    while good_size(size) != size:
        size -= 2
    return size, notes


def _groups(
    n_frames: int, dose_per_frame: float | None, dose: float, n_times: int
) -> list[list[int]]:
    """Frames that are summed before their power is taken."""
    n = round(n_frames * dose_per_frame / dose) if dose_per_frame else N_GROUPS
    n = min(n_frames, max(n, n_times, 1))
    ends = [round(i * n_frames / n) for i in range(n + 1)]
    return [list(range(a, b)) for a, b in itertools.pairwise(ends) if b > a]


def _add_moved(total: torch.Tensor, frame: torch.Tensor, shift_yx: tuple[int, int]) -> None:
    """Add ``frame``, moved; what moves out on one side comes in on the other."""
    ny, nx = frame.shape
    dy, dx = shift_yx[0] % ny, shift_yx[1] % nx
    for to_y, from_y in (
        (slice(dy, None), slice(0, ny - dy)),
        (slice(0, dy), slice(ny - dy, None)),
    ):
        for to_x, from_x in (
            (slice(dx, None), slice(0, nx - dx)),
            (slice(0, dx), slice(nx - dx, None)),
        ):
            total[to_y, to_x] += frame[from_y, from_x]


def _shifts_px(bench: FrameBench, pixel_size: float) -> list[tuple[int, int]]:
    """Whole pixels by which to move each frame; none where the motion is unknown."""
    motion = bench.results.get("motion")
    if not isinstance(motion, MotionResult) or not motion.track_yx_angstrom:
        return []
    return [(round(y / pixel_size), round(x / pixel_size)) for y, x in motion.track_yx_angstrom]
