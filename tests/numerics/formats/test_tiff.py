"""TIFF: every codec, type and layout against tifffile; damage is always a typed error."""

from __future__ import annotations

import struct

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from warptui.engine.errors import CorruptError, InputError, TruncatedError
from warptui.engine.formats.movie import check_complete, open_movie
from warptui.engine.formats.tiff import lzw_kernels
from warptui.engine.formats.tiff.writing import write_tiff_movie

DTYPES = ["uint8", "int8", "uint16", "int16", "float32"]
CODECS = [None, "lzw", "deflate", "adobe_deflate", "zstd"]


def counts(shape=(3, 75, 131), dtype="uint8", seed=0) -> np.ndarray:
    return np.random.default_rng(seed).poisson(1.0, shape).astype(dtype)


def read(path) -> np.ndarray:
    with open_movie(path) as reader:
        return reader.read_all()


def write_pages(path, frames, **options) -> None:
    with tifffile.TiffWriter(
        path, bigtiff=options.pop("bigtiff", False), byteorder=options.pop("byteorder", "<")
    ) as file:
        for frame in frames:
            file.write(frame, contiguous=False, metadata=None, photometric="minisblack", **options)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("codec", CODECS)
def test_frames_are_those_of_tifffile_with_rows_flipped(tmp_path, codec, dtype):
    frames = counts(dtype=dtype)
    write_pages(tmp_path / "a.tif", frames, compression=codec, rowsperstrip=16)
    found = read(tmp_path / "a.tif")
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, frames[:, ::-1])


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_tiles_are_put_together(tmp_path, codec, dtype):
    frames = counts(dtype=dtype)
    write_pages(tmp_path / "a.tif", frames, compression=codec, tile=(32, 48))
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), frames[:, ::-1])


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_byte_orders_and_bigtiff(tmp_path, byteorder, bigtiff, dtype):
    frames = counts(dtype=dtype)
    write_pages(tmp_path / "a.tif", frames, byteorder=byteorder, bigtiff=bigtiff, compression="lzw")
    found = read(tmp_path / "a.tif")
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, frames[:, ::-1])


@pytest.mark.parametrize(("dtype", "predictor"), [("uint8", 2), ("uint16", 2), ("float32", 3)])
def test_predictors_are_undone(tmp_path, dtype, predictor):
    frames = counts(dtype=dtype)
    write_pages(tmp_path / "a.tif", frames, compression="lzw", predictor=predictor)
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), frames[:, ::-1])


def test_a_missing_sample_format_means_unsigned(tmp_path):
    write_pages(tmp_path / "a.tif", counts())
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert 339 not in file.pages[0].tags
    with open_movie(tmp_path / "a.tif") as reader:
        assert reader.dtype == np.uint8


def test_four_bit_pixels_unpack_high_nibble_first(tmp_path):
    frames = np.random.default_rng(0).integers(0, 16, (2, 9, 13)).astype(np.uint8)
    packed = np.pad(frames, ((0, 0), (0, 0), (0, 1)))
    rows = packed[..., 0::2] << 4 | packed[..., 1::2]
    write_pages(tmp_path / "a.tif", rows, rowsperstrip=9)
    data = bytearray((tmp_path / "a.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        for page in file.pages:
            for code, value in ((256, 13), (258, 4)):
                tag = page.tags[code]
                struct.pack_into("<H" if tag.dtype == 3 else "<I", data, tag.valueoffset, value)
    (tmp_path / "a.tif").write_bytes(data)
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), frames[:, ::-1])


@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (2, 600, 600), (1, 5, 4093), (2, 4093, 5), (2000, 8, 8)]
)
@pytest.mark.parametrize("codec", ["lzw", "none"])
def test_every_size_comes_back_as_written(tmp_path, shape, codec):
    frames = counts(shape)
    write_tiff_movie(tmp_path / "a.tif", frames, codec)
    assert check_complete(tmp_path / "a.tif") == ""
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), frames)


