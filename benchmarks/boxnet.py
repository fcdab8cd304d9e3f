"""How well a BoxNet model picks and masks what it has not seen.

    python benchmarks/boxnet.py --structures FOLDER [--model boxnet] [--real FOLDER]
                                [--pictures FOLDER] [--score 0.95] [--folder build/bench-boxnet]

Species: those of the model's card that were kept aside, of FOLDER (PDB, mmCIF); each in thin and
thick ice at 1, 1.5 and 2.5 µm, drawn at 8 Å/px. Then the same species as whole micrographs of
the movie simulator (1.1 Å/px, counted, damaged), two species in one micrograph, contamination,
and micrographs without particles. ``--real``: NAME.mrc with hand-labelled NAME.star beside it;
``--pictures``: 8-bit PNGs in folders by class, for which the picks are only counted. A pick
counts when it lies within half a diameter of a particle that no other pick took.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import mrcfile
import numpy as np
import starfile
import torch

from warptui.engine.formats.boxnet_model import find_model
from warptui.engine.nets.boxnet import PIXEL_SIZE
from warptui.engine.ops.picking.choice import choose
from warptui.engine.ops.picking.crowding import adapt_to_abundance
from warptui.engine.ops.picking.picks import find_artifacts, find_components
from warptui.engine.ops.picking.segmentation import coarsen, normalise, segment
from warptui.engine.simulation.density import Particle, is_model, read_particle
from warptui.engine.simulation.movie import simulate_movie
from warptui.engine.simulation.scene import Scene, SceneSettings, draw_settings, make_scene
from warptui.engine.simulation.settings import MovieSettings
from warptui.engine.simulation.species import Species, make_all_species, sphere_diameter_angstrom
from warptui.engine.training.example import count_matches
from warptui.engine.worker.bench.models import load_net

HELD_OUT = ("3cf3", "2cg9", "5gjv", "3j9i")
SHAPE_YX = (464, 480)  # 3710 x 3838 px of 1 Å
DEFOCI_UM = (1.0, 1.5, 2.5)
ICE_ANGSTROM = (300.0, 700.0)
N_SCENES = 40  # with all that may lie in them
APOFERRITIN_ANGSTROM = 120.0
FINE_PIXEL_SIZE = 1.1


@dataclass
class Count:
    """Of one kind of micrograph."""

    name: str
    hits: int = 0
    picks: int = 0
    particles: int = 0

    @property
    def precision(self) -> float:
        return self.hits / self.picks if self.picks else float("nan")

    @property
    def recall(self) -> float:
        return self.hits / self.particles if self.particles else float("nan")

    @property
    def f1(self) -> float:
        both = self.picks + self.particles
        return 2 * self.hits / both if both else float("nan")


class Picker:
    """A model and a threshold."""

    def __init__(self, path: Path, score: float) -> None:
        self.net, _ = load_net(path)
        self.net.eval()
        self.score = score

    def label(self, image: torch.Tensor) -> np.ndarray:
        """(3, y, x) probabilities of an image at 8 Å/px."""
        with torch.inference_mode():
            answers = segment(self.net, normalise(image))
            return adapt_to_abundance(answers, float(self.net.sharpness)).numpy()

    def pick(self, probabilities: np.ndarray, diameter_px: float) -> np.ndarray:
        """(n, 2) positions as the picking stage chooses them."""
        found = find_components(probabilities)
        table = np.column_stack([found.centres_yx_px, found.scores, found.areas_px])
        diameter = diameter_px * PIXEL_SIZE
        mask = find_artifacts(probabilities)
        chosen = choose(table, mask, PIXEL_SIZE, diameter, self.score, 0.0)
        return chosen.positions_yx_angstrom / PIXEL_SIZE


def count_hits(picked: np.ndarray, truth: np.ndarray, radius_px: float) -> int:
    """Picks (n, 2) that lie within ``radius_px`` of a particle (m, 2) of their own."""
    return count_matches(picked, truth, np.full(len(truth), radius_px))


def tell(
    count: Count, picked: np.ndarray, truth: np.ndarray, unclear: np.ndarray, radius_px: float
) -> None:
    """Add one micrograph; picks of ``unclear`` particles count neither way."""
    hits = count_hits(picked, truth, radius_px)
    excused = count_hits(picked, np.concatenate([truth, unclear]), radius_px) - hits
    count.hits += hits
    count.picks += len(picked) - excused
    count.particles += len(truth)


def on_scenes(picker: Picker, species: Sequence[Species]) -> Iterator[Count]:
    for index, one in enumerate(species):
        for ice in ICE_ANGSTROM:
            count = Count(f"{one.name}, {one.mass_kda:.0f} kDa, ice {ice:.0f} Å")
            for number, defocus in enumerate(DEFOCI_UM):
                scene = make_scene(
                    SceneSettings(
                        seed=900 + number,
                        shape_yx=SHAPE_YX,
                        species=(index,),
                        defocus_um=defocus,
                        coverage=0.15,
                        ice_thickness_angstrom=ice,
                    ),
                    species,
                )
                _tell_scene(count, picker, scene, one.diameter_angstrom)
            yield count


def _tell_scene(count: Count, picker: Picker, scene: Scene, diameter: float) -> np.ndarray:
    probabilities = picker.label(torch.from_numpy(scene.image))
    picked = picker.pick(probabilities, diameter / PIXEL_SIZE)
    rows, columns = np.round(picked).astype(int).T if len(picked) else np.zeros((2, 0), int)
    sure = (
        scene.certainty[
            rows.clip(0, scene.certainty.shape[0] - 1),
            columns.clip(0, scene.certainty.shape[1] - 1),
        ]
        > 0
    )
    tell(count, picked[sure], scene.centres_yx_px, np.zeros((0, 2)), diameter / 2 / PIXEL_SIZE)
    return probabilities


def on_micrographs(picker: Picker, particles: Sequence[Particle]) -> Iterator[Count]:
    """Simulated at full pixel size; the film is crowded enough for some hundred particles."""
    kinds = [(one,) for one in particles]
    kinds.append((particles[0], particles[-1]))
    for number, kind in enumerate(kinds):
        diameters = [sphere_diameter_angstrom(one) for one in kind]
        area = FINE_PIXEL_SIZE**2 * 3712 * 3712 * 1e-8
        wanted = min(330.0, 0.15 * area * 1e8 / (np.pi / 4 * max(diameters) ** 2))
        settings = MovieSettings(
            seed=7100 + number,
            shape_yx=(3712, 3712),
            pixel_size=FINE_PIXEL_SIZE,
            n_frames=4,
            dose_per_frame=10.0,
            defocus_um=1.0 + 0.3 * number,
            particles_per_um2=wanted / area,
            drift_angstrom=0,
            local_angstrom=0,
            jitter_angstrom=0,
        )
        movie = simulate_movie(settings, kind)
        image = torch.from_numpy(sum(frame.astype(np.float32) for frame in movie.frames()))
        gain = torch.from_numpy(np.asarray(movie.camera.efficiency, np.float32))
        image = torch.where(gain > 0, image / gain.clamp_min(1e-3), image.mean())
        coarse = coarsen(image, FINE_PIXEL_SIZE)
        scale = np.array(coarse.shape) / np.array(image.shape)
        truth = np.array([(p["y"], p["x"]) for p in movie.truth.record["particles"]]) * scale
        inside = ((truth >= 0) & (truth < np.array(coarse.shape))).all(axis=1)
        diameter = max(diameters) / PIXEL_SIZE
        picked = picker.pick(picker.label(coarse), min(diameters) / PIXEL_SIZE)
        names = " and ".join(f"{one.name} {one.mass_kda:.0f} kDa" for one in kind)
        count = Count(f"whole micrograph, {names}, {settings.defocus_um:.1f} µm")
        tell(count, picked, truth[inside], truth[~inside], diameter / 2)
        yield count


def on_dirt(picker: Picker, species: Sequence[Species]) -> dict[str, float]:
    """Overlap of masks with the truth, and picks on micrographs without particles."""
    shared = joint = empty_picks = n_empty = dirty_hits = 0
    for seed in range(N_SCENES):
        settings = draw_settings(5_000_000 + seed, len(species), SHAPE_YX)
        scene = make_scene(settings, species)
        probabilities = picker.label(torch.from_numpy(scene.image))
        mask, truth = find_artifacts(probabilities), scene.labels == 2
        sure = scene.certainty > 0
        shared += int((mask & truth & sure).sum())
        joint += int(((mask | truth) & sure).sum())
        if not settings.species:
            n_empty += 1
            empty_picks += len(picker.pick(probabilities, 150 / PIXEL_SIZE))
        dirty_hits += len(settings.artifacts) > 0
    return {
        "mask_iou": shared / max(joint, 1),
        "scenes_with_artifacts": dirty_hits,
        "picks_per_empty_scene": empty_picks / max(n_empty, 1),
        "empty_scenes": n_empty,
    }


def on_real(picker: Picker, folder: Path) -> Iterator[Count]:
    for path in sorted(folder.glob("*.mrc")):
        with mrcfile.open(path, permissive=True) as opened:
            image = torch.from_numpy(opened.data.astype(np.float32))
            pixel_size = float(opened.voxel_size.x) or 1.5
        coarse = coarsen(image, pixel_size)
        scale = np.array(coarse.shape) / np.array(image.shape)
        table = starfile.read(path.with_suffix(".star"))
        table = next(iter(table.values())) if isinstance(table, dict) else table
        truth = table[["rlnCoordinateY", "rlnCoordinateX"]].to_numpy(float) * scale
        diameter = APOFERRITIN_ANGSTROM / PIXEL_SIZE
        count = Count(path.name)
        picked = picker.pick(picker.label(coarse), diameter)
        tell(count, picked, truth, np.zeros((0, 2)), diameter / 2)
        yield count


def on_pictures(picker: Picker, folder: Path) -> Iterator[tuple[str, int, float]]:
    """Class, picks and masked share; the pixel size of such pictures is not known."""
    from PIL import Image

    for path in sorted(folder.glob("*/*.png")):
        image = torch.from_numpy(np.array(Image.open(path).convert("F"), np.float32))
        probabilities = picker.label(image)
        mask = find_artifacts(probabilities)
        yield (
            path.parent.name,
            len(picker.pick(probabilities, 120 / PIXEL_SIZE)),
            float(mask.mean()),
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--structures", type=Path, required=True)
    parser.add_argument("--model", default="boxnet")
    parser.add_argument("--real", type=Path)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--score", type=float, default=0.95)
    parser.add_argument("--skip-whole", action="store_true")
    parser.add_argument("--folder", type=Path, default=Path("build/bench-boxnet"))
    options = parser.parse_args()
    picker = Picker(find_model(options.model, Path.cwd()), options.score)
    paths = [
        path
        for path in sorted(options.structures.iterdir())
        if is_model(path) and any(name in path.name for name in HELD_OUT)
    ]
    particles = sorted((read_particle(path) for path in paths), key=lambda one: one.mass_kda)
    species = make_all_species(particles, 60, PIXEL_SIZE, 5)
    counts = list(_shown(on_scenes(picker, species)))
    if not options.skip_whole:
        counts += _shown(on_micrographs(picker, particles))
    dirt = on_dirt(picker, species)
    print({name: round(value, 3) for name, value in dirt.items()})
    if options.real:
        real = list(_shown(on_real(picker, options.real)))
        total = Count(
            "real, all", *(sum(getattr(c, n) for c in real) for n in ("hits", "picks", "particles"))
        )
        counts += [*real, *_shown(iter([total]))]
    pictures = list(on_pictures(picker, options.pictures)) if options.pictures else []
    for kind, n_picks, masked in pictures:
        print(f"{kind:28} picks {n_picks:4}  masked {100 * masked:4.0f} %")
    options.folder.mkdir(parents=True, exist_ok=True)
    record = {
        "date": date.today().isoformat(),
        "model": options.model,
        "score": options.score,
        "counts": [
            vars(c) | {"precision": c.precision, "recall": c.recall, "f1": c.f1} for c in counts
        ],
        "dirt": dirt,
        "pictures": pictures,
    }
    (options.folder / "boxnet.json").write_text(json.dumps(record, indent=1))
    return 0


def _shown(counts: Iterator[Count]) -> list[Count]:
    done = []
    for count in counts:
        print(
            f"| {count.name:58} | {count.precision:.3f} | {count.recall:.3f} | {count.f1:.3f} "
            f"| {count.picks} | {count.particles} |",
            flush=True,
        )
        done.append(count)
    return done


if __name__ == "__main__":
    sys.exit(main())
