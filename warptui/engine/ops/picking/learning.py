"""Loss and learning rate of BoxNet."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

FIRST_RATE, LAST_RATE = 1e-2, 1e-5  # paper, *Initial training of BoxNet*
MOMENTUM = 0.9
WEIGHT_DECAY = 1e-4
_BORDER_PX = 32  # half of the tiles' overlap: answers there are not used
_BORDER_WEIGHT = 0.1


def segmentation_loss(logits: Tensor, labels: Tensor, certainty: Tensor) -> Tensor:
    """Mean cross-entropy (batch, 3, y, x) against labels, weighted by certainty and class.

    Background pixels outnumber the others; they count the cube root of the proportion, so that
    a rare particle is worth finding and background still is worth knowing.
    """
    weights = certainty * border_weights(labels.shape[-1], labels.device)
    weights = torch.where(labels == 0, weights * background_weight(labels, certainty), weights)
    losses = F.cross_entropy(logits, labels.long(), reduction="none")
    return (losses * weights).sum() / weights.sum().clamp_min(1.0)


def background_weight(labels: Tensor, certainty: Tensor) -> float:
    """Of the whole batch: (marked pixels / background pixels)^(1/3), at most one."""
    sure = certainty > 0
    background = float(((labels == 0) & sure).sum())
    marked = float(((labels == 1) & sure).sum()) or float(((labels == 2) & sure).sum())
    if background == 0 or marked == 0:
        return 1.0
    return min(1.0, (marked / background) ** (1 / 3))


def border_weights(size: int, device: torch.device) -> Tensor:
    """(size, size): what answers at the border of a tile count, which others overlap."""
    inner = torch.full((size,), _BORDER_WEIGHT, device=device)
    inner[_BORDER_PX : size - _BORDER_PX] = 1.0
    return torch.minimum(inner[:, None], inner[None, :])


def learning_rate(step: int, n_steps: int, first: float, last: float) -> float:
    """From ``first`` to ``last`` with constant proportion per step, after a short warm-up."""
    warm_up = max(1, min(200, n_steps // 20))
    if step < warm_up:
        return first * (step + 1) / warm_up
    share = (step - warm_up) / max(1, n_steps - warm_up)
    return first * (last / first) ** share
