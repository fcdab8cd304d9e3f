"""The network's shape is the paper's (Figure 6), and it can learn."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from warptui.engine.nets.boxnet import BoxNet
from warptui.engine.ops.picking.learning import segmentation_loss


def test_the_network_of_the_paper_has_35_blocks_and_72_layers() -> None:
    net = BoxNet(width=32)
    blocks = [module for module in net.modules() if hasattr(module, "first")]
    assert len(blocks) == 35
    in_blocks = sum(
        isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
        for block in blocks
        for layer in (block.first, *block.second.modules())
    )
    assert in_blocks + 2 == 72
    assert net.enter.kernel_size == (5, 5)
    assert net.label.kernel_size == (1, 1)


def test_parameters_are_those_of_the_layers_counted_by_hand() -> None:
    def block(n_in: int, n_out: int, projected: bool) -> int:
        norms = 2 * n_in + 2 * n_out
        return norms + 9 * n_in * n_out + 9 * n_out**2 + (n_in * n_out if projected else 0)

    w = 32
    expected = 25 * w
    channels = [w, 2 * w, 4 * w, 8 * w, 16 * w]
    for index, n in enumerate(channels):
        first = block(n // 2, n, True) if index else block(n, n, False)
        expected += first + 4 * block(n, n, False)
    for n_in, n_out in ((512, 256), (512, 128), (256, 64), (128, 32)):
        expected += block(n_in, n_out, True) + block(n_out, n_out, False)
    expected += block(2 * w, w, True) + block(w, w, False)
    expected += 2 * w + 3 * w + 3
    assert sum(p.numel() for p in BoxNet(w).parameters()) == expected == 34_628_867


@pytest.mark.parametrize("shape", [(256, 256), (64, 112)])
def test_every_pixel_gets_three_logits(shape: tuple[int, int]) -> None:
    net = BoxNet(width=4).eval()
    with torch.inference_mode():
        assert net(torch.zeros(2, 1, *shape)).shape == (2, 3, *shape)


def test_it_sees_far_beyond_a_particle() -> None:
    """A pixel's answer depends on pixels at least 60 away: context tells particles from dirt."""
    torch.manual_seed(0)
    net = BoxNet(width=4).eval()
    for module in net.modules():  # blocks start as their shortcuts: give them something to do
        if hasattr(module, "first"):
            nn.init.kaiming_normal_(module.second[-1].weight)
    image = torch.zeros(1, 1, 256, 256, requires_grad=True)
    net(image)[0, 1, 128, 128].backward()
    assert image.grad is not None
    rows, columns = image.grad[0, 0].nonzero(as_tuple=True)
    assert rows.max() - rows.min() > 120
    assert columns.max() - columns.min() > 120


@pytest.mark.slow
def test_it_learns_discs_within_forty_steps() -> None:
    torch.manual_seed(1)
    net = BoxNet(width=4)
    y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    disc = ((y % 32 - 16) ** 2 + (x % 32 - 16) ** 2) < 25
    labels = disc.to(torch.uint8)[None].repeat(4, 1, 1)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
    for _ in range(40):
        image = torch.randn(4, 1, 64, 64) - 2 * labels[:, None]
        loss = segmentation_loss(net(image), labels, torch.ones(labels.shape))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    net.eval()
    with torch.inference_mode():
        fresh = torch.randn(4, 1, 64, 64) - 2 * labels[:, None]
        found = net(fresh).argmax(dim=1) == 1
    inner = (slice(None), slice(8, 56), slice(8, 56))
    overlap = (found & disc)[inner].sum() / (found | disc)[inner].sum()
    assert overlap > 0.7


def test_answers_are_sharpened_outside_of_training_alone() -> None:
    net = BoxNet(2)
    image = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    net.eval()
    plain = net(image)
    net.sharpness.fill_(4.0)
    torch.testing.assert_close(net(image), 4 * plain)
    assert "sharpness" in net.state_dict()  # goes with the weights into files and retraining
    net.train()
    for module in net.modules():  # the same statistics as before
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    torch.testing.assert_close(net(image), plain)
