"""torch-ctf-estimation on the full-size images of `benchmarks/ctf.py --full`, beside warptui.

    python benchmarks/ctf_peer.py [--folder build/bench-ctf] [--movies 4]

Both get the same image, the unaligned sum of a movie's frames, in memory and on one thread. Without
torch-ctf-estimation in this environment (``pip install torch-ctf-estimation``, with the
torchvision that belongs to the installed torch) it says so and ends well.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from ctf import FULL, compare, full_settings, simulated

from warptui.engine.config.sections import InputSettings
from warptui.engine.config.settings import Config
from warptui.engine.model.item import Item
from warptui.engine.ops.ctf.transfer_function import Optics
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.simulation.settings import MovieSettings
from warptui.engine.simulation.truth import Truth, read_truth
from warptui.engine.stages.movie import ctf
from warptui.engine.stages.movie.ctf import CtfResult, CtfSettings
from warptui.engine.stages.movie.ctf_spectra import measure_image
from warptui.engine.worker.bench.movie import open_bench

Found = tuple[float, float, float]  # defocus and u - v in Å, angle in degrees
GRIDS = ((1, 1, 1), (5, 5, 1))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("build/bench-ctf"))
    parser.add_argument("--movies", type=int, default=len(FULL))
    given = parser.parse_args()
    try:
        peer = importlib.import_module("torch_ctf_estimation")
    except (ImportError, RuntimeError) as problem:  # RuntimeError: a torchvision of another torch
        sys.stderr.write(f"torch-ctf-estimation is not measured: {problem}\n")
        return 0
    given.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    print(
        f"torch-ctf-estimation {peer.__version__}, one image of 3838 x 3710 px, one thread; Å, °\n"
        "\n| movie | grid | program | defocus error | u - v error | angle error | CPU s |\n"
        "|---|---|---|---|---|---|---|"
    )
    for number, name in list(enumerate(FULL))[: given.movies]:
        settings = full_settings(number)
        truth = read_truth(simulated(settings, given.folder))
        image = summed(settings, given.folder)
        for grid in GRIDS:
            for program, estimate in (
                ("warptui", partial(ours, image, settings, truth, grid)),
                ("peer", partial(theirs, peer, image, settings, truth, grid)),
            ):
                (defocus, astigmatism, angle), seconds = timed(estimate)
                print(
                    f"| {name} | {grid[0]} x {grid[1]} | {program} | {defocus:+.0f} | "
                    f"{astigmatism:+.0f} | {angle:+.1f} | {seconds:.1f} |",
                    flush=True,
                )
    return 0


def summed(settings: MovieSettings, folder: Path) -> torch.Tensor:
    """The sum of a movie's frames, times the gain."""
    config = Config(
        input=InputSettings(pixel_size=settings.pixel_size, gain=f"{settings.name}_gain.mrc")
    )
    with open_bench(
        Item.movie(folder / f"{settings.name}.mrc"),
        ProjectPaths(folder),
        config,
        "cpu",
        threads=1,
        on_progress=lambda fraction: None,
    ) as bench:
        frames = bench.frames.open()
        image = frames[0].clone()
        for index in range(1, frames.n_frames):
            image += frames[index]
    return image


def ours(
    image: torch.Tensor, settings: MovieSettings, truth: Truth, grid: tuple[int, int, int]
) -> Found:
    """Errors of warptui."""
    wanted = CtfSettings(grid=grid)
    optics = Optics(settings.voltage, settings.cs, settings.amplitude_contrast)
    spectra = measure_image(image, settings.pixel_size, wanted)
    row = compare(settings, truth, ctf.estimate("image", spectra, wanted, optics))
    return row["error"], row["astigmatism_error"], row["angle_error"]


def theirs(
    peer: Any,
    image: torch.Tensor,
    settings: MovieSettings,
    truth: Truth,
    grid: tuple[int, int, int],
) -> Found:
    """Errors of the peer with its defaults, and the range and grid of its own example."""
    optical = peer.OpticalParams(
        pixel_spacing_angstroms=settings.pixel_size,
        voltage_kev=settings.voltage,
        spherical_aberration_mm=settings.cs,
        amplitude_contrast_fraction=settings.amplitude_contrast,
    )
    fitting = peer.CTFFittingParams(
        defocus_grid_resolution=(grid[2], grid[1], grid[0]),
        frequency_fit_range_angstroms=(30.0, 6.0),  # Nyquist of the 3 Å/px that it works at
        defocus_range_microns=(0.3, 5.0),
    )
    _, _, found = peer.estimate_ctf(image, optical, fitting, device=torch.device("cpu"))
    mean = float(found.defocus_model.data.mean())
    result = CtfResult(
        defocus_um=mean,
        astigmatism_um=2 * (found.astigmatism or 0.0),  # its astigmatism is half of u - v
        astigmatism_angle_deg=found.astigmatism_angle or 0.0,
        defocus_error_um=0.0,
        grid_defocus_um=[mean],
    )
    row = compare(settings, truth, result)
    return row["error"], row["astigmatism_error"], row["angle_error"]


def timed(estimate: Callable[[], Found]) -> tuple[Found, float]:
    """What is found, and the CPU seconds that it takes once everything is loaded."""
    began = time.process_time()
    found = estimate()
    first = time.process_time() - began
    if first < 5:  # what is slow is not slow because of a first time
        began = time.process_time()
        found = estimate()
        return found, min(first, time.process_time() - began)
    return found, first


if __name__ == "__main__":
    raise SystemExit(main())
