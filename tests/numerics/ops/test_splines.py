"""Grids interpolate as natural cubic splines do: scipy's, and Warp's own numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import starfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline

from warptui.engine.ops.common.splines import grid_weights, nodes_through, spline_weights

POSITIONS = st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=20)
NODES = st.integers(1, 12)


def column(values) -> torch.Tensor:
    return torch.tensor(np.asarray(values), dtype=torch.float64)


@given(n=st.integers(3, 15), positions=POSITIONS, seed=st.integers(0, 1000))
def test_inside_and_outside_it_is_scipys_natural_spline(n, positions, seed):
    nodes = np.random.default_rng(seed).normal(size=n)
    oracle = CubicSpline(np.linspace(0, 1, n), nodes, bc_type="natural", extrapolate=True)
    ours = spline_weights(n, column(positions)) @ column(nodes)
    np.testing.assert_allclose(ours, oracle(positions), atol=1e-9, rtol=1e-9)


@given(n=NODES, positions=POSITIONS)
def test_weights_sum_to_one_everywhere(n, positions):
    weights = spline_weights(n, column(positions))
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-10)


@given(n=st.integers(2, 20))
def test_it_passes_through_its_nodes(n):
    at_nodes = spline_weights(n, torch.linspace(0, 1, n, dtype=torch.float64))
    torch.testing.assert_close(at_nodes, torch.eye(n, dtype=torch.float64), atol=1e-9, rtol=0)


@given(positions=POSITIONS, value=st.floats(-100, 100))
def test_one_node_is_a_constant(positions, value):
    ours = spline_weights(1, column(positions)) @ column([value])
    np.testing.assert_array_equal(ours, value)


@given(positions=POSITIONS, a=st.floats(-9, 9), b=st.floats(-9, 9))
def test_two_nodes_are_a_straight_line_that_goes_on_outside(positions, a, b):
    ours = spline_weights(2, column(positions)) @ column([a, b])
    np.testing.assert_allclose(ours, a + (b - a) * np.array(positions), atol=1e-12)


@given(n=st.integers(2, 12), positions=POSITIONS, slope=st.floats(-5, 5))
def test_a_straight_line_is_kept_by_any_number_of_nodes(n, positions, slope):
    ours = spline_weights(n, column(positions)) @ column(slope * np.linspace(0, 1, n) + 2)
    np.testing.assert_allclose(ours, slope * np.array(positions) + 2, atol=1e-9)


@given(
    grid=st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5)),
    seed=st.integers(0, 1000),
)
def test_a_grid_is_interpolated_axis_by_axis_with_x_fastest(grid, seed):
    rng = np.random.default_rng(seed)
    nodes = rng.normal(size=grid[::-1])  # t, y, x
    points = rng.uniform(-0.1, 1.1, (7, 3))  # x, y, t

    def along(values: np.ndarray, at: float) -> np.ndarray:
        """Natural spline along the last axis."""
        n = values.shape[-1]
        if n == 1:
            return values[..., 0]
        if n == 2:
            return values[..., 0] + at * (values[..., 1] - values[..., 0])
        return CubicSpline(np.linspace(0, 1, n), values, axis=-1, bc_type="natural")(at)

    expected = [along(along(along(nodes, x), y), t) for x, y, t in points]
    x, y, t = column(points).T
    ours = grid_weights(grid, x, y, t) @ column(nodes.ravel())
    np.testing.assert_allclose(ours, expected, atol=1e-9)


@pytest.mark.shared
@pytest.mark.parametrize("axes", ["x", "xy", "xyz"])
def test_warps_own_grids_give_warps_own_values(shared_data: Path, axes: str):
    blocks = starfile.read(shared_data / "golden" / f"reference{len(axes)}d.star")
    nodes, wanted = blocks["grid"], blocks["eval"]
    size = [int(nodes[f"i{axis}"].max()) + 1 if axis in axes else 1 for axis in "xyz"]
    # every node once, x fastest
    order = sum(
        nodes[f"i{axis}"].to_numpy() * int(np.prod(size[: "xyz".index(axis)])) for axis in axes
    )
    assert (order == np.arange(len(nodes))).all()
    at = [
        column(wanted[axis].to_numpy() if axis in axes else np.zeros(len(wanted))) for axis in "xyz"
    ]
    ours = grid_weights((size[0], size[1], size[2]), *at) @ column(nodes["value"].to_numpy())
    np.testing.assert_allclose(ours, wanted["value"].to_numpy(), atol=3e-6)


@given(n_nodes=st.integers(1, 8), extra=st.integers(0, 20), seed=st.integers(0, 100))
def test_nodes_are_recovered_from_values_of_their_spline(n_nodes, extra, seed):
    nodes = column(np.random.default_rng(seed).normal(size=(n_nodes, 2)))
    time = torch.linspace(0, 1, n_nodes + extra, dtype=torch.float64)
    found = nodes_through(spline_weights(n_nodes, time) @ nodes, n_nodes)
    torch.testing.assert_close(found, nodes, atol=1e-8, rtol=0)
