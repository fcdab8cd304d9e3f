"""Rows of particles: the CTF at each place, as another program reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import starfile
import torch
from scipy.interpolate import CubicSpline

from warptui.engine.formats.star.particles import (
    ParticleOptics,
    local_ctf,
    natural_weights,
    particle_rows,
    write_particles,
)
from warptui.engine.formats.star.picks import read_picks, write_picks
from warptui.engine.ops.common.splines import spline_weights

SHAPE = (800, 1000)
AVERAGE = {"shape_yx": SHAPE, "pixel_size": 1.5, "average_path": "average/m.mrc"}
PLACES = np.array([[10.25, 20.5], [400.0, 500.0], [799.0, 999.0]])
SCORES = np.array([0.99, 0.5, 1.0])


def tilted(n_t: int = 1, **changes: Any) -> dict[str, Any]:
    """A CTF whose defocus grows by 1 µm along x and 0.5 along y."""
    y, x = np.meshgrid(np.linspace(0, 1, 4), np.linspace(0, 1, 5), indexing="ij")
    plane = 1 + x + 0.5 * y
    ctf = {
        "defocus_um": 1.75,
        "astigmatism_um": -0.2,
        "astigmatism_angle_deg": 30.0,
        "phase_shift_deg": 90.0,
        "resolution": 3.5,
        "grid": (5, 4, n_t),
        "grid_defocus_um": np.concatenate([plane.ravel() + 0.1 * t for t in range(n_t)]).tolist(),
    }
    return {**ctf, **changes}


def test_defocus_follows_the_grid_at_each_place() -> None:
    found = local_ctf(tilted(), SHAPE, PLACES)
    assert found is not None
    expected = 1 + PLACES[:, 1] / 999 + 0.5 * PLACES[:, 0] / 799
    np.testing.assert_allclose((found.defocus_u + found.defocus_v) / 2e4, expected, atol=1e-9)
    # a negative u - v is the same ellipse, turned
    np.testing.assert_allclose(found.defocus_u - found.defocus_v, 2000, atol=1e-6)
    assert found.angle_deg == 120


def test_a_grid_over_time_is_taken_in_the_mean() -> None:
    found = local_ctf(tilted(n_t=2, grid_phase_shift_deg=[80.0, 100.0]), SHAPE, PLACES[1:2])
    assert found is not None
    expected = 1 + 500 / 999 + 0.5 * 400 / 799 + 0.05
    assert (found.defocus_u + found.defocus_v)[0] / 2e4 == pytest.approx(expected)
    assert found.phase_shift_deg == pytest.approx(90)


def test_without_a_grid_the_defocus_is_one() -> None:
    found = local_ctf(tilted(grid_defocus_um=[]), SHAPE, PLACES)
    assert found is not None
    np.testing.assert_allclose(found.defocus_u, 1e4 * 1.85)
    assert local_ctf({"defocus_um": None}, SHAPE, PLACES) is None


@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_splines_are_those_of_the_stages(n: int) -> None:
    at = np.linspace(-0.1, 1.1, 13)
    ours = natural_weights(n, at)
    np.testing.assert_allclose(ours, spline_weights(n, torch.from_numpy(at)).numpy(), atol=1e-12)
    if n > 2:
        nodes = np.random.default_rng(n).normal(size=n)
        inside = at[(at >= 0) & (at <= 1)]
        theirs = CubicSpline(np.linspace(0, 1, n), nodes, bc_type="natural")(inside)
        np.testing.assert_allclose(natural_weights(n, inside) @ nodes, theirs, atol=1e-12)


def test_another_program_reads_the_file(tmp_path: Path) -> None:
    table = particle_rows(AVERAGE, tilted(), PLACES, SCORES, stack="particles/m_boxnet.mrcs")
    path = tmp_path / "particles" / "m_boxnet.star"
    write_particles(path, table, ParticleOptics(0.75, 1.5, 200.0, 1.4, 0.1, 2.0, 128))
    found: Any = starfile.read(path)
    optics, rows = found["optics"], found["particles"]
    assert optics.rlnImagePixelSize[0] == 2 and optics.rlnImageSize[0] == 128
    assert optics.rlnMicrographOriginalPixelSize[0] == 0.75
    assert optics.rlnVoltage[0] == 200 and optics.rlnSphericalAberration[0] == 1.4
    assert rows.rlnImageName[2] == "000003@particles/m_boxnet.mrcs"
    np.testing.assert_allclose(rows[["rlnCoordinateY", "rlnCoordinateX"]], PLACES)
    np.testing.assert_allclose(rows.rlnAutopickFigureOfMerit, SCORES)
    np.testing.assert_allclose(rows.rlnPhaseShift, 90)
    assert (rows.rlnMicrographName == "average/m.mrc").all() and rows.columns[
        -1
    ] == "rlnOpticsGroup"


def test_rows_without_images_and_without_a_ctf() -> None:
    table = particle_rows(AVERAGE, {}, PLACES, SCORES)
    assert "rlnImageName" not in table.labels and "rlnDefocusU" not in table.labels
    assert table.lines[0] == "20.500 10.250 average/m.mrc 0.9900 1"
    assert particle_rows(AVERAGE, tilted(), PLACES[:0], SCORES[:0]).lines == ()


def test_picks_are_read_back(tmp_path: Path) -> None:
    write_picks(tmp_path / "a.star", PLACES, SCORES, "m.mrc")
    places, scores = read_picks(tmp_path / "a.star")
    np.testing.assert_allclose(places, PLACES)
    np.testing.assert_allclose(scores, SCORES)
    write_picks(tmp_path / "b.star", PLACES[:0], SCORES[:0], "m.mrc")
    places, scores = read_picks(tmp_path / "b.star")
    assert places.shape == (0, 2) and scores.shape == (0,)
