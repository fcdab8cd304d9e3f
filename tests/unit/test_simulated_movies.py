"""What tests keep between runs: made once, whole or absent, and not for ever."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from simulated_movies import UNUSED_DAYS, kept, kept_movie

from warptui.engine.formats.mrc import read_mrc
from warptui.engine.simulation.movie import simulate_movie
from warptui.engine.simulation.settings import PRESETS

TINY = PRESETS["small"].model_copy(update={"shape_yx": (96, 80), "n_frames": 2})


def test_a_folder_is_filled_once_and_another_key_is_another_folder(tmp_path: Path) -> None:
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "file").write_text(f"{len(made)}")

    first = kept("kind", "a", make, tmp_path)
    assert kept("kind", "a", make, tmp_path) == first
    other = kept("kind", "b", make, tmp_path)
    assert [(path / "file").read_text() for path in (first, other)] == ["1", "2"]
    assert set(tmp_path.iterdir()) == {first, other}


def test_what_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        kept("kind", "a", fail, tmp_path)
    assert not list(tmp_path.iterdir())


def test_of_two_that_make_the_same_both_get_one_whole_folder(tmp_path: Path) -> None:
    both, found = threading.Barrier(2), []

    def make(folder: Path) -> None:
        (folder / "one").touch()
        both.wait(180)
        (folder / "two").touch()

    threads = [
        threading.Thread(target=lambda: found.append(kept("kind", "a", make, tmp_path)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2 and found[0] == found[1]
    assert {path.name for path in found[0].iterdir()} == {"one", "two"}
    assert list(tmp_path.iterdir()) == [found[0]]


def test_what_no_test_asks_for_is_removed_after_a_while(tmp_path: Path) -> None:
    old, used = (kept("kind", key, Path.exists, tmp_path) for key in "ab")
    before = time.time() - (UNUSED_DAYS + 1) * 86400
    for folder in (old, used):
        os.utime(folder, (before, before))
    assert kept("kind", "b", Path.exists, tmp_path) == used
    kept("kind", "c", Path.exists, tmp_path)
    assert used.exists() and not old.exists()


def test_a_movie_that_is_kept_is_the_movie_that_is_simulated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARPTUI_TEST_CACHE", str(tmp_path))
    path, truth = kept_movie(TINY, "mrc")
    frames, pixel_size = read_mrc(path)
    movie = simulate_movie(TINY)
    np.testing.assert_array_equal(frames, np.stack(list(movie.frames())))
    assert pixel_size == pytest.approx(TINY.pixel_size)
    assert truth.shape_yx == TINY.shape_yx
    np.testing.assert_array_equal(truth.global_shifts(), movie.truth.global_shifts())
    assert path.with_name("movie_gain.mrc").exists()
    before = path.stat().st_mtime_ns
    assert kept_movie(TINY, "mrc")[0].stat().st_mtime_ns == before
    assert kept_movie(TINY.model_copy(update={"seed": 4}), "mrc")[0].parent != path.parent
