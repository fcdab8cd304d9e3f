"""Proof with real RELION: simulated sets through warptui into RELION, judged by the true map.

    python benchmarks/relion_proof.py [--movies 16] [--folder build/relion-proof]

Simulates two sets of movies of one species with known places and orientations, flat and tilted by
40°, lets warptui process them unattended, and lets RELION read what came of it. Particles get the
true orientation of the nearest true particle, and their true place in the average that they were
cut from; ``relion_reconstruct --ctf`` makes a map of them, which is compared with the true map:
with the local defocus, with one defocus per micrograph, with the true defocus, and of the same
particles cut by ``relion_preprocess`` from RELION's own motion-corrected averages. 2D classes of
some of the particles (``relion_refine``) are compared with true projections. Prints Markdown
tables, and writes all numbers to FOLDER/relion_proof.json. What was simulated and processed
before with the same options is not done again.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pandas as pd
import proof_relion
import proof_sets
import proof_views
from proof_sets import TILTS_DEG, Plan

from warptui.engine.formats.mrc import write_mrc
from warptui.engine.simulation.volume import (
    resolution_angstrom,
    shell_correlation,
    soft_sphere,
    true_map,
)

BAND = (8.0, 3.0)  # Å, over which the mean shell correlation is told
VARIANTS = {
    "local": "warptui's particles, local defocus",
    "one": "warptui's particles, one defocus a micrograph",
    "true": "warptui's particles, true defocus",
    "relion": "RELION's averages and extraction, local defocus",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--movies", type=int, default=16, help="of each set")
    parser.add_argument("--size", type=int, default=1024, help="px")
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--pixel-size", type=float, default=1.25)
    parser.add_argument("--species", type=Path, help="PDB or mmCIF file; default: apoferritin")
    parser.add_argument("--symmetry", help="of the species; default: O, with --species C1")
    parser.add_argument("--box", type=int, default=192, help="px")
    parser.add_argument("--patches", type=int, default=3, help="of RELION's motion correction")
    parser.add_argument("--sets", nargs="+", choices=list(TILTS_DEG), default=list(TILTS_DEG))
    parser.add_argument("--classes", type=int, default=3, help="2D classes; 0 = none")
    parser.add_argument("--classified", type=int, default=200, help="particles that are classified")
    parser.add_argument("--true-places", action="store_true", help="not the picks of BoxNet")
    parser.add_argument("--folder", type=Path, default=Path("build/relion-proof"))
    given = parser.parse_args()
    absent = proof_relion.missing()
    if absent:
        sys.stderr.write(f"not installed: {', '.join(absent)}\n")
        return 2
    plan = Plan(
        given.folder.resolve(),
        given.movies,
        given.size,
        given.frames,
        given.pixel_size,
        species=given.species.resolve() if given.species else None,
    )
    told = prove(plan, given)
    (plan.folder / "relion_proof.json").write_text(json.dumps(told, indent=1) + "\n")
    print(markdown(told))
    return 0


def prove(plan: Plan, given: argparse.Namespace) -> dict[str, Any]:
    """All numbers of all sets."""
    particle = plan.particle()
    plan.folder.mkdir(parents=True, exist_ok=True)
    symmetry = given.symmetry or ("C1" if plan.species else "O")
    volume = true_map(particle, given.box, plan.pixel_size)
    write_mrc(plan.folder / "true.mrc", volume, plan.pixel_size, mode="float32")
    told: dict[str, Any] = {
        "date": date.today().isoformat(),
        "species": particle.name,
        "mass_kda": round(particle.mass_kda),
        "symmetry": symmetry,
        "movies": plan.n_movies,
        "movie": f"{plan.size_px} x {plan.size_px} px, {plan.n_frames} frames, "
        f"{plan.pixel_size} Å/px, {plan.n_frames * plan.dose_per_frame:.0f} e/Å²",
        "box_px": given.box,
        "places": "true" if given.true_places else "BoxNet's picks",
        "sets": {},
    }
    for kind in given.sets:
        cpu_s: dict[str, float] = {}
        with timed(cpu_s, "simulation"):
            proof_sets.simulate(plan, kind)
        with timed(cpu_s, "warptui"):
            project = proof_sets.process(plan, kind)
        averages = proof_sets.averages(project)
        particles = proof_sets.particles(plan, kind, project, true_places=given.true_places)
        row: dict[str, Any] = {"cpu_s": cpu_s, "picking": particles.attrs["picking"]}
        with timed(cpu_s, "relion motion"):
            row["motion"] = relion_motion(plan, kind, particles, given.patches)
        folder = plan.folder / kind
        options = {
            "box_px": given.box,
            "pixel_size": plan.pixel_size,
            "diameter": particle.diameter_angstrom,
        }
        with timed(cpu_s, "cut from warptui's averages"):
            ours = proof_relion.extract(folder / "ours", averages, particles, **options)
        peers = {name: folder / "relion" / f"{name}.mrc" for name in averages}
        with timed(cpu_s, "cut from RELION's averages"):
            theirs = proof_relion.extract(folder / "relion_cut", peers, particles, **options)
        row["particles"] = len(ours)
        row["variants"] = {}
        for variant in VARIANTS:
            cut, where = (theirs, "relion_cut") if variant == "relion" else (ours, "ours")
            listed = oriented(cut, variant, plan.pixel_size)
            star = f"{variant}.star"
            proof_relion.write_particles(folder / where / star, listed, given.box, plan.pixel_size)
            with timed(cpu_s, f"reconstruct {variant}"):
                path = proof_relion.reconstruct(folder / where, star, symmetry)
            row["variants"][variant] = judge(path, volume, plan, particle.diameter_angstrom)
        row["read_by"] = accepted(folder / "ours")
        if given.classes:
            with timed(cpu_s, "classify"):
                row["classes"] = classify(plan, folder / "ours", given)
        told["sets"][kind] = row
        sys.stderr.write(f"{kind}: {json.dumps({k: v for k, v in row.items() if k != 'curves'})}\n")
    return told


def relion_motion(plan: Plan, kind: str, particles: pd.DataFrame, patches: int) -> dict[str, float]:
    """Averages by RELION; where it puts the particles is added to ``particles``, RMS errors told."""
    folder = plan.folder / kind
    movies = [folder / "movies" / f"{name}.tif" for name in sorted(set(particles.micrograph))]
    proof_relion.correct_motion(
        movies, folder / "gain.mrc", folder / "relion", plan.pixel_size, plan.dose_per_frame, patches
    )  # fmt: skip
    errors = []
    for name in sorted(set(particles.micrograph)):
        some = particles.micrograph == name
        x, y = particles.true_x[some].to_numpy(), particles.true_y[some].to_numpy()
        moved = proof_sets.truth_of(plan, kind, name).displacement(x, y)
        shape = (plan.size_px, plan.size_px)
        left = moved + proof_relion.shifts(folder / "relion" / f"{name}.star", shape, x, y)
        particles.loc[some, ["relion_x", "relion_y"]] = np.c_[x, y] + left.mean(axis=0)
        errors.append((left - left.mean(axis=0)).reshape(-1, 2))
    ours = particles.attrs["motion_error_px"] * plan.pixel_size
    theirs = float(np.sqrt((np.concatenate(errors) ** 2).sum(axis=1).mean())) * plan.pixel_size
    return {"warptui_error_angstrom": ours, "relion_error_angstrom": theirs, "patches": patches}


def oriented(cut: pd.DataFrame, variant: str, pixel_size: float) -> pd.DataFrame:
    """Rows with the true orientation and place, and the defocus of the variant."""
    source = "relion" if variant == "relion" else "our"
    rows = pd.DataFrame({"rlnImageName": cut.rlnImageName})
    rows["rlnMicrographName"] = [f"{name}.mrc" for name in cut.micrograph]
    rows["rlnCoordinateX"] = cut.coordinate_x.astype(float)
    rows["rlnCoordinateY"] = cut.coordinate_y.astype(float)
    for axis in "xy":
        off = (cut[f"coordinate_{axis}"] - cut[f"{source}_{axis}"]) * pixel_size
        rows[f"rlnOrigin{axis.upper()}Angst"] = off
    for label in ("rot", "tilt", "psi"):
        rows[f"rlnAngle{label.capitalize()}"] = cut[f"true_{label}"]
    which = "local" if variant == "relion" else variant
    for label in ("u", "v", "angle"):
        name = f"rlnDefocus{label.upper() if label in 'uv' else 'Angle'}"
        rows[name] = cut[f"{which}_{label}"]
    rows["rlnPhaseShift"] = 0.0
    return rows


def judge(path: Path, volume: np.ndarray, plan: Plan, diameter: float) -> dict[str, Any]:
    """How well a map agrees with the true one."""
    with mrcfile.open(path, permissive=True) as opened:
        found = np.array(opened.data, np.float32)
    sphere = soft_sphere(len(found), (diameter / 2 + 4) / plan.pixel_size, 6)
    masked = found * sphere
    write_mrc(path.with_name(f"{path.stem}_masked.mrc"), masked, plan.pixel_size, mode="float32")
    curve = shell_correlation(masked, volume)
    theirs = proof_relion.shell_correlation(
        path.parent, path.with_name(f"{path.stem}_masked.mrc"), plan.folder / "true.mrc",
        plan.pixel_size,
    )  # fmt: skip
    box = len(found) * plan.pixel_size
    low, high = (round(box / limit) for limit in BAND)
    n = min(len(theirs), len(curve), high + 1)
    return {
        "resolution": resolution_angstrom(curve, box, 0.5),
        "resolution_0143": resolution_angstrom(curve, box, 0.143),
        "mean_fsc": float(curve[low : high + 1].mean()),
        "relion_differs": float(np.abs(curve[low:n] - theirs[low:n]).max()),
        "fsc": [round(float(value), 4) for value in curve],
    }


def accepted(folder: Path) -> dict[str, int]:
    """Rows that RELION's own programs found in the particle list, and images in the stacks."""
    proof_relion.relion(folder, "relion_star_handler", "--i", "local.star", "--o", "handled.star")
    rows = proof_relion.particles_of(folder / "handled.star")
    said = proof_relion.relion(folder, "relion_image_handler", "--i", "local.star", "--stats")
    return {"rows": len(rows), "images": sum("avg=" in line for line in said.splitlines())}


