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
    "averages": "cut by RELION from warptui's averages, local defocus",
    "peer": "cut by RELION from RELION's averages, local defocus",
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
    parser.add_argument("--patches", type=int, default=5, help="of RELION's motion correction")
    parser.add_argument("--sets", nargs="+", choices=list(TILTS_DEG), default=list(TILTS_DEG))
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--classes", type=int, default=3, help="2D classes; 0 = none")
    parser.add_argument("--classified", type=int, default=200, help="particles that are classified")
    parser.add_argument(
        "--true-places", action="store_true", help="given to warptui as picks by hand"
    )
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
        "movies": {},
        "movie": f"{plan.size_px} x {plan.size_px} px, {plan.n_frames} frames, "
        f"{plan.pixel_size} Å/px, {plan.n_frames * plan.dose_per_frame:.0f} e/Å²",
        "box_px": given.box,
        "places": "true places as picks by hand" if given.true_places else "BoxNet's picks",
        "sets": {},
    }
    for kind in given.sets:
        cpu_s: dict[str, float] = {}
        with timed(cpu_s, "simulation"):
            proof_sets.simulate(plan, kind)
        with timed(cpu_s, "warptui"):
            places = {"true_places": given.true_places}
            project = proof_sets.process(plan, kind, given.box, **places)
        averages = proof_sets.averages(project)
        particles = proof_sets.particles(plan, kind, project, list(averages))
        told_of = {str(key): value for key, value in particles.attrs.items()}
        particles.attrs.clear()  # pandas would carry them along, and compare them
        told["movies"][kind] = len(averages)
        row: dict[str, Any] = {"cpu_s": cpu_s, **told_of}
        with timed(cpu_s, "relion motion"):
            row["relion_error_angstrom"] = relion_motion(plan, kind, particles, given.patches)
        cut = sources(plan, kind, particles, averages, given.box, cpu_s)
        row["particles"] = len(particles := cut.pop("all"))
        row["variants"] = {}
        fits, drawn = {}, {}
        for variant in given.variants:
            source, defocus = _made_of(variant, cut)
            if source not in cut:
                continue
            folder = plan.folder / kind / source
            listed = oriented(cut[source], particles, defocus, plan.pixel_size)
            proof_relion.write_particles(
                folder / f"{variant}.star", listed, given.box, plan.pixel_size
            )
            with timed(cpu_s, f"reconstruct {variant}"):
                path = proof_relion.reconstruct(folder, f"{variant}.star", symmetry)
            row["variants"][variant] = judge(path, volume, plan, particle.diameter_angstrom)
            row["variants"][variant]["images"] = source
            optics = plan.movie(kind, 0, particle.diameter_angstrom)
            fits[variant] = proof_views.agreement(
                folder, listed, particle, optics, given.box, drawn
            )
        for variant, found in fits.items():
            gain = fits[given.variants[0]] - found
            row["variants"][variant] |= {
                "correlation": float(found.mean()),
                "local_gain": float(gain.mean() / found.mean()),
                "local_gain_error": float(gain.std() / np.sqrt(len(gain)) / found.mean()),
            }
        folder = plan.folder / kind / next(iter(row["variants"].values()))["images"]
        first = f"{given.variants[0]}.star"
        live = project / "particles_boxnet.star"
        where, listed = (project, live.name) if live.exists() else (folder, first)
        row["written"] = len(proof_relion.particles_of(where / listed))
        row["read_by"] = accepted(where, listed)
        if given.classes:
            with timed(cpu_s, "classify"):
                row["classes"] = classify(plan, folder / first, given)
        told["sets"][kind] = row
        sys.stderr.write(f"{kind}: {json.dumps({k: v for k, v in row.items() if k != 'curves'})}\n")
    return told


