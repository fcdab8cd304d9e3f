"""Scores of a network on examples, with picks made by the rules of the picking stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from warptui.engine.nets.boxnet import BoxNet
from warptui.engine.ops.picking.choice import choose
from warptui.engine.ops.picking.crowding import adapt_to_abundance
from warptui.engine.ops.picking.picks import find_artifacts, find_components
from warptui.engine.ops.picking.segmentation import segment
from warptui.engine.training.example import (
    MATCHING_SHARE,
    PIXEL_SIZE,
    Example,
    Tally,
    count_matches,
)

SCORES = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)  # values of picking.min_score that are tried


@dataclass(frozen=True)
class Rule:
    """The rules in [picking] that decide which candidates are picks."""

    min_score: float
    min_mask_distance_angstrom: float = 0.0
    diameter_angstrom: float = 200.0  # used if an example has no particles


def examine(
    net: BoxNet, example: Example, rule: Rule, device: torch.device
) -> tuple[Tally, np.ndarray]:
    """Score a network on one example; also returns its picks (n, 3): y and x in px, score.

    Picks and particles in areas of weight 0 are left out.
    """
    probabilities = _answer(net, example, device)
    return _judge(probabilities, example, rule)


def try_scores(
    net: BoxNet,
    examples: Sequence[Example],
    rule: Rule,
    device: torch.device,
    lowest: Sequence[float] = SCORES,
) -> dict[float, Tally]:
    """Scores of a network for other values of picking.min_score."""
    found = dict.fromkeys(lowest, Tally())
    for example in examples:
        probabilities = _answer(net, example, device)
        for score in lowest:
            found[score] += _judge(probabilities, example, replace(rule, min_score=score))[0]
    return found


def _answer(net: BoxNet, example: Example, device: torch.device) -> np.ndarray:
    """Class probabilities (3, y, x) of an image."""
    image = torch.from_numpy(example.image).to(device)
    with torch.inference_mode(), autocast(device):
        answers = segment(net, image).float()
        return adapt_to_abundance(answers, float(net.sharpness)).cpu().numpy()


def _judge(probabilities: np.ndarray, example: Example, rule: Rule) -> tuple[Tally, np.ndarray]:
    candidates = find_components(probabilities)
    table = np.column_stack([candidates.centres_yx_px, candidates.scores, candidates.areas_px])
    chosen = choose(
        table.reshape(-1, 4),
        find_artifacts(probabilities),
        PIXEL_SIZE,
        example.diameter_angstrom or rule.diameter_angstrom,
        rule.min_score,
        rule.min_mask_distance_angstrom,
    )
    picks = np.column_stack([chosen.positions_yx_angstrom / PIXEL_SIZE, chosen.scores])
    counted = picks[_counts(example, picks[:, :2])]
    known = _counts(example, example.centres_yx_px)
    limits = MATCHING_SHARE * example.diameters_angstrom[known] / PIXEL_SIZE
    answers = probabilities.argmax(axis=0)
    weights = np.minimum(example.certainty, 1.0)
    tally = Tally(
        found=len(counted),
        there=int(known.sum()),
        right=count_matches(counted[:, :2], example.centres_yx_px[known], limits),
        pixels=float(weights.sum()),
        right_pixels=float(weights[answers == example.labels].sum()),
    )
    return tally, picks


def measure(net: BoxNet, examples: Sequence[Example], rule: Rule, device: torch.device) -> Tally:
    """Score a network on all examples together."""
    was_training = net.training
    net.eval()
    tally = Tally()
    for example in examples:
        tally += examine(net, example, rule, device)[0]
    net.train(was_training)
    return tally


def autocast(device: torch.device) -> torch.autocast:
    """A context with half precision, on devices where it is faster."""
    on_gpu = device.type == "cuda"
    return torch.autocast(device.type, torch.bfloat16, enabled=on_gpu)


def _counts(example: Example, positions: np.ndarray) -> np.ndarray:
    """(n,) bool: whether the label at each of these places (n, 2) is certain."""
    ny, nx = example.certainty.shape
    rows, columns = np.round(positions).astype(int).T.reshape(2, -1)
    return example.certainty[rows.clip(0, ny - 1), columns.clip(0, nx - 1)] > 0
