"""Natural cubic splines, to draw motion between the nodes of its grid."""

from __future__ import annotations

import numpy as np


def evaluate_natural_spline(nodes: np.ndarray, n_points: int) -> np.ndarray:
    """Values at ``n_points`` positions from the first to the last node.

    Parameters
    ----------
    nodes
        (node, ...) values at equal distances. One node is a constant, two are a line.
    n_points
        How many positions; their first and last are the outer nodes.

    Returns
    -------
    (point, ...) values. The curve passes through the nodes, and its second derivative is zero
    at both ends.
    """
    nodes = np.asarray(nodes, dtype=float)
    n = len(nodes)
    if n == 1:
        return np.repeat(nodes, n_points, axis=0)
    position = np.linspace(0, n - 1, n_points)
    left = np.clip(position.astype(int), 0, n - 2)
    bend = _second_derivatives(nodes)
    shape = (-1,) + (1,) * (nodes.ndim - 1)
    b = (position - left).reshape(shape)
    a = 1 - b
    return (
        a * nodes[left]
        + b * nodes[left + 1]
        + ((a**3 - a) * bend[left] + (b**3 - b) * bend[left + 1]) / 6
    )


def _second_derivatives(nodes: np.ndarray) -> np.ndarray:
    """At the nodes; a tridiagonal system (1, 4, 1) solved by forward and back substitution."""
    n = len(nodes)
    bend = np.zeros_like(nodes)
    if n < 3:
        return bend
    right = 6 * (nodes[:-2] - 2 * nodes[1:-1] + nodes[2:])
    upper = np.zeros(n - 2)
    for i in range(n - 2):
        pivot = 4 - (upper[i - 1] if i else 0)
        upper[i] = 1 / pivot
        right[i] = (right[i] - (right[i - 1] if i else 0)) / pivot
    for i in range(n - 4, -1, -1):
        right[i] -= upper[i] * right[i + 1]
    bend[1:-1] = right
    return bend
