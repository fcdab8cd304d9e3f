"""Movies as acquisition software writes them: bit by bit, by renaming, in other folders."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from pretend_project import Engine, movie_bytes, until

from warptui.client import Client, attach, launch_engine
from warptui.engine.errors import EngineError
from warptui.engine.model.item import State


def tiff_pages(folder: Path, n_frames: int) -> list[bytes]:
    """The bytes of a TIFF after each frame: a whole file every time."""
    stages = []
    path = folder / "growing.tif"
    random = np.random.default_rng(1)
    for index in range(n_frames):
        frame = random.integers(1, 9, (32, 32), np.uint8)
        tifffile.imwrite(path, frame, append=index > 0, photometric="minisblack")
        stages.append(path.read_bytes())
    return stages


@pytest.mark.slow
def test_a_growing_file_is_not_touched_before_it_is_whole(engine: Engine) -> None:
    engine.configure(settle=0.6)
    engine.start()
    assert engine.client
    content = movie_bytes(n_frames=40, side=64)
    path = engine.raw / "a.mrc"
    with path.open("wb") as file:
        part = len(content) // 4 + 1
        for start in range(0, len(content), part):
            file.write(content[start : start + part])
            file.flush()
            if start + part < len(content):
                engine.add(f"after_{start}.mrc")  # whole: the watch looked often meanwhile
                engine.wait_for(f"after_{start}.mrc", State.DONE)
                assert engine.rows()["a.mrc"].state is State.WAITING
    engine.wait_for("a.mrc", State.DONE)
    assert len(engine.client.item("a.mrc").history) == 2  # each stage once
    assert engine.end() == 0


@pytest.mark.slow
def test_a_tiff_that_is_valid_at_every_moment_is_taken_when_it_has_all_frames(
    engine: Engine, tmp_path: Path
) -> None:
    engine.configure(settle=1.0)
    stages = tiff_pages(tmp_path, 6)
    (engine.raw / "first.tif").write_bytes(stages[-1])
    engine.start()
    engine.wait_for("first.tif", State.DONE)
    path = engine.raw / "second.tif"
    path.write_bytes(stages[1])

    def only_the_frame_count_tells() -> bool:  # longer than the settle time
        row = engine.rows().get("second.tif")
        return row is not None and row.state is State.WAITING and "2 frames" in row.reason

    until(only_the_frame_count_tells)
    path.write_bytes(stages[-1])
    engine.wait_for("second.tif", State.DONE)
    assert len(engine.client.item("second.tif").history) == 2
    assert engine.end() == 0


def test_a_complete_movie_waits_for_the_settle_time_and_not_for_the_next_poll(
    engine: Engine,
) -> None:
    engine.configure(settle=0.5)
    text = (engine.project / "config.toml").read_text()
    (engine.project / "config.toml").write_text(text.replace("= 0.2", "= 3600.0"))
    engine.add("warm.mrc")
    engine.start()
    engine.wait_for("warm.mrc", State.DONE)
    if not engine.client.status().watch_mode.startswith("inotify"):
        pytest.skip(f"no file system events here: {engine.client.status().watch_mode}")
    product = engine.project / "average" / "a.mrc"
    began = time.monotonic()
    engine.add("a.mrc")
    until(product.exists)  # the next poll would come in an hour
    assert time.monotonic() - began >= 0.5
    assert engine.end() == 0


def test_sub_folders_are_looked_into_on_request(engine: Engine) -> None:
    text = (engine.project / "config.toml").read_text()
    (engine.project / "config.toml").write_text(
        text.replace('folder = "raw"', 'folder = "."\nrecursive = true')
    )
    engine.start()
    assert engine.client
    (engine.raw / "day 1").mkdir()
    engine.add("day 1.mrc")
    (engine.raw / "day 1.mrc").rename(engine.raw / "day 1" / "a.mrc")
    engine.wait_for("a.mrc", State.DONE)
    engine.add("day 1.mrc")
    (engine.raw / "day 1.mrc").rename(engine.raw / "day 1" / "b.mrc")
    engine.wait_for("b.mrc", State.DONE)  # the folders were looked into again meanwhile
    # and not the averages that lie under the same folder
    assert set(engine.rows()) - {"day 1.mrc"} == {"a.mrc", "b.mrc"}
    assert engine.end() == 0


@pytest.mark.slow
def test_a_movie_that_moved_to_another_folder_keeps_its_results(engine: Engine) -> None:
    engine.add("a.mrc")
    engine.start()
    finished = engine.wait_for("a.mrc", State.DONE).finished_at
    engine.end()
    engine.raw.rename(engine.project / "elsewhere")
    text = (engine.project / "config.toml").read_text()
    (engine.project / "config.toml").write_text(text.replace('"raw"', '"elsewhere"'))
    engine.start()
    row = engine.wait_for("a.mrc", State.DONE)
    assert row.finished_at == finished and row.sequence == 1
    assert engine.end() == 0


def test_a_missing_and_a_replaced_gain_reference_are_noticed(engine: Engine) -> None:
    text = (engine.project / "config.toml").read_text()
    (engine.project / "config.toml").write_text(
        text.replace("pixel_size", 'gain = "gain.mrc"\npixel_size')
    )
    gain = engine.project / "gain.mrc"
    gain.write_bytes(b"one")
    engine.add("a.mrc")
    engine.start()
    engine.wait_for("a.mrc", State.DONE)
    gain.unlink()
    until(lambda: "gain.mrc" in engine.client.status().message)
    assert engine.client.status().state == "paused"
    assert engine.rows()["a.mrc"].state is State.DONE
    gain.write_bytes(b"another one")
    until(lambda: len(engine.client.item("a.mrc").history) >= 4)
    assert engine.client.status().message == ""
    assert engine.end() == 0


def test_the_engine_needs_no_device_library(engine: Engine) -> None:
    engine.add("a.mrc")
    engine.start()
    engine.wait_for("a.mrc", State.DONE)
    assert engine.process is not None
    loaded = Path(f"/proc/{engine.process.pid}/maps").read_text()
    assert "libtorch" not in loaded
    assert engine.end() == 0


def test_a_detached_engine_outlives_who_launched_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in engine.environment.items():
        monkeypatch.setenv(name, value)
    engine.add("a.mrc")
    launch_engine(engine.project)
    with attach(engine.project) as client:
        until(lambda: client.status().counts["done"] == 1)
        client.stop()

    def ended() -> bool:
        try:
            Client.connect(engine.project).close()
        except EngineError:
            return True
        return False

    until(ended)


def test_an_engine_that_cannot_start_says_why(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in engine.environment.items():
        monkeypatch.setenv(name, value)
    (engine.project / "config.toml").write_text("[input]\nsettle_seconds = -4\n")
    with pytest.raises(EngineError, match="settle_seconds"):
        launch_engine(engine.project)


@pytest.mark.slow
def test_the_grid_square_is_told_by_the_folder_or_by_the_mdoc(engine: Engine) -> None:
    engine.configure(more="")
    config = engine.project / "config.toml"
    config.write_text(config.read_text().replace("[input]", "[input]\nrecursive = true"))
    folder = engine.raw / "Images-Disc1" / "GridSquare_188" / "Data"
    folder.mkdir(parents=True)
    (folder / "FoilHole_1_Data_1.mrc").write_bytes(movie_bytes(1))
    (engine.raw / "b.mrc.mdoc").write_text("[FrameSet = 0]\nNavigatorLabel = 12-3\n")
    engine.add("b.mrc")
    engine.add("c.mrc")
    wanted = {"FoilHole_1_Data_1.mrc": "188", "b.mrc": "12", "c.mrc": ""}
    for _ in range(2):  # also after a restart
        engine.start()
        engine.wait_all(State.DONE, 3)
        assert {name: row.square for name, row in engine.rows().items()} == wanted
        assert engine.end() == 0
        (engine.raw / "b.mrc.mdoc").unlink(missing_ok=True)
