"""The spline that motion is drawn with."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from warptui.screens.widgets.pictures.spline import evaluate_natural_spline


@pytest.mark.parametrize("n_nodes", [2, 3, 4, 7, 40])
def test_it_is_the_natural_cubic_spline(n_nodes: int) -> None:
    nodes = np.random.default_rng(n_nodes).normal(size=(n_nodes, 2))
    ours = evaluate_natural_spline(nodes, 101)
    oracle = CubicSpline(np.linspace(0, 1, n_nodes), nodes, bc_type="natural")
    np.testing.assert_allclose(ours, oracle(np.linspace(0, 1, 101)), atol=1e-9)


def test_one_node_is_a_constant() -> None:
    assert (evaluate_natural_spline(np.array([[3.0]]), 5) == 3).all()


def test_as_many_points_as_nodes_give_the_nodes_back() -> None:
    nodes = np.random.default_rng(1).normal(size=2000)
    np.testing.assert_allclose(evaluate_natural_spline(nodes, 2000), nodes, atol=1e-9)