def classify(plan: Plan, folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """2D classes of some particles, the more populated ones compared with true projections."""
    rows = proof_relion.particles_of(folder / "local.star")
    some = rows.iloc[np.linspace(0, len(rows) - 1, min(given.classified, len(rows))).astype(int)]
    known = [name for name in some.columns if name.startswith(("rlnAngle", "rlnOrigin"))]
    proof_relion.write_particles(
        folder / "some.star", some.drop(columns=known), given.box, plan.pixel_size
    )
    particle = plan.particle()
    path = proof_relion.classify(
        folder, "some.star", particle.diameter_angstrom, given.classes, 8
    )
    shares = proof_relion.class_shares(path)
    with mrcfile.open(path, permissive=True) as opened:
        averages = np.array(opened.data, np.float32)
    fits = proof_views.best_fits(averages, particle, plan.pixel_size)
    order = np.argsort(shares)[::-1]
    return {
        "particles": len(some),
        "shares": [round(float(shares[i]), 3) for i in order],
        "correlations": [round(float(fits[i]), 3) for i in order],
    }


@contextmanager
def timed(into: dict[str, float], name: str):
    """CPU seconds of this process and its children."""
    before = _cpu_s()
    began = time.monotonic()
    yield
    into[name] = round(_cpu_s() - before, 1)
    sys.stderr.write(f"{name}: {into[name]} CPU s, {time.monotonic() - began:.0f} s\n")


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def markdown(told: dict[str, Any]) -> str:
    """The tables for the README."""
    lines = [
        f"{told['date']}: {told['species']} ({told['mass_kda']} kDa, {told['symmetry']}), "
        f"{told['movies']} movies a set, {told['movie']}; {told['places']}",
        "",
        f"| set | particles | reconstructed from | FSC 0.5 Å | FSC 0.143 Å | mean FSC, {BAND[0]:g} "
        f"to {BAND[1]:g} Å |",
        "|---|---|---|---|---|---|",
    ]
    for kind, row in told["sets"].items():
        for variant, found in row["variants"].items():
            lines.append(
                f"| {kind} | {row['particles']} | {VARIANTS[variant]} | {found['resolution']:.2f} "
                f"| {found['resolution_0143']:.2f} | {found['mean_fsc']:.3f} |"
            )
    lines += ["", "| set | | |", "|---|---|---|"]
    for kind, row in told["sets"].items():
        picking, motion = row["picking"], row["motion"]
        lines.append(
            f"| {kind} | picks | {picking['picked']}, of {picking['true']} true ones "
            f"{picking['found']} found; {picking['wrong']} picks are none |"
        )
        lines.append(
            f"| {kind} | motion left, RMS | warptui {motion['warptui_error_angstrom']:.2f} Å, "
            f"RELION {motion['relion_error_angstrom']:.2f} Å |"
        )
        lines.append(
            f"| {kind} | read by RELION | {row['read_by']['rows']} rows, "
            f"{row['read_by']['images']} images of {row['particles']} |"
        )
        if "classes" in row:
            pairs = zip(row["classes"]["shares"], row["classes"]["correlations"], strict=True)
            shown = ", ".join(f"{share:.0%}: {fit:.2f}" for share, fit in pairs)
            lines.append(
                f"| {kind} | 2D classes of {row['classes']['particles']}: share, correlation "
                f"with the nearest true projection | {shown} |"
            )
        spent = ", ".join(f"{name} {taken:.0f}" for name, taken in row["cpu_s"].items())
        lines.append(f"| {kind} | CPU s | {spent} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
