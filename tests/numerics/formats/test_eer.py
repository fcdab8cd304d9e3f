"""EER: events end where they were put, for every coding, rendering and grouping."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from warptui.engine.errors import CorruptError, InputError, TruncatedError
from warptui.engine.formats.eer.kernels import add_events
from warptui.engine.formats.movie import check_complete, open_movie
from warptui.engine.formats.tiff.writing import write_eer

SHAPE = (96, 160)
METADATA = (
    '<metadata><item name="totalDose" unit="e/pixel">6.0</item>'
    '<item name="sensorPixelSize.width" unit="m">5e-11</item></metadata>'
)


def events(n_frames=5, n_events=900, shape=SHAPE, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(n_frames):
        # One event a pixel at most, as a detector's frame has it.
        pixels = rng.choice(shape[0] * shape[1], n_events, replace=False)
        inside = rng.uniform(-0.499, 0.499, (2, n_events))
        yield pixels // shape[1] + inside[0], pixels % shape[1] + inside[1]


def rendered(some_events, upsampling: int, shape=SHAPE) -> np.ndarray:
    image = np.zeros((shape[0] * upsampling, shape[1] * upsampling), int)
    for y, x in some_events:
        rows = np.floor((y + 0.5) * upsampling).astype(int)
        np.add.at(image, (rows, np.floor((x + 0.5) * upsampling).astype(int)), 1)
    return image


def read(path, **options) -> np.ndarray:
    with open_movie(path, **options) as reader:
        return reader.read_all()


@pytest.mark.parametrize("run_bits", [7, 8])
@pytest.mark.parametrize("upsampling", [1, 2])
@pytest.mark.parametrize("n_events", [0, 1, 60, 900, SHAPE[0] * SHAPE[1]])
def test_every_event_is_rendered_where_it_hit(tmp_path, run_bits, upsampling, n_events):
    path = tmp_path / "a.eer"
    write_eer(path, events(3, n_events), SHAPE, run_bits=run_bits)
    found = read(path, eer_frames_per_group=1, eer_upsampling=upsampling)
    for frame, one in zip(found, events(3, n_events), strict=True):
        np.testing.assert_array_equal(frame, rendered([one], upsampling))


@pytest.mark.parametrize("run_bits", [7, 8])
def test_frames_agree_with_imagecodecs(tmp_path, run_bits):
    path = tmp_path / "a.eer"
    write_eer(path, events(2, 3000), SHAPE, run_bits=run_bits)
    found = read(path, eer_frames_per_group=1)
    with tifffile.TiffFile(path) as file:
        for frame, page in zip(found, file.pages, strict=True):
            file.filehandle.seek(page.dataoffsets[0])
            data = file.filehandle.read(page.databytecounts[0])
            oracle = imagecodecs.eer_decode(data, SHAPE, run_bits, 2, 2, superres=0)
            np.testing.assert_array_equal(frame, oracle)


def test_a_group_is_the_sum_of_its_frames_and_the_rest_is_reported(tmp_path):
    path = tmp_path / "a.eer"
    write_eer(path, events(11), SHAPE)
    single = read(path, eer_frames_per_group=1)
    with open_movie(path, eer_frames_per_group=4) as reader:
        assert (reader.n_frames, reader.n_raw_frames) == (2, 11)
        assert reader.notes == ("3 of 11 EER frames left over",)
        grouped = reader.read_all()
    np.testing.assert_array_equal(grouped, single[:8].reshape(2, 4, *SHAPE).sum(axis=1))


def test_a_movie_shorter_than_a_group_is_one_group_and_says_so(tmp_path):
    path = tmp_path / "a.eer"
    write_eer(path, events(3), SHAPE)
    with open_movie(path, eer_frames_per_group=32) as reader:
        assert reader.n_frames == 1
        assert "only 3 EER frames" in reader.notes[0]


def test_counts_of_300_frames_do_not_overflow(tmp_path):
    path = tmp_path / "a.eer"
    write_eer(path, ((np.array([1.0]), np.array([2.0])) for _ in range(300)), SHAPE)
    assert read(path, eer_frames_per_group=300)[0, 1, 2] == 300
    assert read(path, eer_frames_per_group=255)[0, 1, 2] == 255


def test_eight_k_binned_by_two_is_four_k(tmp_path):
    path = tmp_path / "a.eer"
    write_eer(path, events(4, 5000), SHAPE)
    fine = read(path, eer_frames_per_group=2, eer_upsampling=2)
    coarse = read(path, eer_frames_per_group=2)
    binned = fine.reshape(2, SHAPE[0], 2, SHAPE[1], 2).sum(axis=(2, 4))
    np.testing.assert_array_equal(binned, coarse)


def test_pixel_size_and_dose_come_from_the_metadata(tmp_path):
    path = tmp_path / "a.eer"
    write_eer(path, events(12), SHAPE, metadata=METADATA)
    with open_movie(path, eer_frames_per_group=4, eer_upsampling=2) as reader:
        assert reader.pixel_size == pytest.approx(0.25)
        assert reader.dose_per_frame == pytest.approx(6.0 / 0.5**2 / 12 * 4)


def test_without_metadata_nothing_is_invented(tmp_path):
    path = tmp_path / "a.eer"
    write_eer(path, events(2), SHAPE)
    with open_movie(path) as reader:
        assert reader.pixel_size is None
        assert reader.dose_per_frame is None


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("relion_convert_to_tiff") is None, reason="RELION is not here")
@pytest.mark.parametrize("run_bits", [7, 8])
@pytest.mark.parametrize("upsampling", [1, 2])
def test_relion_renders_the_same(tmp_path, run_bits, upsampling):
    """RELION keeps rows as we do, and writes TIFF flipped as we read it."""
    shape = (4096, 4096)
    write_eer(tmp_path / "a.eer", events(4, 20000, shape), shape, run_bits=run_bits)
    subprocess.run(
        ["relion_convert_to_tiff", "--i", "a.eer", "--o", "out/", "--eer_grouping", "2",
         "--eer_upsampling", str(upsampling)],
        cwd=tmp_path, check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    found = read(tmp_path / "a.eer", eer_frames_per_group=2, eer_upsampling=upsampling)
    np.testing.assert_array_equal(found, read(tmp_path / "out" / "a.tif"))


@given(
    st.integers(2, 12), st.integers(0, 4), st.integers(0, 4),
    st.lists(st.integers(0, 1999), unique=True, max_size=300).map(sorted),
    st.integers(0, 1 << 30),
)  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_widths_told_by_tags_decode(run_bits, bits_x, bits_y, pixels, seed):
    """Symbols are written here bit by bit, as text: run, then x, then y, lowest bits first."""
    ny, nx = 40, 50
    rng = np.random.default_rng(seed)
    longest, text, expected, last = (1 << run_bits) - 1, "", np.zeros((2 * ny, 2 * nx), int), 0
    for pixel in [*pixels, ny * nx]:
        run = pixel - last
        while run >= longest:
            text += "1" * run_bits
            run -= longest
        text += format(run, f"0{run_bits}b")[::-1]
        last = pixel + 1
        if pixel == ny * nx:
            break
        at = []
        for bits in (bits_x, bits_y):
            value = int(rng.integers(1 << bits))
            # Two's complement from the centre: the top bit set is the half before it.
            at.append(0 if bits and value >> (bits - 1) else 1)
            text += format(value, f"0{bits}b")[::-1] if bits else ""
        expected[2 * (pixel // nx) + at[1], 2 * (pixel % nx) + at[0]] += 1
    n_bits = len(text)
    text += "0" * (-n_bits % 32)
    words = np.array([int(text[i : i + 32][::-1], 2) for i in range(0, len(text), 32)], np.uint32)
    out = np.zeros((ny, nx), np.uint8)
    options = (run_bits, bits_x, bits_y, False, nx, ny * nx)
    assert add_events(words, n_bits, *options, 1, out) == (len(pixels), ny * nx)
    assert np.flatnonzero(out).tolist() == pixels
    if bits_x and bits_y:
        fine = np.zeros((2 * ny, 2 * nx), np.uint8)
        add_events(words, n_bits, *options, 2, fine)
        np.testing.assert_array_equal(fine, expected)


@given(st.binary(min_size=4, max_size=600), st.sampled_from([(7, False), (8, True)]))
@settings(max_examples=200, deadline=None)
def test_any_bytes_stay_within_the_frame(data, coding):
    words = np.frombuffer(data[: len(data) // 4 * 4], np.uint32)
    for upsampling in (1, 2):
        guarded = np.zeros((3 * 20 * upsampling, 30 * upsampling), np.uint8)
        middle = guarded[20 * upsampling : 40 * upsampling]
        n_events, _ = add_events(
            words, words.size * 32, coding[0], 2, 2, coding[1], 30, 600, upsampling, middle
        )
        assert guarded.sum() == middle.sum() == n_events


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_a_cut_movie_is_truncated(tmp_path, part):
    path = tmp_path / "a.eer"
    write_eer(path, events(20), SHAPE)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(TruncatedError, match=r"\d+ raw frames are readable"):
        open_movie(path)
    assert check_complete(path) != ""


def test_a_frame_that_loses_its_end_is_corrupt(tmp_path):
    path = tmp_path / "a.eer"
    write_eer(path, events(3), SHAPE)
    with tifffile.TiffFile(path) as file:
        tag = file.pages[1].tags[279]
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, tag.valueoffset, tag.value[0] // 2)
    path.write_bytes(data)
    with pytest.raises(CorruptError, match="frame 1 of 3"):
        read(path)


def test_a_flipped_bit_is_noticed_or_moves_events_only(tmp_path):
    path = tmp_path / "a.eer"
    write_eer(path, events(1, 300), SHAPE)  # 2 % of the pixels, as in a real frame
    with tifffile.TiffFile(path) as file:
        start, count = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    noticed = 0
    for _ in range(200):
        data = bytearray(whole)
        data[start + int(rng.integers(count))] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        try:
            read(path)
        except CorruptError:
            noticed += 1
    assert noticed > 90  # most of the others change only a sub-pixel position


@pytest.mark.parametrize("options", [{"eer_upsampling": 3}, {"eer_frames_per_group": 0}])
def test_impossible_renderings_are_refused(tmp_path, options):
    write_eer(tmp_path / "a.eer", events(1), SHAPE)
    with pytest.raises(InputError, match="EER upsampling"):
        open_movie(tmp_path / "a.eer", **options)


def test_events_outside_the_frame_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="outside"):
        write_eer(tmp_path / "a.eer", [(np.array([96.0]), np.array([3.0]))], SHAPE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.shared
def test_the_reference_movie_has_the_dose_of_its_truth(shared_data):
    truth = json.loads((shared_data / "movies" / "short_truth.json").read_text())
    with open_movie(shared_data / "movies" / "short.eer", eer_frames_per_group=8) as reader:
        assert (reader.n_raw_frames, reader.n_frames) == (32, truth["shape"]["frames"])
        assert reader.notes == ()
        frames = reader.read_all()
    exposed = truth["config"]["dose_per_frame"] * truth["pixel_size"] ** 2
    # The specimen scatters about a tenth of the electrons away.
    assert 0.8 * exposed < frames.mean() < exposed
    # At most one event a pixel in each of 8 raw frames: a little less than Poisson's variance.
    variance = frames.mean() * (1 - frames.mean() / 8)
    assert frames.var() == pytest.approx(variance, rel=0.005)