def relion_motion(plan: Plan, kind: str, particles: pd.DataFrame, patches: int) -> float:
    """Averages by RELION, where they put the particles (added to ``particles``), RMS error in Å."""
    folder = plan.folder / kind
    movies = [folder / "movies" / f"{name}.tif" for name in sorted(set(particles.micrograph))]
    out, dose = folder / "relion", plan.dose_per_frame
    proof_relion.correct_motion(movies, folder / "gain.mrc", out, plan.pixel_size, dose, patches)
    errors = []
    for name in sorted(set(particles.micrograph)):
        some = particles.micrograph == name
        x, y = particles.true_x[some].to_numpy(), particles.true_y[some].to_numpy()
        moved = proof_sets.truth_of(plan, kind, name).displacement(x, y)
        shape = (plan.size_px, plan.size_px)
        left = moved + proof_relion.shifts(folder / "relion" / f"{name}.star", shape, x, y)
        particles.loc[some, ["relion_x", "relion_y"]] = np.c_[x, y] + left.mean(axis=0)
        errors.append((left - left.mean(axis=0)).reshape(-1, 2))
    return proof_sets.rms(np.concatenate(errors)) * plan.pixel_size


def sources(
    plan: Plan,
    kind: str,
    particles: pd.DataFrame,
    averages: dict[str, Path],
    box_px: int,
    cpu_s: dict[str, float],
) -> dict[str, pd.DataFrame]:
    """The same particles cut from frames, from warptui's averages and from RELION's.

    Tables with the columns rlnImageName (relative to the folder of that name), at_x, at_y (px of
    the average: what is in the middle of the image) and is_x, is_y (where the true particle is);
    "all" are the particles that every source has, in the order of all tables.
    """
    folder, diameter = plan.folder / kind, plan.particle().diameter_angstrom
    options = {"box_px": box_px, "pixel_size": plan.pixel_size, "diameter": diameter}
    peers = {name: folder / "relion" / f"{name}.mrc" for name in averages}
    cut = {}
    with timed(cpu_s, "cut from warptui's averages"):
        cut["averages"] = proof_relion.extract(folder / "averages", averages, particles, **options)
    with timed(cpu_s, "cut from RELION's averages"):
        cut["peer"] = proof_relion.extract(folder / "peer", peers, particles, **options)
    own = proof_sets.extracted(folder / "project", particles)
    if own is not None:
        (folder / "frames").mkdir(exist_ok=True)
        link = folder / "frames" / "particles"
        if not link.is_symlink():
            link.symlink_to(folder / "project" / "particles")
        cut["frames"] = own
    for source, table in cut.items():
        place = "relion" if source == "peer" else "our"
        for axis in "xy":
            table[f"is_{axis}"] = particles[f"{place}_{axis}"]
    common = sorted(set.intersection(*(set(table.index) for table in cut.values())))
    cut = {source: table.loc[common] for source, table in cut.items()}
    return cut | {"all": particles.loc[common]}


def _made_of(variant: str, cut: dict[str, pd.DataFrame]) -> tuple[str, str]:
    """Which images and which defocus a variant has."""
    if variant in ("averages", "peer"):
        source = variant if variant == "peer" or "frames" in cut else "none"
        return source, "local"
    return "frames" if "frames" in cut else "averages", variant


def oriented(
    cut: pd.DataFrame, particles: pd.DataFrame, defocus: str, pixel_size: float
) -> pd.DataFrame:
    """Rows with the true orientation and place, and a defocus: local, one or true."""
    rows = pd.DataFrame({"rlnImageName": cut.rlnImageName})
    rows["rlnMicrographName"] = [f"{name}.mrc" for name in particles.micrograph]
    for axis in "xy":
        rows[f"rlnCoordinate{axis.upper()}"] = cut[f"at_{axis}"].astype(float)
        off = (cut[f"at_{axis}"] - cut[f"is_{axis}"]) * pixel_size
        rows[f"rlnOrigin{axis.upper()}Angst"] = off
    for label in ("rot", "tilt", "psi"):
        rows[f"rlnAngle{label.capitalize()}"] = particles[f"true_{label}"]
    for label in ("U", "V", "Angle"):
        own = defocus == "local" and f"rlnDefocus{label}" in cut
        known = cut[f"rlnDefocus{label}"] if own else particles[f"{defocus}_{label.lower()}"]
        rows[f"rlnDefocus{label}"] = known.astype(float)
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


