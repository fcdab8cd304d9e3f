"""Known CTFs are found again, with honest errors; images without rings have none."""

from __future__ import annotations

import math

import pytest
import torch
from thon_rings import OPTICS, PIXEL, WANTED, estimate, noise, ringed

from warptui.engine.ops.common.patches import patch_grid
from warptui.engine.ops.common.splines import spline_weights
from warptui.engine.ops.ctf.polar import (
    add_power,
    add_power_in_torch,
    empty_power,
    make_polar_grid,
    resample_power,
)
from warptui.engine.ops.ctf.ring_curve import Curve, find_resolution
from warptui.engine.ops.ctf.ring_fit import Optical
from warptui.engine.ops.ctf.ring_model import Rings, fit_envelope, fit_range, make_thon
from warptui.engine.ops.ctf.ring_search import search
from warptui.engine.ops.ctf.transfer_function import calculate_ctf_image, find_zeros

SHAPE = (1024, 1024)


def astigmatism(optical: Optical) -> tuple[float, float]:
    """Magnitude, Å, and angle, rad."""
    x, y = optical.astigmatism_xy
    return math.hypot(x, y), 0.5 * math.atan2(y, x)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("defocus", [5e3, 1.2e4, 2.8e4])
def test_defocus_and_astigmatism_are_found(seed: int, defocus: float):
    angle = 0.7 * seed
    image = ringed(
        SHAPE, seed, signal=1.5, defocus=defocus, astigmatism=600.0, astigmatism_angle=angle
    )
    found = estimate(image, size=448)
    assert found.confidence > 0.9
    assert found.defocus_error < 40
    assert found.optical.defocus == pytest.approx(defocus, abs=4 * found.defocus_error)
    size, direction = astigmatism(found.optical)
    error = float(found.fit.covariance[1, 1]) ** 0.5
    assert size == pytest.approx(600, abs=4 * error)
    away = (direction - angle + math.pi / 2) % math.pi - math.pi / 2
    assert abs(away) < 2 * error / 600
    assert found.field.model == "constant"


@pytest.mark.slow
def test_errors_are_those_that_are_told():
    ratios = []
    for seed in range(12):
        found = estimate(ringed((768, 768), seed, signal=1.0, defocus=1.5e4))
        ratios.append((found.optical.defocus - 1.5e4) / found.defocus_error)
    rms = math.sqrt(sum(ratio**2 for ratio in ratios) / len(ratios))
    assert 0.4 < rms < 2.0


@pytest.mark.slow
@pytest.mark.parametrize("degrees", [None, 60.0])
def test_told_errors_hold_for_overlapping_patches(degrees: float | None):
    ratios = []
    for seed in range(64):
        generator = torch.Generator().manual_seed(seed)
        x, y = (300 * torch.randn(2, generator=generator)).tolist()
        defocus = 8e3 + 17e3 * float(torch.rand(1, generator=generator))
        phase_shift = math.radians(degrees or 0.0)
        image = ringed(
            SHAPE,
            9000 + seed,
            signal=0.7,
            defocus=defocus,
            astigmatism=math.hypot(x, y),
            astigmatism_angle=0.5 * math.atan2(y, x),
            phase_shift=phase_shift,
        )
        wanted = WANTED._replace(fit_phase=degrees is not None)
        found = estimate(image, size=768, wanted=wanted)
        told = found.fit.covariance.diagonal().sqrt().tolist()
        away = [found.optical.astigmatism_xy[0] - x, found.optical.astigmatism_xy[1] - y]
        if degrees is not None:
            shift = found.optical.phase_shift - phase_shift
            away.append((shift + math.pi / 2) % math.pi - math.pi / 2)
        ratios.append(
            [(found.optical.defocus - defocus) / found.defocus_error]
            + [error / sigma for error, sigma in zip(away, told[1:], strict=True)]
        )
    rms = torch.tensor(ratios).square().mean(0).sqrt()
    assert bool(((rms > 0.8) & (rms < 1.25)).all()), rms