@pytest.mark.parametrize("codec", ["lzw", "deflate", "zstd", "none"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("big", [False, True])
def test_written_movies_carry_the_sample_format_and_read_in_tifffile(tmp_path, codec, dtype, big):
    frames = counts(dtype=dtype)
    write_tiff_movie(tmp_path / "a.tif", frames, codec, pixel_size=0.83, big=big)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        kinds = {"u": 1, "i": 2, "f": 3}
        assert file.pages[0].tags[339].value == kinds[np.dtype(dtype).kind]
        np.testing.assert_array_equal(file.asarray()[:, ::-1], frames)
    with open_movie(tmp_path / "a.tif") as reader:
        assert reader.pixel_size == pytest.approx(0.83, rel=1e-8)


@pytest.mark.parametrize("codec", ["lzw", "deflate", "zstd", "none"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_a_cut_movie_is_truncated_with_its_readable_frames(tmp_path, codec, part):
    path = tmp_path / "a.tif"
    write_tiff_movie(path, counts((20, 64, 64)), codec)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(TruncatedError, match=r"\d+ frames are readable"):
        open_movie(path)
    assert "frames are complete, then" in check_complete(path)


@pytest.mark.parametrize("cut", [1, 3, 7, 8, 15, 40])
def test_a_file_of_a_few_bytes_is_never_read(tmp_path, cut):
    path = tmp_path / "a.tif"
    write_tiff_movie(path, counts((2, 8, 8)))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError):
        open_movie(path)
    assert check_complete(path) != ""


@pytest.mark.parametrize("codec", ["lzw", "deflate"])
def test_flipped_bits_raise_typed_errors_or_change_pixels_only(tmp_path, codec):
    """LZW has no checksum, so some flips only change pixels; none may do anything worse."""
    path = tmp_path / "a.tif"
    frames = counts((2, 64, 64))
    write_tiff_movie(path, frames, codec, rows_per_strip=64)
    with tifffile.TiffFile(path) as file:
        start, count = file.pages[1].dataoffsets[0], file.pages[1].databytecounts[0]
    whole = path.read_bytes()
    rng = np.random.default_rng(3)
    noticed = 0
    for _ in range(200):
        data = bytearray(whole)
        data[start + int(rng.integers(count))] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        try:
            np.testing.assert_array_equal(read(path)[0], frames[0])
        except CorruptError as error:
            noticed += 1
            assert "frame 1 of 2" in str(error)
            assert "copy" in str(error)
    # Deflate has a checksum; flips of its header's few unused bits are harmless.
    assert noticed > (60 if codec == "lzw" else 190)


@given(st.binary(min_size=0, max_size=400), st.integers(0, 3000))
@settings(max_examples=300, deadline=None)
def test_the_lzw_kernel_survives_any_bytes(data, size):
    out = np.full(lzw_kernels.OUTPUT_START + size + lzw_kernels.SLACK + 64, 7, np.uint8)
    padded = np.frombuffer(data + bytes(lzw_kernels.SLACK), np.uint8).copy()
    made = lzw_kernels.decode_lzw(padded, len(data), out, size)
    assert -1 <= made <= size
    assert (out[-64:] == 7).all()  # nothing beyond the margin


@given(
    st.one_of(
        arrays(np.uint8, st.integers(1, 20000), elements=st.integers(0, 3), fill=st.just(0)),
        st.binary(min_size=1, max_size=20000).map(lambda data: np.frombuffer(data, np.uint8)),
        st.integers(1, 60000).map(lambda size: np.zeros(size, np.uint8)),
    )
)
@settings(max_examples=100, deadline=None)
def test_the_lzw_kernel_agrees_with_imagecodecs(pixels):
    coded = imagecodecs.lzw_encode(pixels.tobytes())
    data = np.frombuffer(coded + bytes(lzw_kernels.SLACK), np.uint8).copy()
    out = np.empty(lzw_kernels.OUTPUT_START + pixels.size + lzw_kernels.SLACK, np.uint8)
    assert lzw_kernels.decode_lzw(data, len(coded), out, pixels.size) == pixels.size
    start = lzw_kernels.OUTPUT_START
    np.testing.assert_array_equal(out[start : start + pixels.size], pixels)


def change_tag(path, code: int, value: int, page: int = 0) -> None:
    with tifffile.TiffFile(path) as file:
        tag = file.pages[page].tags[code]
    data = bytearray(path.read_bytes())
    struct.pack_into({3: "<H", 4: "<I"}[tag.dtype], data, tag.valueoffset, value)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("code", "value", "error"),
    [
        (256, 1 << 16, CorruptError),  # wider than the data can be
        (257, 1 << 16, CorruptError),
        (256, 0, CorruptError),
        (258, 5, InputError),
        (259, 7, InputError),
        (259, 8, CorruptError),  # said to be deflate, but is LZW
        (278, 3, CorruptError),
        (277, 3, InputError),
        (273, 1 << 30, TruncatedError),
        (279, 1 << 30, TruncatedError),
        (279, 2, CorruptError),
    ],
)
def test_a_lying_tag_is_a_typed_error(tmp_path, code, value, error):
    path = tmp_path / "a.tif"
    write_tiff_movie(path, counts((1, 64, 64)))
    change_tag(path, code, value)
    with pytest.raises(error):
        read(path)


def test_a_chain_that_turns_back_ends(tmp_path):
    path = tmp_path / "a.tif"
    write_tiff_movie(path, counts((2, 8, 8)))
    with tifffile.TiffFile(path) as file:
        first, second = (page.offset for page in file.pages)
    data = bytearray(path.read_bytes())
    n_tags = struct.unpack_from("<H", data, second)[0]
    struct.pack_into("<I", data, second + 2 + 12 * n_tags, first)
    path.write_bytes(data)
    with pytest.raises(TruncatedError, match="points back"):
        open_movie(path)


def test_frames_of_different_sizes_are_refused(tmp_path):
    write_tiff_movie(tmp_path / "a.tif", [np.ones((8, 8), np.uint8), np.ones((8, 9), np.uint8)])
    with pytest.raises(CorruptError, match="frame 1 is 9 x 8"):
        open_movie(tmp_path / "a.tif")


def test_a_movie_without_frames_is_not_written(tmp_path):
    with pytest.raises(Exception, match="without frames"):
        write_tiff_movie(tmp_path / "a.tif", [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.shared
@pytest.mark.parametrize("name", ["gain.tif", "tilt40.tif"])
def test_the_reference_movies_read_as_tifffile_reads_them(shared_data, name):
    path = shared_data / "movies" / name
    with open_movie(path) as reader:
        assert reader.pixel_size == pytest.approx(1.0)
        np.testing.assert_array_equal(reader.read_all(), tifffile.imread(path)[:, ::-1])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_without_the_compiled_kernel_lzw_decodes_to_the_same(tmp_path, monkeypatch, dtype):
    frames = counts(dtype=dtype)
    write_pages(tmp_path / "a.tif", frames, compression="lzw", rowsperstrip=16)
    monkeypatch.setattr("warptui.engine.formats.tiff.movie.lzw_kernels", lambda: None)
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), frames[:, ::-1])
    damaged = bytearray((tmp_path / "a.tif").read_bytes())
    damaged[300:400] = bytes(100)
    (tmp_path / "b.tif").write_bytes(damaged)
    with pytest.raises((CorruptError, TruncatedError)):
        read(tmp_path / "b.tif")


def test_the_kernel_compiles_here_and_its_failure_is_noticed(monkeypatch):
    assert lzw_kernels.kernel_compiles()

    def refuse(*_):
        raise AttributeError("no such part of numba")

    monkeypatch.setattr(lzw_kernels, "decode_lzw", refuse)
    lzw_kernels.kernel_compiles.cache_clear()
    try:
        assert not lzw_kernels.kernel_compiles()
    finally:
        lzw_kernels.kernel_compiles.cache_clear()
