"""The curated set: simulated examples that every training includes, against forgetting.

The program includes the curated set as a bundle of simulated micrographs. ``python -m
warptui.engine.training.corpus FOLDER`` makes the bundle from a folder of atomic models and maps,
with the same result every time.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from warptui.engine.errors import InputError, TrainingError
from warptui.engine.training.bundle import (
    SUFFIX,
    Entry,
    Origin,
    content_hash,
    read_bundle,
    read_manifest,
    write_bundle,
)
from warptui.engine.training.example import PIXEL_SIZE, Example

N_SCENES = 48
SCENE_PX = 320
N_VIEWS = 40  # of each species
LIGHTEST_KDA = 35.0  # smaller ones cannot be seen at 8 Å/px
SEED = 21_000_000
_MAPS = (".mrc", ".map")
_CONTOUR_SIGMAS = 3.0  # density above the mean that counts as particle
_DALTONS_PER_ANGSTROM3 = 0.81  # of protein
MEASURED_EVERY = 6  # of the set: every so many-th example is held out


def corpus_path() -> Path:
    """Path of the curated set that the program includes."""
    return Path(str(resources.files("warptui.engine.training") / "data" / f"curated{SUFFIX}"))


@cache
def corpus_hash() -> str:
    """Hash of the content of the curated set."""
    return content_hash(read_manifest(corpus_path())["examples"])


def read_corpus() -> tuple[list[Example], list[Example]]:
    """The curated set, split into examples to train on and examples only to measure on."""
    examples = [entry.example for entry in read_bundle(corpus_path())]
    measured = examples[MEASURED_EVERY - 1 :: MEASURED_EVERY]
    learned = [one for i, one in enumerate(examples) if i % MEASURED_EVERY != MEASURED_EVERY - 1]
    return learned, measured


def read_models(folders: Sequence[Path]) -> list[Any]:
    """Particles from atomic models and maps (PDB, mmCIF, MRC), given as files or folders, by name.

    Raises
    ------
    TrainingError
        If no particle is large enough for BoxNet.
    """
    from warptui.engine.simulation.density import is_model, read_particle

    paths = [
        path
        for folder in folders
        for path in (sorted(folder.iterdir()) if folder.is_dir() else [folder])
    ]
    particles = [read_particle(path) for path in paths if is_model(path)]
    particles += [_read_map(path) for path in paths if path.suffix.lower() in _MAPS]
    large = [particle for particle in particles if particle.mass_kda >= LIGHTEST_KDA]
    if not large:
        where = ", ".join(map(str, folders))
        raise TrainingError(
            f"{where}: {len(particles)} models, all lighter than {LIGHTEST_KDA:g} kDa; "
            "expected PDB, mmCIF or MRC files"
        )
    return large


def _read_map(path: Path) -> Any:
    """A particle from a density map: density above the noise, scaled to the mass of protein."""
    from warptui.engine.formats.mrc import read_mrc
    from warptui.engine.simulation.density import particle_from_map

    volume, pixel_size = read_mrc(path)
    if volume.ndim != 3 or not pixel_size:
        raise InputError(f"{path}: expected a density map (z, y, x) with a pixel size")
    threshold = float(volume.mean() + _CONTOUR_SIGMAS * volume.std())
    volume_angstrom3 = float((volume > threshold).sum()) * pixel_size**3
    mass_kda = volume_angstrom3 * _DALTONS_PER_ANGSTROM3 / 1e3
    return particle_from_map(path, threshold=threshold, mass_kda=max(mass_kda, 1.0))


def make_scenes(
    particles: Sequence[Any],
    count: int,
    size_px: int,
    *,
    seed: int = SEED,
    n_views: int = N_VIEWS,
    on_progress: Callable[[float], None] = lambda fraction: None,
) -> Iterator[Example]:
    """Simulate micrographs with these particles; the same arguments give the same micrographs."""
    import torch

    from warptui.engine.ops.picking.segmentation import normalise
    from warptui.engine.simulation.scene import draw_settings, make_scene
    from warptui.engine.simulation.species import make_all_species

    species = make_all_species(particles, n_views, PIXEL_SIZE, seed)
    for number in range(count):
        settings = draw_settings(seed + number, len(species), (size_px, size_px))
        scene = make_scene(settings, species)
        on_progress((number + 1) / count)
        yield Example(
            f"scene_{seed + number}",
            normalise(torch.from_numpy(scene.image)).numpy(),
            scene.labels,
            scene.certainty,
            scene.centres_yx_px.astype(np.float32).reshape(-1, 2),
            scene.diameters_angstrom.astype(np.float32),
            " + ".join(species[index].name for index in settings.species),
            "simulated",
        )


def main(arguments: list[str] | None = None) -> int:
    """Make the curated set from the command line."""
    parser = argparse.ArgumentParser(prog="warptui.engine.training.corpus", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--leave-out", nargs="*", default=[], metavar="PART_OF_NAME")
    parser.add_argument("--output", type=Path, default=corpus_path())
    parser.add_argument("--scenes", type=int, default=N_SCENES)
    options = parser.parse_args(arguments)
    try:
        found = read_models(options.folders)
    except (InputError, TrainingError) as problem:
        print(problem, file=sys.stderr)
        return 2
    particles = [p for p in found if not any(part in p.name for part in options.leave_out)]
    origin = Origin(
        "the warptui developers",
        "CC0-1.0",
        PIXEL_SIZE,
        "simulated by warptui from models of the Protein Data Bank (CC0)",
    )
    scenes = make_scenes(particles, options.scenes, SCENE_PX)
    entries = [Entry(example, origin) for example in scenes]
    print(write_bundle(options.output, entries), options.output.stat().st_size)
    return 0


if __name__ == "__main__":
    sys.exit(main())