def test_an_envelope_follows_clear_rings_and_not_noise():
    k = torch.linspace(1 / 30, 1 / 4, 7, dtype=torch.float64)
    falling = 0.2 * torch.exp(-200 * (k**2 - k[0] ** 2))
    rising = torch.tensor([0.05, 0.1, 0.2, 0.3, 0.2, 0.1, 0.05], dtype=torch.float64)
    eye = torch.eye(7, dtype=torch.float64)
    for truth in (falling, rising):  # measured to 1 %
        clear = fit_envelope(Rings(1e6 * eye, 1e6 * truth, eye, k), 1.0)
        torch.testing.assert_close(clear.values, truth, atol=1e-3, rtol=0.05)
    noisy = falling.clone()
    noisy[-1] = 0.03  # where one standard error is 0.02, and 0.0003 is true
    found = fit_envelope(Rings(2500 * eye, 2500 * noisy, eye, k), 1.0)
    assert float(found.values[0]) == pytest.approx(0.2, rel=0.1)
    assert float(found.values[-1]) < 0.01
    again = fit_envelope(Rings(2500 * eye, 2500 * falling, eye, k), 1.0, found)
    assert torch.equal(again.mean, found.mean) and again.penalty >= 0


@pytest.mark.parametrize("degrees", [20.0, 75.0, 140.0])
def test_a_phase_shift_is_found(degrees: float):
    image = ringed(SHAPE, 3, signal=1.5, defocus=9e3, phase_shift=math.radians(degrees))
    found = estimate(image, wanted=WANTED._replace(fit_phase=True))
    away = (math.degrees(found.optical.phase_shift) - degrees + 90) % 180 - 90
    assert abs(away) < 4
    assert found.optical.defocus == pytest.approx(9e3, abs=40)


def test_a_specimen_whose_spectrum_ripples_is_allowed_for_in_errors_of_the_phase_shift():
    ratios = []
    for seed, shell in enumerate((70.0, 85.0, 100.0, 115.0, 130.0, 150.0)):
        defocus, phase_shift = 1.1e4 + 2e3 * seed, math.radians(30 + 20 * seed)
        image = ringed(
            (768, 768), seed, signal=2.0, defocus=defocus, phase_shift=phase_shift, shell=shell
        )
        found = estimate(image, wanted=WANTED._replace(fit_phase=True, grid_xyt=(1, 1, 1)))
        away = (found.optical.phase_shift - phase_shift + math.pi / 2) % math.pi - math.pi / 2
        told = float(found.fit.covariance[3, 3]) ** 0.5
        assert told < math.radians(2.5)
        ratios.append([away / told, (found.optical.defocus - defocus) / found.defocus_error])
    # without the allowance 2.6 and 1.7
    assert float(torch.tensor(ratios).square().mean(0).sqrt().max()) < 1.5


@pytest.mark.slow
@pytest.mark.parametrize(("tilt", "axis"), [(30.0, 0.0), (-50.0, 60.0), (60.0, 130.0)])
def test_tilted_planes_are_found(tilt: float, axis: float):
    steep = math.tan(math.radians(tilt))
    slope = (steep * math.cos(math.radians(axis)), steep * math.sin(math.radians(axis)))
    found = estimate(ringed(SHAPE, 5, signal=1.5, defocus=1.5e4, slope_xy=slope, n_levels=40))
    assert found.field.model in ("plane", "grid")
    assert found.field.slope_xy == pytest.approx(slope, abs=3 * found.field.slope_error)
    assert found.field.slope_error < 0.05
    assert found.optical.defocus == pytest.approx(1.5e4, abs=60)


@pytest.mark.parametrize("seed", range(6))
def test_noise_has_no_ctf(seed: int):
    assert estimate(noise(SHAPE, seed)).confidence < 0.3


def test_optima_of_the_search_lie_apart():
    grid = make_polar_grid(768, PIXEL)
    patches = patch_grid(SHAPE, 768)
    total = empty_power(patches, grid)
    add_power(ringed(SHAPE, 8, signal=0.4, defocus=1.5e4), patches, grid, total)
    count = grid.n_coefficients.clamp(min=1).to(torch.float32)
    power = total.polar[:, :-1].view(-1, *count.shape) / count
    bins = fit_range(grid, WANTED.k_min, WANTED.k_max)
    found = search(make_thon(power, grid, bins, OPTICS, patches.overlap), 3e3, 5e4)
    best = found.starts[0]
    assert best.defocus == found.defocus and best.gain == pytest.approx(found.gain)
    assert [start.gain for start in found.starts] == sorted(
        (start.gain for start in found.starts), reverse=True
    )
    for start in found.starts[1:]:
        turned = math.dist(start.astigmatism_xy, best.astigmatism_xy)
        assert abs(start.defocus - best.defocus) + 0.5 * turned > 300


