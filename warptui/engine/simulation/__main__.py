"""``python -m warptui.engine.simulation PRESET OUT``: a simulated movie for developers."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from warptui.engine.simulation.density import PRESET_MODELS, bundled_particle, read_particles
from warptui.engine.simulation.files import write_movie
from warptui.engine.simulation.movie import simulate_movie
from warptui.engine.simulation.settings import PRESETS


def main(arguments: list[str] | None = None) -> int:
    """Write one movie, its gain reference and its truth."""
    parser = argparse.ArgumentParser(
        prog="python -m warptui.engine.simulation", description=__doc__
    )
    parser.add_argument("preset", choices=sorted(PRESETS))
    parser.add_argument("out", type=Path, help="folder, made if missing")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", help="root name of the files (default: PRESET_SEED)")
    parser.add_argument("--format", choices=("tif", "mrc", "eer"), help="default: tif, or eer")
    parser.add_argument("--size", help="NX,NY in px")
    parser.add_argument("--frames", type=int)
    parser.add_argument("--models", type=Path, help="folder of PDB or mmCIF files, gzipped or not")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="changes")
    given = parser.parse_args(arguments)

    settings = PRESETS[given.preset]
    changes: dict[str, object] = dict(change.split("=", 1) for change in given.changes)
    changes |= {"seed": given.seed, "name": given.name or f"{given.preset}_{given.seed}"}
    if given.size:
        nx, ny = (int(part) for part in given.size.split(","))
        changes["shape_yx"] = (ny, nx)
    if given.frames:
        changes["n_frames"] = given.frames
    settings = type(settings).model_validate(settings.model_dump() | changes)
    if given.models:
        specimen = read_particles(given.models)
    else:
        specimen = (bundled_particle(PRESET_MODELS.get(given.preset, "apoferritin")),)

    def show(fraction: float) -> None:
        sys.stderr.write(f"\r{fraction:4.0%}")

    movie = simulate_movie(settings, specimen)
    chosen = given.format or ("eer" if given.preset == "eer" else "tif")
    path = write_movie(movie, given.out, chosen, progress=show)
    sys.stderr.write("\n")
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
