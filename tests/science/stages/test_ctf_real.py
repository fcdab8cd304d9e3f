"""Real micrographs: a plausible CTF of each, and a quality that ranks them as people do."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import mrcfile
import numpy as np
import pytest
import torch

from warptui.engine.ops.ctf.transfer_function import Optics
from warptui.engine.stages.movie import ctf
from warptui.engine.stages.movie.ctf import CtfResult, CtfSettings
from warptui.engine.stages.movie.ctf_spectra import measure_image

pytestmark = [pytest.mark.slow, pytest.mark.shared]

OPTICS = Optics(300, 2.7, 0.07)


def found_in(image: np.ndarray, pixel_size: float, settings: CtfSettings) -> CtfResult:
    pixels = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))
    return ctf.estimate("image", measure_image(pixels, pixel_size, settings), settings, OPTICS)


def test_apoferritin_has_the_defocus_that_other_programs_find(shared_data: Path):
    paths = sorted((shared_data / "micrographs" / "apoferritin").glob("*.mrc"))[::3]
    for path in paths:
        result = found_in(mrcfile.read(path), 1.5, CtfSettings())
        assert result.confidence is not None and result.confidence > 0.99
        assert result.defocus_um is not None and 1.5 < result.defocus_um < 2.55
        assert result.resolution is not None and result.resolution < 6
        assert result.quality is not None and result.quality > 0.4


def test_clean_films_rank_above_dirt_crystals_and_empty_holes(shared_data: Path):
    settings = CtfSettings(
        window_px=256, fit_min_resolution=90, fit_max_resolution=12.7, defocus_min_um=0.5
    )
    quality: dict[str, list[float]] = {}
    for path in sorted((shared_data / "micrographs" / "quality").glob("*/*.png")):
        picture = imagecodecs.png_decode(path.read_bytes())
        image = picture if picture.ndim == 2 else picture[..., 0]
        result = found_in(image, 6.0, settings)
        assert result.quality is not None
        quality.setdefault(path.parent.name[0], []).append(result.quality)
    clean = [*quality["0"], *quality["1"]]
    assert min(clean) > max(value for kind in "2345" for value in quality[kind])
