"""The bench gives stages clean frames once, and takes only products that are worth keeping."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
import torch

from warptui.engine.config.sections import InputSettings
from warptui.engine.config.settings import Config
from warptui.engine.errors import Cancelled, GainError, InputError, OutputError
from warptui.engine.formats.mrc import write_mrc
from warptui.engine.formats.tiff.writing import write_tiff_movie
from warptui.engine.model.item import Item
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.stages.base import Product
from warptui.engine.stages.movie.average import AVERAGE, DECONVOLVED, EVEN, ODD, PREVIEW
from warptui.engine.stages.movie.ctf_products import SPECTRUM
from warptui.engine.worker.bench.movie import MovieBench, open_bench

SHAPE = (96, 112)


@contextmanager
def bench_of(
    movie: Path,
    on_progress: Callable[[float], None] = lambda fraction: None,
    **settings: Any,
) -> Iterator[MovieBench]:
    with open_bench(
        Item.movie(movie),
        ProjectPaths(movie.parent),
        Config(input=InputSettings(**settings)),
        "cpu",
        threads=2,
        on_progress=on_progress,
    ) as bench:
        yield bench


def counts(n_frames: int = 5, mean: float = 10.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).poisson(mean, (n_frames, *SHAPE)).astype(np.uint8)


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    path = tmp_path / "movie.mrc"
    write_mrc(path, counts(), 1.3, "uint16")
    return path


def test_frames_are_the_numbers_of_the_file(movie: Path):
    with bench_of(movie, dose_per_frame=2.0) as bench:
        frames = bench.frames.open()
        assert frames.n_frames == 5 and frames.shape_yx == SHAPE
        for index, expected in enumerate(counts()):
            assert frames[index].dtype == torch.float32
            np.testing.assert_array_equal(frames[index], expected)
        assert bench.frames.pixel_size == pytest.approx(1.3, rel=1e-5)
        assert bench.frames.dose_per_frame == 2.0


def test_frames_are_read_from_disk_once(movie: Path):
    with bench_of(movie) as bench:
        frames = bench.frames.open()
        movie.unlink()
        assert bench.frames.open() is frames
        np.testing.assert_array_equal(frames[4], counts()[4])


def test_reading_into_a_buffer_gives_the_same_frame(movie: Path):
    with bench_of(movie) as bench:
        buffer = torch.empty(SHAPE)
        assert bench.frames.open().read(2, buffer) is buffer
        np.testing.assert_array_equal(buffer, counts()[2])


def test_a_tiff_movie_is_the_mrc_movie(movie: Path):
    other = movie.with_name("other.tif")
    write_tiff_movie(other, iter(counts()), pixel_size=1.3)
    with bench_of(movie) as one, bench_of(other, pixel_size=1.3) as two:
        for index in range(5):
            assert torch.equal(one.frames.open()[index], two.frames.open()[index])


def test_the_setting_of_the_pixel_size_wins_over_the_header(movie: Path):
    with bench_of(movie, pixel_size=0.7) as bench:
        bench.frames.open()
        assert bench.frames.pixel_size == 0.7


def test_an_unknown_pixel_size_is_an_error_that_names_the_setting(tmp_path: Path):
    path = tmp_path / "m.mrc"
    write_mrc(path, counts(), 0.0, "uint16")
    with bench_of(path) as bench, pytest.raises(InputError, match=r"m\.mrc.*input\.pixel_size"):
        bench.frames.open()


def test_pixel_size_and_dose_come_from_the_mdoc_beside_the_movie(tmp_path: Path):
    path = tmp_path / "m.tif"
    write_tiff_movie(path, iter(counts()))
    path.with_name("m.tif.mdoc").write_text(
        "PixelSpacing = 2.25\nVoltage = 300\n\n[FrameSet = 0]\n"
        "PixelSpacing = 2.25\nExposureDose = 10\nNumSubFrames = 5\nBinning = 1\n"
    )
    with bench_of(path) as bench:
        bench.frames.open()
        assert bench.frames.pixel_size == pytest.approx(2.25)
        assert bench.frames.dose_per_frame == pytest.approx(2.0)


def test_fewer_frames_than_the_mdoc_says_is_an_error(tmp_path: Path):
    path = tmp_path / "m.tif"
    write_tiff_movie(path, iter(counts()))
    path.with_name("m.tif.mdoc").write_text(
        "PixelSpacing = 2.25\n\n[FrameSet = 0]\nPixelSpacing = 2.25\nNumSubFrames = 8\n"
    )
    with bench_of(path) as bench, pytest.raises(InputError, match=r"m\.tif: 5 frames.*says 8"):
        bench.frames.open()


def test_an_unknown_dose_is_said(movie: Path):
    with bench_of(movie) as bench:
        bench.frames.open()
        assert bench.frames.dose_per_frame is None
        assert any("input.dose_per_frame" in note for note in bench.notes)


def test_the_gain_is_multiplied_and_evens_the_frames_out(tmp_path: Path):
    random = np.random.default_rng(3)
    sensitivity = random.normal(1, 0.08, SHAPE)
    frames = random.poisson(40 * sensitivity, (20, *SHAPE)).astype(np.uint8)
    write_mrc(tmp_path / "gain.mrc", (1 / sensitivity).astype(np.float32), 1.0)
    write_mrc(tmp_path / "m.mrc", frames, 1.0, "uint16")
    with bench_of(tmp_path / "m.mrc", gain="gain.mrc") as bench:
        corrected = bench.frames.open()
        total = sum(corrected[index] for index in range(20))
    raw = frames.sum(0)
    assert float(total.std()) < 1.1 * np.sqrt(20 * 40)
    assert raw.std() > 2 * np.sqrt(20 * 40)
    assert float(total.mean()) == pytest.approx(raw.mean(), rel=0.02)


def test_a_gain_of_another_size_or_a_missing_one_is_an_error(movie: Path):
    write_mrc(movie.with_name("gain.mrc"), np.ones((50, 60), np.float32), 1.0)
    with bench_of(movie, gain="gain.mrc") as bench, pytest.raises(GainError, match=r"gain\.mrc"):
        bench.frames.open()
    with bench_of(movie, gain="none.mrc") as bench, pytest.raises(InputError, match=r"none\.mrc"):
        bench.frames.open()


def test_dead_and_hot_pixels_are_filled(tmp_path: Path):
    frames = counts(12)
    frames[:, 30, 40] = 0
    frames[:, 60, 70] = 200
    write_mrc(tmp_path / "m.mrc", frames, 1.0, "uint16")
    with bench_of(tmp_path / "m.mrc") as bench:
        corrected = bench.frames.open()
        total = sum(corrected[index] for index in range(12))
        assert corrected.n_defects >= 2
    for y, x in ((30, 40), (60, 70)):
        assert 60 < float(total[y, x]) < 190  # 120 on average


def test_known_defects_are_filled_too(tmp_path: Path):
    frames = counts(4)
    write_mrc(tmp_path / "m.mrc", frames, 1.0, "uint16")
    (tmp_path / "defects.txt").write_text("10 20 3 2\n")
    with bench_of(tmp_path / "m.mrc", defects="defects.txt") as bench:
        corrected = bench.frames.open()
        assert corrected.n_defects == 6
        assert not np.array_equal(corrected[0][20:22, 10:13], frames[0, 20:22, 10:13])
        changed = corrected[0].numpy() != frames[0]
    assert not changed[:20].any() and not changed[22:].any() and not changed[:, 13:].any()


def test_a_movie_that_is_mostly_defects_is_refused(tmp_path: Path):
    write_mrc(tmp_path / "m.mrc", counts(4), 1.0, "uint16")
    (tmp_path / "defects.txt").write_text("0 0 112 20\n")
    with (
        bench_of(tmp_path / "m.mrc", defects="defects.txt") as bench,
        pytest.raises(InputError, match="% of the pixels"),
    ):
        bench.frames.open()


def test_an_image_too_small_to_be_a_movie_is_refused(tmp_path: Path):
    write_mrc(tmp_path / "m.mrc", np.arange(4 * 40 * 200).reshape(4, 40, 200) % 7, 1.0, "int16")
    with bench_of(tmp_path / "m.mrc") as bench, pytest.raises(InputError, match="200 x 40 px"):
        bench.frames.open()


def test_a_frame_without_a_finite_value_is_refused_by_its_number(tmp_path: Path):
    frames = counts().astype(np.float32)
    path = tmp_path / "m.mrc"
    write_mrc(path, frames, 1.0)
    frames[2] = np.nan
    body = path.read_bytes()
    path.write_bytes(body[: len(body) - frames.nbytes] + frames.tobytes())
    with bench_of(path) as bench, pytest.raises(InputError, match="frame 3 of 5"):
        bench.frames.open()


def test_a_movie_that_tells_no_pixel_size_asks_for_it(tmp_path: Path):
    path = tmp_path / "m.tif"
    write_tiff_movie(path, counts())
    told = r"neither the file nor an mdoc .* gives the pixel size; set input\.pixel_size"
    with bench_of(path) as bench, pytest.raises(InputError, match=told):
        bench.frames.open()
    with bench_of(path, pixel_size=1.3) as bench:
        bench.frames.open()
        assert bench.frames.pixel_size == 1.3


@pytest.mark.parametrize(
    "product", [AVERAGE, ODD, EVEN, DECONVOLVED, SPECTRUM], ids=lambda product: product.name
)
def test_a_product_can_be_read_back(movie: Path, product: Product):
    image = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
    with bench_of(movie) as bench:
        path = bench.products.save(product, image, 1.3)
        torch.testing.assert_close(bench.products.load(product), image, rtol=1e-3, atol=1e-3)
        assert path == f"{product.folder}/movie.mrc"
    with mrcfile.open(movie.parent / path) as file:
        assert float(file.voxel_size.x) == pytest.approx(1.3, rel=1e-4)


def test_a_product_of_unknown_format_is_a_mistake_of_the_program(movie: Path):
    masks = Product("masks", "masks", ".png")
    with bench_of(movie) as bench, pytest.raises(ValueError, match="masks"):
        bench.products.save(masks, torch.rand(SHAPE), 1.0)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_product_that_is_not_finite_is_not_written(movie: Path, value: float):
    image = torch.rand(SHAPE)
    image[3, 4] = value
    with bench_of(movie) as bench, pytest.raises(OutputError, match=r"movie\.mrc.*not finite"):
        bench.products.save(AVERAGE, image, 1.0)
    assert not (movie.parent / "average" / "movie.mrc").exists()


def test_a_constant_product_is_not_written(movie: Path):
    with bench_of(movie) as bench, pytest.raises(OutputError, match=r"5\.0 everywhere"):
        bench.products.save(AVERAGE, torch.full(SHAPE, 5.0), 1.0)
    assert not (movie.parent / "average" / "movie.mrc").exists()


def test_a_better_product_replaces_the_old_one_and_leaves_no_scraps(movie: Path):
    with bench_of(movie) as bench:
        for seed in (0, 1):
            image = torch.rand(SHAPE, generator=torch.Generator().manual_seed(seed))
            bench.products.save(AVERAGE, image, 1.0)
            bench.products.save(PREVIEW, (image * 255).to(torch.uint8))
        torch.testing.assert_close(bench.products.load(AVERAGE), image, atol=1e-3, rtol=1e-3)
    names = {p.name for p in movie.parent.rglob("*") if p.is_file()}
    assert names == {"movie.mrc", "movie.npy"}
    assert np.load(movie.parent / "thumbnails" / "movie.npy").shape == SHAPE


def test_being_asked_to_stop_ends_the_reading(movie: Path):
    def stop(fraction: float) -> None:
        raise Cancelled("asked to stop")

    with bench_of(movie, on_progress=stop) as bench, pytest.raises(Cancelled):
        bench.frames.open()
