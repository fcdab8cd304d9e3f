"""BoxNet: a deep residual network that labels every pixel of a micrograph.

Background, particle or artifact, at 8 Å/px (paper, *Particle picking with a residual neural
net* and Figure 6). 35 residual blocks of two convolutions and two plain convolutions make 72
layers: five contracting groups of five blocks, four expanding groups of two, two final blocks.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

WINDOW_PX = 256  # the input that the network is trained on; any multiple of 16 works
PIXEL_SIZE = 8.0  # Å/px
BACKGROUND, PARTICLE, ARTIFACT = 0, 1, 2
N_LABELS = 3

_CONTRACTING_GROUPS = 5
_BLOCKS_IN_CONTRACTING_GROUP = 5
_BLOCKS_IN_EXPANDING_GROUP = 2
_FINAL_BLOCKS = 2
_LEAK = 0.1


class BoxNet(nn.Module):
    """(batch, 1, y, x) normalised images -> (batch, 3, y, x) logits.

    ``width`` is the number of channels at full resolution: 32 is the paper's network, smaller
    ones serve machines without a GPU. Image sides must be multiples of 16.

    Outside of training the logits are multiplied by ``sharpness``, which lies among the weights:
    a network trained for hours instead of weeks gives 0.7 to particles that it hardly ever
    mistakes, and the thresholds that are usual in the field would pass too few of them.
    """

    sharpness: Tensor

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.width = width
        channels = [width * 2**group for group in range(_CONTRACTING_GROUPS)]

        self.enter = nn.Conv2d(1, width, kernel_size=5, padding=2, bias=False)  # (w, 256, 256)
        # (w, 256²), (2w, 128²), (4w, 64²), (8w, 32²), (16w, 16²)
        self.contract = nn.ModuleList(
            _group(
                _Block(channels[max(group - 1, 0)], channels[group], _stride(group)),
                _BLOCKS_IN_CONTRACTING_GROUP,
            )
            for group in range(_CONTRACTING_GROUPS)
        )
        # (8w, 32²), (4w, 64²), (2w, 128²), (w, 256²); each then meets its mirror image
        self.expand = nn.ModuleList(
            _group(
                _UpBlock(channels[group + 1] * (1 if group == _deepest() else 2), channels[group]),
                _BLOCKS_IN_EXPANDING_GROUP,
            )
            for group in reversed(range(_CONTRACTING_GROUPS - 1))
        )
        self.finish = _group(_Block(2 * width, width), _FINAL_BLOCKS)  # (w, 256²)
        self.activate = _activation(width)
        self.label = nn.Conv2d(width, N_LABELS, kernel_size=1)  # (3, 256²)
        self.register_buffer("sharpness", torch.ones(()))
        self._initialise()

    def forward(self, image: Tensor) -> Tensor:
        """Logits of background, particle and artifact for every pixel."""
        features = self.enter(image)
        mirrors: list[Tensor] = []
        for group in self.contract:
            features = group(features)
            mirrors.append(features)
        mirrors.pop()  # the deepest group has no mirror
        for group in self.expand:
            features = torch.cat((mirrors.pop(), group(features)), dim=1)
        logits = self.label(self.activate(self.finish(features)))
        return logits if self.training else logits * self.sharpness

    def _initialise(self) -> None:
        """Weights for leaky rectifiers; every block starts as its shortcut."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight, a=_LEAK, mode="fan_in")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for module in self.modules():
            if isinstance(module, _Block | _UpBlock):
                last = module.second[-1]
                assert isinstance(last, nn.Conv2d)
                nn.init.zeros_(last.weight)


class _Block(nn.Module):
    """Two 3x3 convolutions, normalised and rectified before each, beside a shortcut.

    The first convolution may halve the extent and change the number of channels; the shortcut
    follows it with a 1x1 convolution.
    """

    def __init__(self, n_in: int, n_out: int, stride: int = 1) -> None:
        super().__init__()
        self.activate = _activation(n_in)
        self.first = nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False)
        self.second = nn.Sequential(
            _activation(n_out), nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        )
        same = n_in == n_out and stride == 1
        self.project = None if same else nn.Conv2d(n_in, n_out, 1, stride=stride, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        activated = self.activate(features)
        shortcut = features if self.project is None else self.project(activated)
        return shortcut + self.second(self.first(activated))


class _UpBlock(nn.Module):
    """A residual block whose first convolution is transposed and doubles the extent."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.activate = _activation(n_in)
        self.first = nn.ConvTranspose2d(
            n_in, n_out, 3, stride=2, padding=1, output_padding=1, bias=False
        )
        self.second = nn.Sequential(
            _activation(n_out), nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        )
        self.project = nn.Sequential(
            nn.Conv2d(n_in, n_out, 1, bias=False), nn.Upsample(scale_factor=2)
        )

    def forward(self, features: Tensor) -> Tensor:
        activated = self.activate(features)
        return self.project(activated) + self.second(self.first(activated))


def _group(first: _Block | _UpBlock, n_blocks: int) -> nn.Sequential:
    """``first`` and ``n_blocks - 1`` more blocks of its number of channels."""
    n_out = first.first.out_channels
    return nn.Sequential(first, *(_Block(n_out, n_out) for _ in range(n_blocks - 1)))


def _activation(n_channels: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(n_channels), nn.LeakyReLU(_LEAK))


def _stride(group: int) -> int:
    return 1 if group == 0 else 2


def _deepest() -> int:
    """The expanding group that follows the contracting part directly."""
    return _CONTRACTING_GROUPS - 2
