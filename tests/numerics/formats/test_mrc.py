"""MRC: every mode and byte order, headers that lie, and files that stay whole."""

from __future__ import annotations

import struct
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from warptui.engine.errors import CorruptError, InputError, OutputError, TruncatedError
from warptui.engine.formats.movie import check_complete, open_movie
from warptui.engine.formats.mrc import read_mrc, write_mrc

MODES = {0: np.int8, 1: np.int16, 2: np.float32, 6: np.uint16, 12: np.float16}


def movie(dtype=np.float32, shape=(3, 7, 10)) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 100, shape).astype(dtype)


def raw_file(path: Path, stack: np.ndarray, mode: int, order: str = "<", **changes) -> Path:
    """An MRC file built byte by byte; ``changes`` are {"at_12": (code, value)}."""
    header = bytearray(1024)
    nz, ny, nx = stack.shape
    struct.pack_into(order + "4i", header, 0, nx, ny, nz, mode)
    struct.pack_into(order + "3f", header, 40, 1.5 * nx, 1.5 * ny, 1.5 * nz)
    header[208:216] = b"MAP " + (b"\x44\x44\0\0" if order == "<" else b"\x11\x11\0\0")
    extended = b""
    for key, (code, value) in changes.items():
        struct.pack_into(order + code, header, int(key.removeprefix("at_")), value)
        if key == "at_92":
            extended = b"\7" * value
    data = stack.astype(stack.dtype.newbyteorder(order)).tobytes()
    path.write_bytes(bytes(header) + extended + data)
    return path


@pytest.mark.parametrize("mode", MODES)
def test_reads_what_mrcfile_writes(tmp_path, mode):
    stack = movie(MODES[mode])
    path = tmp_path / "a.mrc"
    with mrcfile.new(path) as file:
        file.set_data(stack)
        file.voxel_size = 0.83
    with open_movie(path) as reader:
        frames = reader.read_all()
        assert reader.pixel_size == pytest.approx(0.83, abs=1e-5)
    assert frames.dtype == stack.dtype
    np.testing.assert_array_equal(frames, stack)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("mode", MODES)
def test_both_byte_orders_give_native_arrays(tmp_path, mode, order):
    stack = movie(MODES[mode])
    with open_movie(raw_file(tmp_path / "a.mrc", stack, mode, order)) as reader:
        frames = reader.read_all()
    assert frames.dtype.isnative
    np.testing.assert_array_equal(frames, stack)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_header_without_stamps_and_version_is_read(tmp_path, order):
    path = raw_file(tmp_path / "a.mrcs", movie(np.int16), 1, order, at_208=("q", 0))
    with open_movie(path) as reader:
        np.testing.assert_array_equal(reader.read_all(), movie(np.int16))


def test_a_stamp_that_contradicts_the_numbers_is_not_believed(tmp_path):
    path = raw_file(tmp_path / "a.mrc", movie(np.int16), 1, "<", at_212=("i", 0x1111))
    with open_movie(path) as reader:
        np.testing.assert_array_equal(reader.read_all(), movie(np.int16))


def test_an_extended_header_is_skipped(tmp_path):
    path = raw_file(tmp_path / "a.mrc", movie(), 2, at_92=("i", 333))
    with open_movie(path) as reader:
        np.testing.assert_array_equal(reader.read_all(), movie())


@pytest.mark.parametrize(("flags", "expected"), [(1, np.int8), (0, np.uint8), (16 + 1, np.int8)])
def test_bytes_are_unsigned_only_where_imod_says_so(tmp_path, flags, expected):
    stack = np.full((1, 4, 4), 200, np.uint8)
    path = raw_file(tmp_path / "a.mrc", stack, 0, at_152=("i", 1146047817), at_156=("i", flags))
    with open_movie(path) as reader:
        assert reader.dtype == expected
        assert reader.read_all()[0, 0, 0] == (200 if expected is np.uint8 else -56)


def test_four_bit_frames_unpack_low_nibble_first(tmp_path):
    packed = np.array([[[0x21, 0x43, 0x05]]], np.uint8)  # 5 pixels: 1 2 3 4 5
    path = raw_file(tmp_path / "a.mrc", packed, 101, at_0=("i", 5))
    with open_movie(path) as reader:
        assert reader.read_all().tolist() == [[[1, 2, 3, 4, 5]]]