def accepted(folder: Path, star: str) -> dict[str, int]:
    """Rows that RELION's own programs found in the particle list, and images in the stacks."""
    proof_relion.relion(folder, "relion_star_handler", "--i", star, "--o", "handled.star")
    rows = proof_relion.particles_of(folder / "handled.star")
    said = proof_relion.relion(folder, "relion_image_handler", "--i", star, "--stats")
    return {"rows": len(rows), "images": sum("avg=" in line for line in said.splitlines())}


def classify(plan: Plan, star: Path, given: argparse.Namespace) -> dict[str, Any]:
    """2D classes of some particles, the more populated ones compared with true projections."""
    rows, folder = proof_relion.particles_of(star), star.parent
    some = rows.iloc[np.linspace(0, len(rows) - 1, min(given.classified, len(rows))).astype(int)]
    known = [name for name in some.columns if name.startswith(("rlnAngle", "rlnOrigin"))]
    proof_relion.write_particles(
        folder / "some.star", some.drop(columns=known), given.box, plan.pixel_size
    )
    particle = plan.particle()
    path = proof_relion.classify(folder, "some.star", particle.diameter_angstrom, given.classes, 8)
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
    """The tables for docs/science/benchmarks.md."""
    lines = [
        f"{told['date']}: {told['species']} ({told['mass_kda']} kDa, {told['symmetry']}), "
        + ", ".join(f"{n} {kind}" for kind, n in told["movies"].items())
        + f" movies of {told['movie']}; {told['places']}",
        "",
        f"| set | particles | reconstructed from | FSC 0.5, Å | FSC 0.143, Å | mean FSC, "
        f"{BAND[0]:g} to {BAND[1]:g} Å | correlation of the first row over this one's |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind, row in told["sets"].items():
        for variant, found in row["variants"].items():
            gain = f"{found['local_gain']:+.1%} ± {found['local_gain_error']:.1%}"
            lines.append(
                f"| {kind} | {row['particles']} | {_shown(variant, found)} "
                f"| {found['resolution']:.2f} | {found['resolution_0143']:.2f} "
                f"| {found['mean_fsc']:.3f} | {'' if found['local_gain'] == 0 else gain} |"
            )
    lines += ["", "| set | | |", "|---|---|---|"]
    for kind, row in told["sets"].items():
        picking, defocus = row["picking"], row["defocus_error_angstrom"]
        lines.append(
            f"| {kind} | picks | {picking['picked']}, of {picking['true']} true ones "
            f"{picking['found']} found; {picking['at_edges']} others are cut by the edge, "
            f"{picking['wrong']} are none |"
        )
        lines.append(
            f"| {kind} | motion left, RMS | warptui {row['motion_error_angstrom']:.2f} Å, "
            f"RELION {row['relion_error_angstrom']:.2f} Å |"
        )
        lines.append(
            f"| {kind} | error of the defocus of particles, RMS | local {defocus['local']:.0f} Å, "
            f"one a micrograph {defocus['one']:.0f} Å |"
        )
        lines.append(
            f"| {kind} | read by RELION | {row['read_by']['rows']} rows, "
            f"{row['read_by']['images']} images of {row['written']} |"
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


def _shown(variant: str, found: dict[str, Any]) -> str:
    """The row's name; says so where warptui's averages stand for its frames."""
    stands = found["images"] == "averages" and variant != "averages"
    return VARIANTS[variant] + (" (cut from averages)" if stands else "")


if __name__ == "__main__":
    sys.exit(main())
