"""Boxes over their background."""

from __future__ import annotations

import pytest
import torch

from warptui.engine.ops.particles.background import normalise_boxes, normalise_boxes_in_torch


@pytest.mark.parametrize(("size", "radius"), [(64, 20.3), (65, 31.0), (48, 27.0)])
def test_the_background_has_mean_0_and_deviation_1(size: int, radius: float) -> None:
    place = torch.arange(size, dtype=torch.float32)
    noise = torch.randn(3, size, size, generator=torch.Generator().manual_seed(1))
    boxes = 300 + 8 * noise + 0.3 * place[:, None] - 0.2 * place
    middle = place - size // 2
    outside = middle[:, None] ** 2 + middle**2 > radius**2
    boxes[:, ~outside] += 50
    found = normalise_boxes(boxes, radius)
    for image in found:
        background = image[outside]
        assert abs(float(background.mean())) < 1e-4
        assert float(background.std(correction=0)) == pytest.approx(1, abs=1e-4)
    # the plane is gone: the middle stands out evenly
    assert float(found[:, ~outside].mean()) == pytest.approx(50 / 8, rel=0.1)
    torch.testing.assert_close(found, normalise_boxes_in_torch(boxes, radius), rtol=0, atol=1e-3)


def test_boxes_that_are_normalised_stay_as_they_were() -> None:
    boxes = torch.rand(2, 40, 48)[:, :, 4:44]
    before = boxes.clone()
    normalise_boxes(boxes, 15.0)
    torch.testing.assert_close(boxes, before, rtol=0, atol=0)


@pytest.mark.parametrize("way", [normalise_boxes, normalise_boxes_in_torch])
def test_a_disc_that_leaves_no_background_is_refused(way: object) -> None:
    assert callable(way)
    with pytest.raises(ValueError, match="no background"):
        way(torch.rand(1, 32, 32), 30.0)
