"""Natural interpolating cubic splines on coarse grids (paper: *Spline interpolation*).

Nodes lie evenly from edge to edge of [0, 1]. One node is a constant, two a straight line;
from three on the second derivative vanishes at both ends. Outside [0, 1] the edge
polynomial goes on. The value is linear in the nodes, so that every function here returns
weights: value = weights @ nodes.
"""

from __future__ import annotations

import torch
from torch import Tensor


def spline_weights(n_nodes: int, positions: Tensor) -> Tensor:
    """Weights of ``n_nodes`` spline nodes at ``positions``.

    Parameters
    ----------
    n_nodes
        Number of nodes, at least 1.
    positions
        ``(n,)`` positions; 0 and 1 are the first and the last node.

    Returns
    -------
    Tensor
        ``(n, n_nodes)`` float64 weights; each row sums to 1.
    """
    x = positions.to(torch.float64)
    if n_nodes == 1:
        return torch.ones(len(x), 1, dtype=torch.float64, device=x.device)
    identity = torch.eye(n_nodes, dtype=torch.float64, device=x.device)
    curvature = _second_derivatives(n_nodes).to(x.device)
    x = x * (n_nodes - 1)
    left = x.floor().clamp(0, n_nodes - 2).to(torch.long)
    b = x - left
    a = 1 - b
    return (
        a[:, None] * identity[left]
        + b[:, None] * identity[left + 1]
        + ((a**3 - a)[:, None] * curvature[left] + (b**3 - b)[:, None] * curvature[left + 1]) / 6
    )


def grid_weights(grid_xyt: tuple[int, int, int], x: Tensor, y: Tensor, t: Tensor) -> Tensor:
    """Weights of a spline grid of x, y, time nodes at scattered points.

    Parameters
    ----------
    grid_xyt
        Number of nodes along x, y and time.
    x, y, t
        ``(n,)`` positions as fractions of the edges and of the movie.

    Returns
    -------
    Tensor
        ``(n, nt * ny * nx)`` float64 weights, nodes x fastest, then y, then time.
    """
    wx, wy, wt = (spline_weights(n, p) for n, p in zip(grid_xyt, (x, y, t), strict=True))
    return (wt[:, :, None, None] * wy[:, None, :, None] * wx[:, None, None, :]).flatten(1)


def nodes_through(values: Tensor, n_nodes: int) -> Tensor:
    """Nodes of the spline that fits ``values`` ``(n, ...)`` on [0, 1] best; ``(node, ...)``."""
    weights = spline_weights(n_nodes, torch.linspace(0, 1, len(values), dtype=torch.float64))
    return torch.linalg.lstsq(weights, values.to(torch.float64)).solution


def _second_derivatives(n_nodes: int) -> Tensor:
    """``(node, node)`` matrix that maps node values to second derivatives at the nodes."""
    result = torch.zeros(n_nodes, n_nodes, dtype=torch.float64)
    if n_nodes < 3:
        return result
    n = n_nodes - 2
    ones = torch.ones(n - 1, dtype=torch.float64)
    system = torch.diag(torch.full((n,), 4.0, dtype=torch.float64))
    system += torch.diag(ones, 1) + torch.diag(ones, -1)
    differences = torch.zeros(n, n_nodes, dtype=torch.float64)
    for i in range(n):
        differences[i, i : i + 3] = torch.tensor([6.0, -12.0, 6.0], dtype=torch.float64)
    result[1:-1] = torch.linalg.solve(system, differences)
    return result
