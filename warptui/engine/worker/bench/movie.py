"""The bench of one movie: composed of its frames, products, picks, particles and models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType

import torch

from warptui.engine.config.sections import InputSettings, OpticsSettings
from warptui.engine.config.settings import Config
from warptui.engine.model.item import Item
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.stages.base import StageResult
from warptui.engine.stages.bench import ParticleStore, PickStore, Products
from warptui.engine.stages.movie.average import AverageSettings
from warptui.engine.stages.movie.picking import PickingSettings
from warptui.engine.worker.bench.inputs import MovieFrames
from warptui.engine.worker.bench.models import NetCache
from warptui.engine.worker.bench.particle_files import project_particles
from warptui.engine.worker.bench.pick_files import PickFiles
from warptui.engine.worker.bench.products import ProductFiles


@dataclass
class MovieBench:
    """One movie on one device; see `warptui.engine.stages.bench` for the capabilities."""

    item: Item
    device: torch.device
    input: InputSettings
    optics: OpticsSettings
    averaging: AverageSettings
    deconvolution: list[float]
    diameter_angstrom: float
    results: dict[str, StageResult]
    notes: list[str]
    progress: Callable[[float], None]
    frames: MovieFrames
    products: Products
    picks: PickStore
    particles: ParticleStore
    models: NetCache
    pictures: dict[str, str] = field(default_factory=dict)  # of a trial: files by name

    def __enter__(self) -> MovieBench:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.frames.close()


def open_bench(
    item: Item,
    project: ProjectPaths,
    config: Config,
    device: str,
    *,
    threads: int,
    on_progress: Callable[[float], None],
) -> MovieBench:
    """A bench that reads and writes the files of a project.

    ``on_progress`` gets a stage's progress, 0..1, and raises Cancelled if the stage must stop.
    """
    average, picking = config.stage("average"), config.stage("picking")
    assert isinstance(picking, PickingSettings)
    averaging = average if isinstance(average, AverageSettings) else AverageSettings()
    torch.set_num_threads(max(1, threads))
    notes: list[str] = []
    on = torch.device(device)
    frames = MovieFrames(
        item.path, project.root, config.input, on,
        threads=threads, progress=on_progress, notes=notes,
    )  # fmt: skip
    return MovieBench(
        item=item,
        device=on,
        input=config.input,
        optics=config.optics,
        averaging=averaging,
        deconvolution=averaging.deconvolution,
        diameter_angstrom=picking.diameter_angstrom,
        results={},
        notes=notes,
        progress=on_progress,
        frames=frames,
        products=ProductFiles(project.root, item, on),
        picks=PickFiles(project, item.root_name),
        particles=project_particles(project, item.root_name),
        models=NetCache(project.root, on),
    )