def test_nan_passes_through_reading(tmp_path):
    stack = movie()
    stack[1, 2, 3] = np.nan
    with open_movie(raw_file(tmp_path / "a.mrc", stack, 2)) as reader:
        assert np.isnan(reader.read_all()[1, 2, 3])


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_a_cut_file_says_how_many_frames_are_left(tmp_path, part):
    path = raw_file(tmp_path / "a.mrc", movie(np.int16, (20, 64, 64)), 1)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    left = max(int(len(data) * part) - 1024, 0) // (64 * 64 * 2)
    with pytest.raises(TruncatedError, match=f"{left} of 20 frames"):
        open_movie(path)
    assert f"{left} of 20 frames" in check_complete(path)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"at_8": ("i", 1_000_000)}, TruncatedError, "of 1000000 frames"),
        ({"at_8": ("i", 0)}, CorruptError, "nx, ny, nz"),
        ({"at_0": ("i", -5)}, CorruptError, "nx, ny, nz"),
        ({"at_0": ("i", 1 << 20), "at_4": ("i", 1 << 20)}, TruncatedError, "0 of 3 frames"),
        ({"at_12": ("i", 7)}, InputError, "mode 7"),
        ({"at_12": ("i", 3)}, InputError, "mode 3"),
        ({"at_12": ("i", -3)}, CorruptError, "mode"),
    ],
)
def test_a_lying_header_is_a_typed_error_and_no_allocation(tmp_path, change, error, words):
    path = raw_file(tmp_path / "a.mrc", movie(), 2, **change)
    with pytest.raises(error, match=words):
        open_movie(path)
    assert check_complete(path) != ""


def test_an_extended_header_longer_than_the_file_is_corrupt(tmp_path):
    path = raw_file(tmp_path / "a.mrc", movie(), 2)
    data = bytearray(path.read_bytes())
    struct.pack_into("<i", data, 92, 1 << 30)
    path.write_bytes(data)
    with pytest.raises(CorruptError, match="extended header"):
        open_movie(path)


def test_bytes_after_the_last_frame_are_noted(tmp_path):
    path = raw_file(tmp_path / "a.mrc", movie(), 2)
    path.write_bytes(path.read_bytes() + b"x" * 10)
    with open_movie(path) as reader:
        assert "10 bytes" in reader.notes[0]


@pytest.mark.parametrize("cell", [0.0, -1.0, float("nan"), float("inf"), 1e9])
def test_a_senseless_pixel_size_is_unknown(tmp_path, cell):
    path = raw_file(tmp_path / "a.mrc", movie(), 2, at_40=("f", cell))
    assert read_mrc(path)[1] is None


@pytest.mark.parametrize("mode", ["float32", "float16", "int16"])
def test_mrcfile_finds_written_files_valid(tmp_path, mode):
    path = tmp_path / "out.mrc"
    image = movie()[0]
    write_mrc(path, image, 1.25, mode=mode)
    assert mrcfile.validate(path)
    with mrcfile.open(path) as file:
        assert file.voxel_size.x == pytest.approx(1.25)
        assert file.data.dtype == np.dtype(mode)
        np.testing.assert_array_equal(file.data, image)
    array, pixel_size = read_mrc(path)
    assert array.shape == image.shape
    assert pixel_size == pytest.approx(1.25)


def test_statistics_of_the_header_are_those_of_the_image(tmp_path):
    image = movie()[0] + 1000
    write_mrc(tmp_path / "a.mrc", image, 1.0)
    with mrcfile.open(tmp_path / "a.mrc") as file:
        found = [float(file.header[key]) for key in ("dmin", "dmax", "dmean", "rms")]
    assert found == pytest.approx([image.min(), image.max(), image.mean(), image.std()], rel=1e-5)


def test_half_precision_gives_way_where_values_exceed_it(tmp_path):
    write_mrc(tmp_path / "a.mrc", np.array([[1.0, 1e6]], np.float32), 1.0, mode="float16")
    array, _ = read_mrc(tmp_path / "a.mrc")
    assert array.dtype == np.float32
    assert array[0, 1] == 1e6


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_image_that_is_not_finite_is_never_written(tmp_path, value):
    with pytest.raises(OutputError, match="not finite"):
        write_mrc(tmp_path / "a.mrc", np.array([[1.0, value]]), 1.0)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "a.mrc"
    write_mrc(path, np.ones((4, 4)), 1.0)
    before = path.read_bytes()
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "no space")))
    with pytest.raises(OSError, match="no space"):
        write_mrc(path, np.zeros((4, 4)), 1.0)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.shared
def test_the_reference_movie_reads_as_mrcfile_reads_it(shared_data):
    path = shared_data / "movies" / "drift.mrc"
    with open_movie(path) as reader, mrcfile.mmap(path) as oracle:
        assert reader.n_frames == 16
        assert reader.pixel_size == 1.0
        np.testing.assert_array_equal(reader.read_all(), oracle.data)
