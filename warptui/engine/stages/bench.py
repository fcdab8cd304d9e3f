"""What stages work on: a bench with an item, its results and products, and capabilities.

Every stage gets a `Bench`. What a stage needs beyond that, it names in the annotation of its run
function, as a protocol made of these::

    class PickingBench(Bench, HasPicks, HasModels, Protocol): ...

    def run(item: Item, bench: PickingBench, settings: PickingSettings) -> PickingResult: ...
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import torch

    from warptui.engine.formats.mrc import StackWriter
    from warptui.engine.formats.star.particles import ParticleOptics, ParticleTable
    from warptui.engine.formats.star.picks import Candidates
    from warptui.engine.model.edits import Chosen, Edits
    from warptui.engine.model.item import Item
    from warptui.engine.nets.boxnet import BoxNet
    from warptui.engine.ops.frames.counts import Counts
    from warptui.engine.stages.base import InputView, OpticsView, Product, StageResult
    from warptui.engine.stages.movie.average import AverageSettings


class Products(Protocol):
    """The declared products of one item."""

    def save(self, product: Product, image: torch.Tensor, pixel_size: float = 0.0) -> str:
        """Check and write ``image``, with ``pixel_size`` in Å/px; the file's path in the project.

        Raises OutputError if the product's check refuses the image.
        """
        ...

    def load(self, product: Product) -> torch.Tensor:
        """``(y, x)`` float32 on the device. Raises InputError if the file is gone."""
        ...

    def discard(self, product: Product) -> None:
        """Remove the file if there is one."""
        ...

    def identity(self, product: Product) -> list[int]:
        """Size and time of the file, which another file does not share. Raises InputError."""
        ...


class Bench(Protocol):
    """What every stage has."""

    @property
    def item(self) -> Item: ...
    @property
    def device(self) -> torch.device: ...
    @property
    def input(self) -> InputView: ...
    @property
    def optics(self) -> OpticsView: ...
    @property
    def results(self) -> dict[str, StageResult]: ...  # of the stages that ran before, by name
    @property
    def notes(self) -> list[str]: ...  # what the user should know about the input
    @property
    def products(self) -> Products: ...

    def progress(self, fraction: float, /) -> None:
        """Report how far the stage is, 0..1. Raises Cancelled if the stage must stop."""
        ...


class Frames(Protocol):
    """The corrected frames of a movie, made one at a time: all of them would fill the memory."""

    n_frames: int
    shape_yx: tuple[int, int]

    def __getitem__(self, index: int) -> torch.Tensor: ...
    def read(self, index: int, out: torch.Tensor | None) -> torch.Tensor: ...
    def counts(self) -> Counts | None: ...


class FrameSource(Protocol):
    """The raw file of a movie and what belongs to it."""

    @property
    def pixel_size(self) -> float: ...  # Å/px of the raw frames; known after `open`
    @property
    def dose_per_frame(self) -> float | None: ...  # e/Å²; None = unknown; known after `open`

    def open(self) -> Frames:
        """The frames, gain- and defect-corrected; read from disk once.

        Raises InputError if they cannot be used, TransientError if the file system hiccups.
        """
        ...

    @property
    def tilt_deg(self) -> float | None:
        """Tilt of the stage by the mdoc beside the movie; None = unknown."""
        ...

    def sources(self) -> list[list[int]]:
        """Size and time of each file that frames are made from; another file has others."""
        ...


class PickStore(Protocol):
    """Picks, candidates, edits and the mask of one micrograph."""

    def edits(self) -> Edits:
        """A person's changes of the picks. Raises InputError if they are unreadable."""
        ...

    def candidates(self, key: Mapping[str, Any]) -> Candidates | None:
        """What `save_candidates` kept with an equal ``key``; None without."""
        ...

    def save_candidates(self, found: Candidates, key: Mapping[str, Any]) -> None:
        """Keep candidates and mask, with everything in ``key`` that they depend on."""
        ...

    def save_mask(self, mask: np.ndarray) -> str:
        """Write a mask ``(y, x)`` at 8 Å/px for other programs; its path in the project."""
        ...

    def save(self, model: str, chosen: Chosen, pixel_size: float, micrograph: str) -> str:
        """Write the picks of a model, and those removed by hand; their path in the project."""
        ...

    def load(self, path: str) -> tuple[np.ndarray, np.ndarray]:
        """Positions (n, 2) y, x in px of the average and scores. Raises InputError if gone."""
        ...


class ParticleStore(Protocol):
    """Particle stacks of one micrograph. A ``half`` is "", "odd" or "even"."""

    def open_stack(self, suffix: str, half: str, box_px: int, pixel_size: float) -> StackWriter:
        """A stack to add particles to; ``pixel_size`` in Å/px."""
        ...

    def stack_path(self, suffix: str) -> str:
        """The stack of all particles, relative to the project."""
        ...

    def save_list(
        self, suffix: str, table: ParticleTable, optics: ParticleOptics, made_of: str
    ) -> str:
        """Write the STAR file of a stack; ``made_of`` distinguishes its images from others."""
        ...

    def has(self, suffix: str, made_of: str, halves: Sequence[str]) -> bool:
        """Whether the stacks are there and made of this."""
        ...

    def discard(self, suffix: str) -> None:
        """Remove the list, then the stacks that it names."""
        ...


class ModelCache(Protocol):
    """BoxNet models by name or path. Raises InputError if absent, damaged or too new."""

    def net(self, name: str) -> BoxNet:
        """The network on this device, ready for inference."""
        ...

    def hash(self, name: str) -> str:
        """SHA-256 of the model's file."""
        ...


class HasFrames(Protocol):
    """A bench with a movie's frames."""

    @property
    def frames(self) -> FrameSource: ...


class HasPicks(Protocol):
    """A bench with picks."""

    @property
    def picks(self) -> PickStore: ...


class HasParticles(Protocol):
    """A bench with particle stacks."""

    @property
    def particles(self) -> ParticleStore: ...


class HasModels(Protocol):
    """A bench with networks."""

    @property
    def models(self) -> ModelCache: ...


class HasAveraging(Protocol):
    """A bench with settings of [average]: how frames are weighted, wherever that is done."""

    @property
    def averaging(self) -> AverageSettings: ...


class HasDeconvolution(Protocol):
    """A bench with the settings of the deconvolved average."""

    @property
    def deconvolution(self) -> list[float]:
        """Strength, fall-off and high-pass; empty = not wanted."""
        ...


class HasParticleSize(Protocol):
    """A bench with the size of a particle."""

    @property
    def diameter_angstrom(self) -> float: ...


class FrameBench(Bench, HasFrames, Protocol):
    """What the stages that read frames have in common."""
