"""tensor -> tensor. torch, numba, math and einops only."""
