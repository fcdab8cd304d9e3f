"""The data sets of `relion_proof.py`: movies of one species, and what warptui makes of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import proof_relion
import starfile
import torch

from warptui.engine.config.checks import SECTIONS
from warptui.engine.config.file import write_config
from warptui.engine.formats.mrc import write_mrc
from warptui.engine.formats.star.particles import local_ctf
from warptui.engine.model.edits import Edits, Spot
from warptui.engine.ops.common.splines import grid_weights, spline_weights
from warptui.engine.project.edits_file import write_edits
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.project.store import Store
from warptui.engine.simulation.density import Particle, bundled_particle, read_particle
from warptui.engine.simulation.files import write_frames
from warptui.engine.simulation.movie import simulate_movie
from warptui.engine.simulation.settings import MovieSettings
from warptui.engine.simulation.truth import Truth, read_truth, write_truth
from warptui.engine.stages.movie.motion import MotionResult

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


def process(plan: Plan, kind: str, box_px: int, *, true_places: bool) -> Path:
    """Let warptui process the set unattended, with nothing but its own commands; the project.

    With ``true_places`` the true positions in the first frame are picks that a person added.
    """
    folder = plan.folder / kind
    project = folder / "project"
    if not (project / "config.toml").exists():
        diameter = plan.particle().diameter_angstrom
        warptui(
            "init", str(project), "--input", str(folder / "movies"),
            "--pixel-size", str(plan.pixel_size), "--dose-per-frame", str(plan.dose_per_frame),
            "--gain", str(folder / "gain.mrc"), "--diameter-angstrom", f"{diameter:.0f}",
        )  # fmt: skip
        for truth_path in sorted((folder / "truth").glob("*.json")) if true_places else ():
            places = (plan.pixel_size * np.array([one["y"], one["x"]])
                      for one in read_truth(truth_path).record["particles"])  # fmt: skip
            spots = tuple(Spot(y_angstrom=float(y), x_angstrom=float(x)) for y, x in places)
            write_edits(ProjectPaths(project).edits(truth_path.stem), Edits(added=spots))
    if "particles" in SECTIONS:
        write_config(project, {"particles": {"box_size_px": box_px}})
    warptui("run", str(project))
    return project


def warptui(*arguments: str) -> str:
    """Run one of warptui's commands; what it says. Fails with all that it said."""
    command = [sys.executable, "-m", "warptui", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"warptui {' '.join(arguments)}: {done.stdout}{done.stderr}")
    return done.stdout


def truth_of(plan: Plan, kind: str, name: str) -> Truth:
    """What is true of one movie."""
    return read_truth(plan.folder / kind / "truth" / f"{name}.json")


def averages(project: Path) -> dict[str, Path]:
    """By name: averages of selected items, float32 because RELION 3.1 reads no float16."""
    warptui("export", "micrographs", str(project), "--float32")
    listed = starfile.read(project / "micrographs.star", always_dict=True)["micrographs"]
    return {Path(name).stem: project / name for name in listed.rlnMicrographName}