def test_a_smooth_hill_in_the_spectrum_is_no_ctf():
    spectrum = torch.fft.rfft2(noise(SHAPE, 1))
    k = torch.hypot(torch.fft.fftfreq(1024, PIXEL)[:, None], torch.fft.rfftfreq(1024, PIXEL))
    hill = 1 + torch.exp(-(((k - 0.12) / 0.05) ** 2)) + 3 * torch.exp(-30 * k)
    assert estimate(torch.fft.irfft2(spectrum * hill)).confidence < 0.5


@pytest.mark.slow
def test_rescaling_recovers_the_rings_of_a_tilted_plane():
    image = ringed(SHAPE, 7, signal=0.8, defocus=1.5e4, slope_xy=(1.2, 0.0), n_levels=40)
    local = estimate(image)
    whole = estimate(image, wanted=WANTED._replace(grid_xyt=(1, 1, 1)))
    assert local.resolution is not None and whole.resolution is not None
    assert local.resolution < 0.75 * whole.resolution


def test_rings_that_begin_late_have_a_resolution_where_all_frequencies_are_searched():
    k = torch.arange(256, dtype=torch.float64) / 600
    quality = torch.where((k > 0.2) & (k < 0.3), 0.8, -0.5).to(torch.float64)
    curve = Curve(k, quality, quality, quality, quality)
    assert find_resolution(curve, 0.05, 0.15) is None
    assert find_resolution(curve, 0.05, 0.25) == pytest.approx(1 / 0.3, abs=0.1)


def test_the_curve_meets_its_model():
    found = estimate(ringed(SHAPE, 2, signal=0.8))
    used = (found.curve.k > 1 / 20) & (found.curve.k < 1 / 5)
    assert float(found.curve.quality[used].min()) > 0.5
    difference = (found.curve.measured - found.curve.simulated)[used]
    assert float(difference.square().mean().sqrt()) < 0.35
    zeros = find_zeros(1.2e4, OPTICS, 1 / 5)
    assert len(zeros) > 4


