"""The recipe of ``data/project_0.1.0``: a small project, kept as version 0.1.0 wrote it.

``python -m tests.system.project_recipe FOLDER`` makes such a project with the present version. The
kept one is never made again: it shows that projects of that version still open.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.system.golden_session import warptui
from warptui.engine.simulation.files import write_movie
from warptui.engine.simulation.movie import simulate_movie
from warptui.engine.simulation.settings import MovieSettings

CONFIG = """\
# A comment that stays.
[input]
folder = "raw"
pixel_size = 2.0
dose_per_frame = 3.0
settle_seconds = 0.1
poll_seconds = 0.2
[motion]
patch_size_px = 96
local_grid = [3, 3, 2]
[average]
halves = false
[ctf]
window_px = 128
grid = [1, 1, 1]
fit_max_resolution = 5.0
[picking]
diameter_angstrom = 130.0
min_score = 0.5
[particles]
box_size_px = 48
pixel_size = 4.0
[filters]
defocus_max_um = 4.0
[compute]
devices = "cpu"
threads = 1
[export]
live_seconds = 0.5
"""
EDITS = {
    "format": 1,
    "added": [{"y_angstrom": 240.0, "x_angstrom": 240.0}],
    "removed": [{"y_angstrom": 120.0, "x_angstrom": 120.0, "radius_angstrom": 120.0}],
    "training": "examples",
}


def make(project: Path) -> None:
    """A processed project: a.tif is included, b.tif excluded by hand, c.tif is truncated."""
    raw = project / "raw"
    for seed, name in enumerate("abc"):
        settings = MovieSettings(
            name=name, seed=seed, shape_yx=(224, 224), n_frames=4, pixel_size=2.0,
            dose_per_frame=3.0, particles_per_um2=4000, gain_variation=0, n_dead_pixels=0,
            n_hot_pixels=0, defocus_um=0.8, b_factor=20, local_angstrom=0, drift_angstrom=6,
        )  # fmt: skip
        write_movie(simulate_movie(settings), raw, "tif")
    for beside in [*raw.glob("*_truth.json"), *raw.glob("*_gain.mrc")]:
        beside.unlink()
    whole = (raw / "c.tif").read_bytes()
    (raw / "c.tif").write_bytes(whole[: len(whole) // 2])
    (project / "config.toml").write_text(CONFIG)
    (project / "matching").mkdir()
    (project / "matching" / "a_edits.json").write_text(json.dumps(EDITS))
    warptui("run", project, status=1)
    warptui("select", project, "a.tif", "--include")
    warptui("select", project, "b.tif", "--exclude")
    warptui("run", project, status=1)  # writes the live lists of what is selected now
    warptui("export", "micrographs", project, "--without-ctf")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
