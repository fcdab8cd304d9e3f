"""The watch, driven by a clock of our own."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pretend_project import movie_bytes

from tests.work import instructions
from warptui.engine.errors import TransientError
from warptui.engine.project.store import fingerprint
from warptui.engine.watching.scanner import (
    Complete,
    FolderState,
    FolderWatch,
    Gone,
    Patterns,
    Refused,
    Sighting,
    Waiting,
    inspect_movie,
)

SETTLE_S = 3.0
PATTERNS = Patterns(("*.mrc", "*.tif", "*.eer"))


EMPTY = "0:da39a3ee5e6b4b0d3255bfef95601890afd80709"  # fingerprint of no bytes


def make(
    folder: Path,
    *,
    inspect: Callable[[Path], tuple[str, int]] = lambda path: ("", 0),
    fingerprint: Callable[[Path], str] = fingerprint,
    **more: object,
) -> FolderWatch:
    return FolderWatch(
        folder,
        PATTERNS,
        SETTLE_S,
        inspect=inspect,
        fingerprint=fingerprint,
        **more,  # type: ignore[arg-type]
    )


def complete(sightings: list[Sighting]) -> list[str]:
    return [found.path.name for found in sightings if isinstance(found, Complete)]


def test_a_file_is_complete_the_settle_time_after_its_last_change(tmp_path: Path) -> None:
    watch = make(tmp_path)
    assert watch.look(0.0) == []
    (tmp_path / "a.mrc").write_bytes(b"1")
    assert [type(found) for found in watch.look(1.0)] == [Waiting]
    assert watch.next_due() == 1.0 + SETTLE_S
    (tmp_path / "a.mrc").write_bytes(b"12")
    assert watch.ripen(4.0) == []
    assert watch.next_due() == 4.0 + SETTLE_S
    assert complete(watch.ripen(6.9)) == []
    assert complete(watch.ripen(7.0)) == ["a.mrc"]
    assert complete(watch.look(20.0)) == []


def test_a_pre_allocated_file_waits_until_its_structure_is_whole(tmp_path: Path) -> None:
    whole = movie_bytes()
    path = tmp_path / "a.mrc"
    path.write_bytes(whole[:1100] + bytes(len(whole) - 1100))  # the length is there, the data not
    watch = make(tmp_path, inspect=inspect_movie)
    watch.look(0.0)
    first = watch.ripen(SETTLE_S)
    assert [type(found) for found in first] == [Waiting]
    path.write_bytes(whole)
    watch.look(10.0)
    assert complete(watch.ripen(13.0)) == ["a.mrc"]


def test_a_file_that_stays_incomplete_is_handed_on_to_fail_and_a_better_one_is_taken(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(movie_bytes()[:1500])
    watch = make(tmp_path, inspect=inspect_movie)
    watch.look(0.0)
    found: list[Sighting] = []
    now = 0.0
    while not complete(found) and now < 100:
        now = watch.next_due()
        found = watch.ripen(now)
    assert now == pytest.approx(10 * SETTLE_S, abs=SETTLE_S)
    assert isinstance(found[0], Complete) and found[0].note
    path.write_bytes(movie_bytes())
    assert [type(found) for found in watch.look(100.0)] == [Waiting]
    assert complete(watch.ripen(103.0)) == ["a.mrc"]


def test_fewer_frames_than_the_siblings_have_are_waited_for(tmp_path: Path) -> None:
    frames = {"a.tif": 40, "b.tif": 40, "c.tif": 40}
    for name in frames:
        (tmp_path / name).write_bytes(b"x")
    watch = make(tmp_path, inspect=lambda path: ("", frames[path.name]))
    watch.look(0.0)
    assert len(complete(watch.ripen(3.0))) == 3
    frames["d.tif"] = 17
    (tmp_path / "d.tif").write_bytes(b"x")
    watch.look(10.0)
    (waiting,) = watch.ripen(13.0)
    assert isinstance(waiting, Waiting) and "17 frames" in waiting.reason
    assert complete(watch.ripen(18.9)) == []
    (taken,) = watch.ripen(19.0)
    assert isinstance(taken, Complete) and "17 frames" in taken.note


@pytest.mark.parametrize(
    "name",
    [".a.mrc.Xy12", "a.mrc.tmp", "a.mrc.part", "a.mrc.filepart", "a.mrc~", ".a.mrc", "x_gain.mrc"],
)
def test_temporary_and_reference_names_are_no_movies(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    assert make(tmp_path).look(0.0) == []
    assert not Patterns(("*",)).match(name)


@pytest.mark.timeout(20)
def test_pipes_folders_and_broken_links_never_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mrc")
    (tmp_path / "folder.mrc").mkdir()
    (tmp_path / "dangling.mrc").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.mrc").symlink_to(tmp_path / "loop.mrc")
    (tmp_path / "good.mrc").write_bytes(movie_bytes())
    watch = make(tmp_path, inspect=inspect_movie)
    found = watch.look(0.0)
    refused = {entry.path.name for entry in found if isinstance(entry, Refused)}
    assert refused == {"pipe.mrc", "dangling.mrc", "loop.mrc"}
    assert complete(watch.ripen(3.0)) == ["good.mrc"]
    assert watch.look(6.0) == []  # said once
    (tmp_path / "pipe.mrc").unlink()
    (tmp_path / "pipe.mrc").write_bytes(movie_bytes())
    watch.look(9.0)
    assert complete(watch.ripen(12.0)) == ["pipe.mrc"]


def test_links_to_movies_are_movies_and_are_taken_once(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "x.mrc").write_bytes(movie_bytes())
    (tmp_path / "a.mrc").symlink_to(tmp_path / "store" / "x.mrc")
    watch = make(tmp_path, inspect=inspect_movie)
    watch.look(0.0)
    assert complete(watch.ripen(3.0)) == ["a.mrc"]
    assert [watch.look(now) for now in (6.0, 9.0, 12.0)] == [[], [], []]


def test_a_loop_of_folders_ends(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    (tmp_path / "sub" / "a.mrc").write_bytes(b"x")
    watch = make(tmp_path, recursive=True)
    watch.look(0.0)
    assert len(complete(watch.ripen(3.0))) == 1


def test_hiccups_of_the_file_system_are_no_deletions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.mrc").write_bytes(b"x")
    watch = make(tmp_path)
    watch.look(0.0)
    watch.ripen(3.0)

    def stale(*_: object) -> object:
        raise OSError(errno.ESTALE, "Stale file handle")

    with monkeypatch.context() as broken:
        broken.setattr(os, "scandir", stale)
        assert watch.look(5.0) == []
        assert watch.patient_s > 0
        assert watch.look(7.0) == []
        (state,) = watch.look(9.0)
        assert isinstance(state, FolderState) and "Stale" in state.reason
    assert watch.look(11.0) == [FolderState("")]
    assert watch.patient_s == 0


def test_a_transient_error_while_examining_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "a.mrc").write_bytes(b"x")
    problems = [TransientError("stale"), OSError(errno.EIO, "Input/output error")]

    def inspect(path: Path) -> tuple[str, int]:
        if problems:
            raise problems.pop()
        return "", 0

    watch = make(tmp_path, inspect=inspect)
    watch.look(0.0)
    assert complete(watch.ripen(3.0)) == []
    assert complete(watch.ripen(6.0)) == []
    assert complete(watch.ripen(9.0)) == ["a.mrc"]


@pytest.mark.parametrize("vanish", ["renamed", "emptied"])
def test_an_unmounted_folder_is_not_a_folder_whose_files_were_deleted(
    tmp_path: Path, vanish: str
) -> None:
    folder, away = tmp_path / "data", tmp_path / "away"
    folder.mkdir()
    for name in ("a.mrc", "b.mrc"):
        (folder / name).write_bytes(b"x")
    watch = make(folder)
    watch.look(0.0)
    watch.ripen(3.0)
    (folder / "c.mrc").write_bytes(b"x")
    watch.look(4.0)
    folder.rename(away)
    if vanish == "emptied":
        folder.mkdir()
    (state,) = watch.look(6.0)
    assert isinstance(state, FolderState) and str(folder) in state.reason
    assert watch.look(9.0) == [] and watch.ripen(9.0) == []
    assert watch.next_due() == float("inf")
    shutil.rmtree(folder, ignore_errors=True)
    away.rename(folder)
    back, taken = watch.look(12.0)
    assert back == FolderState("") and complete([taken]) == ["c.mrc"]


def test_deleted_replaced_and_overwritten_files_are_noticed(tmp_path: Path) -> None:
    paths = {name: tmp_path / f"{name}.mrc" for name in ("gone", "replaced", "overwritten", "kept")}
    for path in paths.values():
        path.write_bytes(b"x" * 100)
    watch = make(tmp_path)
    watch.look(0.0)
    watch.ripen(3.0)
    before = paths["overwritten"].stat()
    paths["gone"].unlink()
    (tmp_path / ".new").write_bytes(b"y" * 100)
    os.utime(tmp_path / ".new", (0, 0))  # older than the one that it replaces
    (tmp_path / ".new").replace(paths["replaced"])
    with paths["overwritten"].open("r+b") as file:  # same size, same inode, same time
        file.write(b"z" * 100)
    os.utime(paths["overwritten"], ns=(before.st_atime_ns, before.st_mtime_ns))
    found = watch.look(6.0)
    assert Gone(paths["gone"]) in found
    waiting = {entry.path for entry in found if isinstance(entry, Waiting)}
    assert waiting == {paths["replaced"], paths["overwritten"]}
    prints = {entry.path: entry.fingerprint for entry in watch.ripen(9.0) if entry}  # type: ignore[union-attr]
    assert prints[paths["replaced"]] == fingerprint(paths["replaced"])


def test_known_files_are_not_examined_but_one_replaced_meanwhile_is_found(tmp_path: Path) -> None:
    same, other, lost = tmp_path / "same.mrc", tmp_path / "other.mrc", tmp_path / "lost.mrc"
    same.write_bytes(b"x")
    other.write_bytes(b"y")
    known = {same: fingerprint(same), other: "7:something else", lost: "1:lost"}
    watch = make(tmp_path, known=known)
    found = watch.look(0.0)
    assert Gone(lost) in found
    assert [entry.path for entry in found if isinstance(entry, Waiting)] == [other]


def test_file_times_in_the_future_or_past_mean_nothing(tmp_path: Path) -> None:
    for name, seconds in (("future.mrc", time.time() + 7200), ("past.mrc", 0)):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (seconds, seconds))
    watch = make(tmp_path)
    watch.look(0.0)
    assert sorted(complete(watch.ripen(3.0))) == ["future.mrc", "past.mrc"]


def test_names_are_listed_without_opening_a_file_and_once_each(tmp_path: Path) -> None:
    opened: list[Path] = []

    def listed(n: int, known: dict[Path, str] | None = None) -> tuple[int, int]:
        folder = tmp_path / f"{n}"
        folder.mkdir(exist_ok=True)
        for index in range(n):
            (folder / f"m{index:06}.mrc").touch()
        watch = make(
            folder,
            inspect=lambda path: (opened.append(path), ("", 0))[1],
            fingerprint=lambda path: (opened.append(path), EMPTY)[1],
            **({} if known is None else {"known": known}),
        )
        found = []
        return instructions(lambda: found.extend(watch.look(0.0))), len(found)

    few, many = listed(200), listed(2000)
    assert (few[1], many[1]) == (200, 2000) and not opened
    assert many[0] < 12 * few[0]
    known = {tmp_path / "2000" / f"m{index:06}.mrc": EMPTY for index in range(2000)}
    assert listed(2000, known)[1] == 0