def particles(plan: Plan, kind: str, project: Path, names: Sequence[str]) -> pd.DataFrame:
    """Picks that are particles, with all that is known and true of each.

    Columns: micrograph, x, y (px of the average, as picked), score; true_x, true_y (px of frame
    0), true_rot, true_tilt, true_psi; our_x, our_y (where the true particle is in our average);
    {local,one,true}_{u,v,angle} (defocus in Å and degrees). ``attrs`` count picks and say what
    motion is left.
    """
    store = Store(ProjectPaths(project))
    diameter = plan.particle().diameter_angstrom / plan.pixel_size
    tables, errors = [], []
    count = {"picked": 0, "true": 0, "found": 0, "at_edges": 0, "wrong": 0}
    try:
        for name in names:
            item = store.load(f"{name}.tif")
            assert item is not None, f"{name} is selected, so it is stored"
            truth = truth_of(plan, kind, name)
            known = pd.DataFrame(truth.record["particles"])
            x, y = known.x.to_numpy(), known.y.to_numpy()
            result = MotionResult.model_validate(item.records["motion"].result)
            left = truth.displacement(x, y) + applied_shifts(result, x, y) / plan.pixel_size
            errors.append((left - left.mean(axis=0)).reshape(-1, 2))
            landed = np.c_[x, y] + left.mean(axis=0)
            picks, scores = read_picks(ProjectPaths(project), name)
            pairs = matched(picks, landed, diameter / 4)
            count["picked"] += len(picks)
            count["true"] += len(known)
            count["found"] += len(pairs)
            picked, nearest = pairs.T
            others = np.delete(picks, picked, axis=0)
            # what the edge cuts may be a particle whose centre is outside, and is not in the truth
            near = np.minimum(others, plan.size_px - 1 - others).min(axis=1) < diameter / 2
            count["at_edges"] += int(near.sum())
            count["wrong"] += int((~near).sum())
            table = pd.DataFrame({"micrograph": name, "score": scores[picked]})
            table[["x", "y"]] = picks[picked]
            table[["our_x", "our_y"]] = landed[nearest]
            for label in ("x", "y", "rot", "tilt", "psi"):
                table[f"true_{label}"] = known[label].to_numpy()[nearest]
            ctf, shape = item.records["ctf"].result, (plan.size_px, plan.size_px)
            local = local_ctf(ctf, shape, picks[picked][:, ::-1])
            assert local is not None, f"{name} is exported, so it has a CTF"
            half = truth.record["ctf"]["astig"] / 2
            middle = 1e4 * ctf["defocus_um"] - (local.defocus_u + local.defocus_v) / 2
            defocus = known.defocus.to_numpy()[nearest]
            table["local_u"], table["local_v"] = local.defocus_u, local.defocus_v
            table["one_u"], table["one_v"] = local.defocus_u + middle, local.defocus_v + middle
            table["true_u"], table["true_v"] = defocus + half, defocus - half
            table["local_angle"] = table["one_angle"] = local.angle_deg
            table["true_angle"] = truth.record["ctf"]["angle"]
            tables.append(table)
    finally:
        store.close()
    found = pd.concat(tables, ignore_index=True)
    off = found[["local_u", "local_v"]].mean(axis=1) - found[["true_u", "true_v"]].mean(axis=1)
    flat = found[["one_u", "one_v"]].mean(axis=1) - found[["true_u", "true_v"]].mean(axis=1)
    found.attrs["picking"] = count
    found.attrs["motion_error_angstrom"] = plan.pixel_size * rms(np.concatenate(errors))
    found.attrs["defocus_error_angstrom"] = {
        "local": float(np.sqrt((off**2).mean())),
        "one": float(np.sqrt((flat**2).mean())),
    }
    return found


def extracted(project: Path, picks: pd.DataFrame) -> pd.DataFrame | None:
    """The particles that warptui cut from the frames, as `proof_relion.extract` has them.

    ``rlnImageName`` is relative to the project; None where the project has none.
    """
    stars = sorted((project / "particles").glob("*.star"))
    if not stars:
        return None
    rows = pd.concat([proof_relion.particles_of(star) for star in stars], ignore_index=True)
    rows["micrograph"] = [Path(name).stem for name in rows.rlnMicrographName]
    return proof_relion.joined(rows, picks)


def applied_shifts(result: MotionResult, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(frame, n, 2) xy Å that warptui applied at positions x, y (n,) px."""
    n_frames, n = result.n_frames, len(x)
    time = torch.linspace(0, 1, n_frames, dtype=torch.float64)
    nodes = torch.tensor(result.global_yx_angstrom, dtype=torch.float64)
    track = (spline_weights(len(nodes), time) @ nodes)[:, None]
    total = track.flip(-1).expand(n_frames, n, 2).numpy()
    if not result.local_used:
        return total
    across, down = (
        torch.as_tensor(at / (size - 1))
        for at, size in zip((x, y), result.shape_yx[::-1], strict=True)
    )
    weights = grid_weights(
        result.local_grid, across.repeat(n_frames), down.repeat(n_frames), time.repeat_interleave(n)
    )
    local = torch.tensor([result.local_x_angstrom, result.local_y_angstrom], dtype=torch.float64).T
    return total + (weights @ local).reshape(n_frames, n, 2).numpy()


def read_picks(project: ProjectPaths, name: str) -> tuple[np.ndarray, np.ndarray]:
    """(n, 2) x, y px and scores of what was picked."""
    path = project.picks(name, "boxnet")
    table = next(iter(starfile.read(path, always_dict=True).values()))
    places = table[["rlnCoordinateX", "rlnCoordinateY"]].to_numpy(float)
    return places.reshape(-1, 2), table["rlnAutopickFigureOfMerit"].to_numpy(float)


def matched(picks: np.ndarray, true: np.ndarray, reach: float) -> np.ndarray:
    """(n, 2) indices of picks and of their nearest true particles, each at most once."""
    distance = np.hypot(*(picks[:, None] - true[None]).transpose(2, 0, 1))
    taken: dict[int, int] = {}
    for flat in np.argsort(distance, axis=None):
        pick, one = (int(index) for index in np.unravel_index(flat, distance.shape))
        if distance[pick, one] > reach:
            break
        if pick not in taken and one not in taken.values():
            taken[pick] = one
    return np.array(sorted(taken.items()), int).reshape(-1, 2)


def rms(vectors: np.ndarray) -> float:
    """Root of the mean squared length."""
    return float(np.sqrt((vectors**2).sum(axis=-1).mean()))