def test_the_kernel_adds_what_plain_torch_adds():
    image = noise((300, 420), 0)
    patches = patch_grid((300, 420), 128)
    grid = make_polar_grid(128, PIXEL)
    total = empty_power(patches, grid)
    add_power(image, patches, grid, total)
    cut = torch.stack([image[y : y + 128, x : x + 128] for y, x in patches.corners_yx.tolist()])
    cut -= cut.mean((1, 2), keepdim=True)
    cut *= patches.windows_y[:, :, None] * patches.windows_x[:, None, :]
    cut /= (patches.areas.sqrt() * 128)[:, None, None]
    plain = empty_power(patches, grid)
    add_power_in_torch(torch.fft.rfft2(cut), grid.bin_of, plain.polar, plain.image)
    torch.testing.assert_close(total.polar, plain.polar, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(total.image, plain.image, rtol=1e-4, atol=1e-4)
    white = total.polar[:, :-1].sum() / grid.n_coefficients.sum() / len(patches.corners_yx)
    assert float(white) == pytest.approx(1, abs=0.02)


def test_power_keeps_its_mean_and_its_rings_when_resampled():
    power = torch.fft.rfft2(ringed((256, 256), 0, defocus=6e3)).abs() ** 2
    smaller = resample_power(power, 128)
    assert smaller.shape == (128, 65)
    assert float(smaller[30:50, 20:40].mean()) == pytest.approx(
        float(power[60:100, 40:80].mean()), rel=0.1
    )


@pytest.mark.parametrize("degrees", [0.0, 50.0, 110.0])
def test_drift_within_frames_fades_rings_along_it(degrees: float):
    image = ringed(SHAPE, 1, signal=1.5, b_factor=-20)
    ky, kx = torch.fft.fftfreq(1024, PIXEL)[:, None], torch.fft.rfftfreq(1024, PIXEL)[None]
    angle = math.radians(degrees)
    blur = torch.sinc(5.0 * (kx * math.cos(angle) + ky * math.sin(angle)))
    sharp = ringed(SHAPE, 1, signal=0.0)
    signal = torch.fft.irfft2(torch.fft.rfft2(image - sharp) * blur, s=SHAPE)
    found = estimate(signal + sharp)
    assert found.fading_angle is not None
    away = (math.degrees(found.fading_angle) - degrees + 90) % 180 - 90
    assert abs(away) < 12
    assert estimate(image).fading_angle is None


def test_an_ice_ring_is_told_from_a_smooth_spectrum():
    k = torch.hypot(torch.fft.fftfreq(1024, PIXEL)[:, None], torch.fft.rfftfreq(1024, PIXEL))
    ring = 1 + 1.5 * torch.exp(-0.5 * ((k - 1 / 3.67) / 0.002) ** 2)
    image = ringed(SHAPE, 4)
    icy = torch.fft.irfft2(torch.fft.rfft2(image) * ring, s=SHAPE)
    plain, iced = (estimate(each).ice_ring for each in (image, icy))
    assert plain is not None and plain < 1.15
    assert iced is not None and iced > 2


def test_a_phase_shift_that_drifts_is_followed():
    images = [
        ringed(SHAPE, 3, signal=1.5, defocus=9e3, phase_shift=math.radians(degrees))
        for degrees in (50.0, 65.0, 80.0)
    ]
    found = estimate(images, wanted=WANTED._replace(fit_phase=True, grid_xyt=(1, 1, 3)))
    sampled = spline_weights(3, torch.tensor([1 / 6, 0.5, 5 / 6])) @ found.phase_nodes
    assert [math.degrees(phase) for phase in sampled.tolist()] == pytest.approx([50, 65, 80], abs=4)


@pytest.mark.gpu
def test_a_gpu_finds_the_same():
    image = ringed(SHAPE, 5, signal=1.5, defocus=1.5e4, slope_xy=(0.6, 0.2), n_levels=40)
    cpu, gpu = estimate(image), estimate(image.cuda())
    assert gpu.optical.defocus == pytest.approx(cpu.optical.defocus, abs=0.5)
    assert gpu.optical.astigmatism_xy == pytest.approx(cpu.optical.astigmatism_xy, abs=1)
    assert gpu.field.slope_xy == pytest.approx(cpu.field.slope_xy, abs=1e-3)
    assert gpu.confidence == pytest.approx(cpu.confidence, abs=0.01)


@pytest.mark.slow
def test_a_first_ring_that_other_rings_contradict_is_not_believed():
    shape, first_ring, others = (768, 768), 1.43e4, 1.19e4
    k = torch.hypot(torch.fft.fftfreq(768, PIXEL)[:, None], torch.fft.rfftfreq(768, PIXEL))
    inner, outer = (
        calculate_ctf_image(shape, PIXEL, OPTICS, defocus=z, b_factor=b)
        for z, b in ((first_ring, 0.0), (others, -60.0))
    )
    transfer = torch.where(k < find_zeros(first_ring, OPTICS, 0.3)[0], inner, 0.25 * outer)
    for seed in range(3):
        signal = torch.fft.irfft2(torch.fft.rfft2(noise(shape, seed)) * transfer, s=shape)
        found = estimate(signal + noise(shape, seed + 1000), size=512)
        assert found.fit.gain > 40  # certain that there is something
        assert found.confidence < 0.5


@pytest.mark.parametrize("told", [None, -40.0])
@pytest.mark.parametrize("tilt", [0.0, 40.0])
def test_a_tilt_that_the_stage_tells_needs_little_evidence(tilt: float, told: float | None):
    steep = math.tan(math.radians(tilt))
    image = ringed(
        (640, 640),
        22,
        signal=0.75,
        defocus=1.6e4,
        slope_xy=(0.8 * steep, 0.6 * steep),
        n_levels=16 if tilt else 1,
    )
    found = estimate(
        image, wanted=WANTED._replace(tilt=None if told is None else math.radians(told))
    )
    seen = tilt > 0 and told is not None
    assert found.field.model == ("plane" if seen else "constant")
    if seen:
        assert math.hypot(*found.field.slope_xy) == pytest.approx(steep, abs=0.15)
        assert found.tilt_doubt.probability == 0
    else:
        assert found.tilt_doubt.probability < 0.1


def test_a_tilt_that_may_be_widens_the_error():
    steep = math.tan(math.radians(40))
    image = ringed(
        (640, 640), 21, signal=0.9, defocus=1.6e4, slope_xy=(0.8 * steep, 0.6 * steep), n_levels=16
    )
    found = estimate(image)
    assert found.field.model == "constant"
    assert 0.1 < found.tilt_doubt.probability < 0.5
    assert found.defocus_error >= found.tilt_doubt.away * found.tilt_doubt.probability**0.5
    assert math.hypot(*found.tilt_doubt.slope_xy) == pytest.approx(steep, abs=0.3)
