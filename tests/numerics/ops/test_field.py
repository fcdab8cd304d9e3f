"""Local motion is found where there is some, and left alone where there is none."""

from __future__ import annotations

import pytest
import torch
from simulated_frames import make_frames, rings_of, rms

from warptui.engine.ops.common.patches import patch_grid
from warptui.engine.ops.motion.data_term import make_comparison
from warptui.engine.ops.motion.field import Field, Model, fit_field, make_model
from warptui.engine.ops.motion.prior import START

IMAGE, PATCH, PIXEL, N_FRAMES = (400, 320), 80, 3.0, 10
GRID = (5, 5, 5)


def weak(k: torch.Tensor) -> torch.Tensor:
    return 0.25 * torch.exp(-40 * k**2 - 8 * k)


def make_doming(model_grid, amplitude: float) -> torch.Tensor:
    """(patch, frame, 2) Å: outwards from the centre, fast at first."""
    centres = model_grid.centres_yx / torch.tensor(IMAGE, dtype=torch.float64) - 0.5
    course = 1 - torch.exp(-torch.arange(N_FRAMES, dtype=torch.float64) / 3)
    return 2 * amplitude * centres[:, None] * course[:, None]


def fit(amplitude: float, seed: int, snr=weak) -> tuple[Field, Model, torch.Tensor]:
    grid = patch_grid(IMAGE, PATCH)
    drift = torch.zeros(N_FRAMES, 2, dtype=torch.float64)
    drift[:, 0] = 8 * (1 - torch.exp(-torch.arange(N_FRAMES, dtype=torch.float64) / 4))
    truth = drift + make_doming(grid, amplitude)
    # patches as in the stage: what the global track says is taken back already
    spectra = make_frames(truth - drift, snr, (PATCH, PATCH), PIXEL, seed)
    comparison = make_comparison(
        spectra, rings_of((PATCH, PATCH), PIXEL, 16), dose=None, voltage=300, b_factor=0.0
    )
    model = make_model(grid, IMAGE, N_FRAMES, N_FRAMES, GRID)
    model = model._replace(areas=torch.ones_like(model.areas))  # these patches have no window
    field = fit_field(
        comparison,
        model,
        -drift,
        -drift,
        START,
        shape_yx=IMAGE,
        local_xyt=GRID,
    )
    return field, model, truth


def shifts_of(field: Field, model: Model) -> torch.Tensor:
    return model.shifts(torch.cat([field.global_nodes, field.local_nodes]))


@pytest.mark.parametrize("amplitude", [3.0, 10.0])
def test_a_local_field_is_recovered(amplitude):
    field, model, truth = fit(amplitude, seed=1)
    wrong = rms(shifts_of(field, model) + truth)
    without = rms(make_doming(patch_grid(IMAGE, PATCH), amplitude))
    assert wrong < 0.3
    assert wrong < 0.35 * without
    assert field.prior.local > 0 and field.evidence_gain > 5


def test_without_local_motion_the_local_field_has_amplitude_zero():
    unused = 0
    for seed in range(6):
        field, model, truth = fit(0.0, seed=20 + seed)
        unused += field.prior.local == 0
        if field.prior.local == 0:
            assert (field.local_nodes == 0).all() and field.evidence_gain == 0
        assert rms(shifts_of(field, model) + truth) < 0.15
    assert unused >= 4


def test_on_noise_local_motion_stays_below_the_error_that_is_told():
    for seed in range(4):
        field, model, _ = fit(0.0, seed=seed, snr=torch.zeros_like)
        moved = shifts_of(field, model)
        error = field.error if field.prior.local > 0 else 1e-9  # none means none
        assert rms(moved - moved.mean(0)) <= error


def test_the_error_that_the_fit_expects_is_the_error_that_it_makes():
    made, said = [], []
    for seed in range(5):
        field, model, truth = fit(4.0, seed=40 + seed)
        made.append(rms(shifts_of(field, model) + truth) ** 2)
        said.append(field.error**2)
    assert 0.5 < (sum(said) / sum(made)) ** 0.5 < 2.0


def test_model_shifts_and_gradients_belong_together():
    model = make_model(patch_grid(IMAGE, PATCH), IMAGE, N_FRAMES, 4, (3, 2, 2))
    generator = torch.Generator().manual_seed(0)
    nodes = torch.randn(4 + 12, 2, generator=generator, dtype=torch.float64)
    score = torch.randn(model.shifts(nodes).shape, generator=generator, dtype=torch.float64)
    # <score, shifts(nodes)> = <pull_back(score), nodes> for every pair
    assert float((score * model.shifts(nodes)).sum()) == pytest.approx(
        float((model.pull_back(score) * nodes).sum()), rel=1e-9
    )


def test_information_of_nodes_is_that_of_the_shifts_they_make():
    model = make_model(patch_grid(IMAGE, PATCH), IMAGE, N_FRAMES, 5, (3, 3, 2))
    generator = torch.Generator().manual_seed(1)
    root = torch.randn(N_FRAMES, N_FRAMES, generator=generator, dtype=torch.float64)
    frames = root @ root.T
    nodes = torch.randn(5 + 18, 2, generator=generator, dtype=torch.float64)
    shifts = model.shifts(nodes)
    expected = torch.einsum("ptc,tu,puc,p->", shifts, frames, shifts, model.areas)
    found = (nodes * (model.information(frames) @ nodes)).sum()
    assert float(found) == pytest.approx(float(expected), rel=1e-9)
