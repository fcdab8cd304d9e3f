"""Movies of any format: threads, open files, and files that are not there yet."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from warptui.engine.errors import InputError, TransientError, TruncatedError
from warptui.engine.formats.movie import check_complete, open_movie
from warptui.engine.formats.mrc import write_mrc
from warptui.engine.formats.tiff.writing import write_eer, write_tiff_movie

FORMATS = ["mrc", "tif", "raw.tif", "eer"]


def make(folder: Path, kind: str, n_frames: int = 6) -> Path:
    path = folder / f"movie.{kind}"
    rng = np.random.default_rng(5)
    frames = rng.poisson(1.0, (n_frames, 70, 90)).astype(np.uint8)
    if kind == "mrc":
        write_mrc(path, frames, 1.1, mode="int8")
    elif kind == "eer":
        ys, xs = rng.uniform(0, 69, (n_frames, 500)), rng.uniform(0, 89, (n_frames, 500))
        write_eer(path, zip(ys, xs, strict=True), (70, 90))
    else:
        write_tiff_movie(path, frames, "none" if kind == "raw.tif" else "lzw")
    return path


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_change_nothing(tmp_path, kind, threads):
    path = make(tmp_path, kind)
    with open_movie(path, eer_frames_per_group=2) as reader:
        frames = reader.read_all(threads)
        for index, frame in enumerate(frames):
            one = np.empty(reader.shape_yx, reader.dtype)
            reader.read(index, one)
            np.testing.assert_array_equal(one, frame)


def test_progress_ends_at_one_and_may_stop_the_reading(tmp_path):
    path = make(tmp_path, "tif")
    seen: list[float] = []
    with open_movie(path) as reader:
        reader.read_all(progress=seen.append)
        assert seen == sorted(seen)
        assert seen[-1] == 1.0
        with pytest.raises(KeyboardInterrupt):
            reader.read_all(progress=lambda _: (_ for _ in ()).throw(KeyboardInterrupt()))


@pytest.mark.parametrize("kind", ["mrc", "tif", "raw.tif"])
def test_frames_are_never_held_twice(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    frames = np.ones((20, 500, 500), np.uint8)
    if kind == "mrc":
        write_mrc(path, frames, 1.0, mode="int8")
    else:
        write_tiff_movie(path, frames, "lzw" if kind == "tif" else "none")
    with open_movie(path) as reader:
        reader.read_all()  # compile
        tracemalloc.start()
        reader.read_all()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < frames.nbytes * 1.2


@pytest.mark.parametrize(
    ("out", "words"),
    [
        (np.empty((70, 91), np.uint8), "expected"),
        (np.empty((70, 90), np.int16), "expected"),
        (np.empty((90, 70), np.uint8).T, "expected"),
    ],
)
def test_a_wrong_target_is_refused(tmp_path, out, words):
    with open_movie(make(tmp_path, "tif")) as reader, pytest.raises(ValueError, match=words):
        reader.read(0, out)


@pytest.mark.parametrize("index", [-1, 6])
def test_a_frame_that_is_not_there_is_an_index_error(tmp_path, index):
    with open_movie(make(tmp_path, "tif")) as reader, pytest.raises(IndexError, match="of 6"):
        reader.read(index, np.empty((70, 90), np.uint8))


def test_the_content_tells_the_format_not_the_name(tmp_path):
    path = make(tmp_path, "eer")
    path.rename(tmp_path / "movie.tif")
    with open_movie(tmp_path / "movie.tif") as reader:
        assert reader.format == "eer"


def test_thousands_of_movies_leave_no_file_open(tmp_path):
    paths = [make(tmp_path, kind, 2) for kind in FORMATS]
    broken = tmp_path / "broken.tif"
    broken.write_bytes(paths[1].read_bytes()[:-30])
    program = f"""
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
from pathlib import Path
from warptui.engine.errors import InputError
from warptui.engine.formats.movie import check_complete, open_movie
for _ in range(60):
    for name in {[str(path) for path in paths]!r}:
        assert check_complete(Path(name)) == ""
        reader = open_movie(Path(name))
        reader.read_all()
        reader.close()
        reader.close()
    assert check_complete(Path({str(broken)!r}))
    try:
        open_movie(Path({str(broken)!r}))
    except InputError:
        pass
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_an_empty_file_says_so(tmp_path):
    path = tmp_path / "a.tif"
    path.touch()
    assert check_complete(path) == "the file is empty"
    with pytest.raises(TruncatedError, match="empty"):
        open_movie(path)


