"""The data sets of `relion_proof.py`: simulated movies of one species, and what warptui makes of them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from warptui.engine.formats.mrc import write_mrc
from warptui.engine.simulation.density import Particle, bundled_particle, read_particle
from warptui.engine.simulation.files import write_frames
from warptui.engine.simulation.movie import simulate_movie
from warptui.engine.simulation.settings import MovieSettings
from warptui.engine.simulation.truth import Truth, write_truth

TILTS_DEG = {"flat": 0.0, "tilted": 40.0}
TILT_AXIS_DEG = 20.0
ROOM = 120.0  # Å of ice above and below the particles, together


@dataclass(frozen=True)
class Plan:
    """What is simulated; the same files come of the same plan."""

    folder: Path
    n_movies: int = 16
    size_px: int = 1024
    n_frames: int = 12
    pixel_size: float = 1.25  # Å/px
    dose_per_frame: float = 3.0  # e/Å²
    density: float = 6500.0  # particles per µm²
    species: Path | None = None  # PDB or mmCIF; None = the bundled apoferritin

    def particle(self) -> Particle:
        """The species."""
        return read_particle(self.species) if self.species else bundled_particle()

    def movie(self, kind: str, index: int, diameter: float) -> MovieSettings:
        """Settings of one movie of the set ``kind``."""
        tilt = TILTS_DEG[kind]
        rng = np.random.default_rng([2026, round(tilt), index])
        return MovieSettings(
            seed=7000 + 1000 * round(tilt) + index,
            camera_seed=31,
            name=f"{kind}_{index + 1:03d}",
            shape_yx=(self.size_px, self.size_px),
            n_frames=self.n_frames,
            pixel_size=self.pixel_size,
            dose_per_frame=self.dose_per_frame,
            tilt_deg=tilt,
            tilt_axis_deg=TILT_AXIS_DEG,
            defocus_um=float(rng.uniform(0.7, 1.6)),
            drift_angstrom=float(rng.uniform(5, 20)),
            local_angstrom=float(rng.uniform(2, 6)),
            particles_per_um2=self.density,
            ice_thickness_angstrom=diameter + ROOM,
        )


def simulate(plan: Plan, kind: str) -> None:
    """Write FOLDER/KIND/movies/*.tif, gain.mrc and truth/*.json, as far as they are not there."""
    particle = plan.particle()
    movies, truths = plan.folder / kind / "movies", plan.folder / kind / "truth"
    movies.mkdir(parents=True, exist_ok=True)
    truths.mkdir(exist_ok=True)
    for index in range(plan.n_movies):
        settings = plan.movie(kind, index, particle.diameter_angstrom)
        path, truth_path = movies / f"{settings.name}.tif", truths / f"{settings.name}.json"
        if path.exists() and truth_path.exists():
            told = json.loads(truth_path.read_text())["settings"]
            if told == json.loads(json.dumps(settings.model_dump())):
                continue
        movie = simulate_movie(settings, particle)
        reference = movie.camera.reference
        assert reference is not None, "the camera has a gain reference"
        write_mrc(plan.folder / kind / "gain.mrc", reference, plan.pixel_size)
        write_truth(truth_path, Truth({**movie.truth.record, "movie": path.name}))
        write_frames(movie, path, "tif")


def process(plan: Plan, kind: str) -> Path:
    """Let warptui process the set unattended, with nothing but its own commands."""
    folder = plan.folder / kind
    project = folder / "project"
    if not (project / "config.toml").exists():
        diameter = plan.particle().diameter_angstrom
        warptui(
            "init", str(project), "--input", str(folder / "movies"),
            "--pixel-size", str(plan.pixel_size), "--dose-per-frame", str(plan.dose_per_frame),
            "--gain", str(folder / "gain.mrc"), "--diameter-angstrom", f"{diameter:.0f}",
        )  # fmt: skip
    warptui("run", str(project))
    return project


def warptui(*arguments: str) -> str:
    """Run one of warptui's commands; what it says. Fails with all that it said."""
    command = [sys.executable, "-m", "warptui", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"warptui {' '.join(arguments)}: {done.stdout}{done.stderr}")
    return done.stdout