def test_a_folder_or_pipe_is_no_movie_and_blocks_nothing(tmp_path):
    (tmp_path / "folder.tif").mkdir()
    os.mkfifo(tmp_path / "pipe.tif")
    for name in ("folder.tif", "pipe.tif"):
        with pytest.raises(InputError, match="not a regular file"):
            open_movie(tmp_path / name)
        assert "not a regular file" in check_complete(tmp_path / name)


def test_missing_files_and_loops_are_the_systems_errors(tmp_path):
    (tmp_path / "dangling.tif").symlink_to(tmp_path / "nowhere.tif")
    (tmp_path / "loop.tif").symlink_to(tmp_path / "loop.tif")
    for name in ("absent.tif", "dangling.tif", "loop.tif"):
        with pytest.raises(OSError):
            open_movie(tmp_path / name)
        with pytest.raises(OSError):
            check_complete(tmp_path / name)


@pytest.mark.parametrize("name", ["notes.mrc", "notes.tif"])
def test_a_text_file_is_a_typed_error(tmp_path, name):
    (tmp_path / name).write_text("not a movie\n" * 1000)
    with pytest.raises(InputError):
        open_movie(tmp_path / name)
    assert check_complete(tmp_path / name) != ""


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO, errno.ETIMEDOUT])
def test_hiccups_are_transient(tmp_path, monkeypatch, number):
    path = make(tmp_path, "raw.tif")

    def fail(*_):
        raise OSError(number, os.strerror(number))

    with open_movie(path) as reader:
        monkeypatch.setattr(os, "preadv", fail)
        with pytest.raises(TransientError, match=path.name):
            reader.read_all()
    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(TransientError):
        open_movie(path)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_growing_file_is_complete_only_at_its_end(tmp_path, kind):
    whole = make(tmp_path, kind).read_bytes()
    growing = tmp_path / f"growing.{kind}"
    rng = np.random.default_rng(0)
    for length in sorted(rng.integers(0, len(whole), 40)):
        growing.write_bytes(whole[:length])
        assert check_complete(growing) != "", length
    growing.write_bytes(whole)
    assert check_complete(growing) == ""


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("filled", [0.0, 0.2, 0.6, 0.9])
def test_reserved_zeros_are_not_a_movie(tmp_path, kind, filled):
    """Larger frames here: a tail of zeros must be longer than a chance one."""
    path = tmp_path / f"a.{kind}"
    frames = np.random.default_rng(0).poisson(1.0, (6, 600, 600)).astype(np.uint8)
    if kind == "mrc":
        write_mrc(path, frames, 1.0, mode="int8")
    elif kind == "eer":
        rng = np.random.default_rng(0)
        write_eer(path, (rng.uniform(0, 599, (2, 9000)) for _ in range(6)), (600, 600))
    else:
        write_tiff_movie(path, frames, "none" if kind == "raw.tif" else "lzw")
    whole = path.read_bytes()
    assert check_complete(path) == ""
    at = int(len(whole) * filled)
    path.write_bytes(whole[:at] + bytes(len(whole) - at))
    assert check_complete(path) != ""


def test_a_blank_border_is_no_reserved_tail(tmp_path):
    frames = np.random.default_rng(0).poisson(1.0, (4, 600, 600)).astype(np.int8)
    frames[:, 400:] = 0
    write_mrc(tmp_path / "a.mrc", frames, 1.0, mode="int8")
    assert check_complete(tmp_path / "a.mrc") == ""


def test_sparse_last_pixels_are_no_reserved_tail(tmp_path):
    frames = np.random.default_rng(0).poisson(0.001, (2, 600, 600)).astype(np.int8)
    frames[0, -1, -1] = 1
    write_mrc(tmp_path / "a.mrc", frames, 1.0, mode="int8")
    assert check_complete(tmp_path / "a.mrc") == ""


def test_reading_many_frames_needs_little_address_space(tmp_path):
    """A header of 2000 large frames on a short file must not allocate for them."""
    path = make(tmp_path, "mrc")
    data = bytearray(path.read_bytes())
    data[0:12] = np.array([60000, 60000, 2000], "<i4").tobytes()
    path.write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(TruncatedError, match="0 of 2000 frames"):
        open_movie(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


@pytest.mark.shared
@pytest.mark.parametrize("name", ["drift.mrc", "gain.tif", "tilt40.tif", "short.eer"])
def test_the_reference_movies_are_complete(shared_data, name):
    assert check_complete(shared_data / "movies" / name) == ""
