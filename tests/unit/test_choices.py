"""Choices: one write for any number of items, and no choice is lost or overtaken."""

from __future__ import annotations

import os
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from warptui.engine.api.event_hub import EventHub
from warptui.engine.config.settings import Config
from warptui.engine.errors import ItemError
from warptui.engine.formats.warp import xml
from warptui.engine.items import choice_writer
from warptui.engine.items.choice_writer import ChoiceWriter
from warptui.engine.items.service import ItemService
from warptui.engine.items.table import ItemTable
from warptui.engine.model.item import Choice
from warptui.engine.model.status import EngineStatus
from warptui.engine.model.stored import StoredItem
from warptui.engine.planning.plan import References, make_record
from warptui.engine.planning.target import Target
from warptui.engine.project.choices import ChoiceJournal
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.project.store import Store
from warptui.engine.stages.registry import STAGES
from warptui.engine.watching.scanner import Complete

pytestmark = pytest.mark.usefixtures("local_state")

WARPS = (
    b'<Movie UnselectManual="null"><OptionsCTF><Param Name="Window" Value="512"/></OptionsCTF>'
    b"</Movie>"
)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often files are synced and documents parsed."""
    found: Counter[str] = Counter()
    fsync, parse = os.fsync, xml.parse

    def synced(descriptor: int) -> None:
        found["fsync"] += 1
        fsync(descriptor)

    def parsed(data: bytes) -> xml.Element:
        found["parse"] += 1
        return parse(data)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(xml, "parse", parsed)
    return found


def item(name: str = "a.mrc", sequence: int = 1, **changes: Any) -> StoredItem:
    """An item with its motion done."""
    made = StoredItem(name, sequence, raw_path=f"/raw/{name}", fingerprints={"frames": "9:f"})
    return replace(with_stage(made, "motion"), **changes)


def with_stage(made: StoredItem, stage: str) -> StoredItem:
    result = {"early_motion": 0.5, "n_frames": 3, "track_yx_angstrom": [[0.5, 1.0]] * 20}
    record = make_record(
        stage, made, Config(), References(), "9:f", result=result, finished_at=1.0,
        seconds=1.0, device="cpu", program_version="0",
    )  # fmt: skip
    return made.with_record(record)


def reopened(project: ProjectPaths) -> dict[str, StoredItem]:
    """What another process finds."""
    other = Store(project)
    try:
        return other.load_all()
    finally:
        other.close()


def service_of(project: ProjectPaths, store: Store) -> ItemService:
    table = ItemTable(project, Target.of(Config(), References(), STAGES))
    table.adopt(store.load_all().values())
    hub = EventHub(EngineStatus("idle", str(project.root), ""))
    made = ItemService(table, store, hub, project.root, lambda path: None)
    made.judge_all()
    return made


def in_file(project: ProjectPaths, root_name: str = "a") -> bool | None:
    return xml.read_unselect_manual(xml.parse(project.metadata(root_name).read_bytes()))


def test_5000_items_are_chosen_with_one_write(
    project: ProjectPaths, store: Store, calls: Counter[str]
) -> None:
    service = service_of(project, store)
    names = [f"m{number:04}.mrc" for number in range(5000)]
    service.see([Complete(Path(f"/raw/{name}"), "f") for name in names])
    calls.clear()
    service.choose(names, Choice.EXCLUDE)
    assert calls == {"fsync": 1}
    assert {row.choice for row in service._hub.rows()} == {Choice.EXCLUDE}
    assert service.table.counts()[1]["exclude"] == 5000
    found = reopened(project)
    assert len(found) == 5000 and {item.choice for item in found.values()} == {Choice.EXCLUDE}
    assert found["m0007.mrc"].raw_path == "/raw/m0007.mrc" and found["m0007.mrc"].sequence == 8


def test_a_choice_counts_before_it_is_in_the_metadata_file(
    project: ProjectPaths, store: Store
) -> None:
    store.save(item())
    before = project.metadata("a").read_bytes()
    store.choose([item(choice=Choice.EXCLUDE).abridged()])
    assert project.metadata("a").read_bytes() == before
    assert reopened(project) == {"a.mrc": item(choice=Choice.EXCLUDE).abridged()}
    assert store.load("a.mrc") == item(choice=Choice.EXCLUDE)
    store.apply_choice("a")
    assert project.metadata("a").read_bytes() == before.replace(b'="null"', b'="True"')
    assert project.metadata_backup("a").read_bytes() == before
    assert len(store.choices) == 0 and store.load("a.mrc") == item(choice=Choice.EXCLUDE)


def test_applying_a_choice_keeps_the_index_warm(
    project: ProjectPaths, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save(item())
    store.choose([item(choice=Choice.INCLUDE)])
    store.apply_choice("a")
    store.choices.empty()
    monkeypatch.setattr(Store, "_read_batch", lambda *_: pytest.fail("a file was read again"))
    assert reopened(project)["a.mrc"].choice is Choice.INCLUDE


def test_the_last_choice_counts(project: ProjectPaths, store: Store) -> None:
    store.save(item())
    for choice in (Choice.EXCLUDE, Choice.INCLUDE, Choice.AUTO):
        store.choose([item(choice=choice)])
        assert reopened(project)["a.mrc"].choice is choice


def test_a_choice_that_was_saved_since_is_not_applied_any_more(
    project: ProjectPaths, store: Store
) -> None:
    store.save(item())
    store.choose([item(choice=Choice.EXCLUDE)])
    store.save(item(choice=Choice.EXCLUDE, sequence=2))
    assert len(store.choices) == 0 and in_file(project) is True
    path = project.metadata("a")  # another program decides otherwise
    path.write_bytes(path.read_bytes().replace(b'Manual="True"', b'Manual="False"'))
    store.apply_choice("a")
    assert in_file(project) is False


def test_a_choice_made_while_an_earlier_one_is_written_is_kept(
    project: ProjectPaths, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save(item())
    store.choose([item(choice=Choice.EXCLUDE)])
    replaced = Store._replace

    def slow(path: Path, data: bytes, backup: Path | None) -> None:
        store.choose([item(choice=Choice.INCLUDE)])
        replaced(path, data, backup)

    with monkeypatch.context() as patched:
        patched.setattr(Store, "_replace", staticmethod(slow))
        store.apply_choice("a")
    assert in_file(project) is True and len(store.choices) == 1
    assert store.load("a.mrc") == item(choice=Choice.INCLUDE)
    store.apply_choice("a")
    assert in_file(project) is False and len(store.choices) == 0


@pytest.mark.parametrize("torn", [b"{", b'{"format": 1, "choice": "excl', b"\xff\n", b"[]\n"])
def test_a_line_that_was_cut_short_is_left_out(
    project: ProjectPaths, store: Store, torn: bytes
) -> None:
    store.save(item())
    store.save(item("b.mrc", 2))
    store.choose([item(choice=Choice.EXCLUDE)])
    with project.choices.open("ab") as file:
        file.write(torn)
    assert reopened(project)["a.mrc"].choice is Choice.EXCLUDE
    other = Store(project)
    other.choose([item("b.mrc", 2, choice=Choice.INCLUDE)])
    other.close()
    found = reopened(project)
    assert [found[name].choice for name in ("a.mrc", "b.mrc")] == [Choice.EXCLUDE, Choice.INCLUDE]


def test_a_choice_that_cannot_be_written_changes_nothing(
    project: ProjectPaths, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save(item())
    service = service_of(project, store)
    service.choose(["a.mrc"], Choice.INCLUDE)
    before = project.choices.read_bytes()

    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", no_space)
        with pytest.raises(ItemError, match=r"choices\.jsonl cannot be written.*No space left"):
            service.choose(["a.mrc"], Choice.EXCLUDE)
    assert project.choices.read_bytes() == before
    assert service.table.entries["a.mrc"].stored.choice is Choice.INCLUDE
    assert reopened(project)["a.mrc"].choice is Choice.INCLUDE


def test_a_damaged_metadata_file_takes_its_choice_with_its_backup(
    project: ProjectPaths, store: Store
) -> None:
    store.save(item())
    store.save(item(sequence=2))
    project.metadata("a").write_bytes(project.metadata("a").read_bytes()[:-20])
    store.choose([item(choice=Choice.EXCLUDE).abridged()])
    store.apply_choice("a")
    found = reopened(project)["a.mrc"]
    assert found.choice is Choice.EXCLUDE and found.records == item().abridged().records
    assert project.metadata_unreadable("a").exists()


def test_records_that_cannot_be_read_do_not_become_the_backup(
    project: ProjectPaths, store: Store
) -> None:
    store.save(item())
    store.save(item(sequence=2))
    backup = project.metadata_backup("a").read_bytes()
    newer = project.metadata("a").read_bytes().replace(b'Format="1"', b'Format="99"')
    project.metadata("a").write_bytes(newer)
    store.choose([item(choice=Choice.EXCLUDE).abridged()])
    store.apply_choice("a")
    assert project.metadata_backup("a").read_bytes() == backup
    assert project.metadata_unreadable("a").read_bytes() == newer


def test_a_file_of_warps_gets_the_choice_and_names_its_item(
    project: ProjectPaths, store: Store
) -> None:
    project.metadata("a").write_bytes(WARPS)
    store.choose([StoredItem("a.tif", 3, Choice.INCLUDE, raw_path="/raw/a.tif")])
    store.apply_choice("a")
    found = reopened(project)["a.tif"]
    assert (found.choice, found.problem) == (Choice.INCLUDE, "processed by Warp, not by warptui")


def test_the_choice_for_a_file_that_cannot_be_an_item_leaves_the_item_s_alone(
    project: ProjectPaths, store: Store
) -> None:
    store.save(item())
    service = service_of(project, store)
    service.see([Complete(Path("/raw/sub/a.tif"), "g")])
    service.choose(["a.tif"], Choice.EXCLUDE)
    assert len(store.choices) == 0
    assert reopened(project) == {"a.mrc": item().abridged()}


def test_the_writer_brings_choices_into_the_files_and_empties_the_journal(
    project: ProjectPaths, store: Store
) -> None:
    for number in range(20):
        store.save(item(f"m{number}.mrc", number + 1))
    writer = ChoiceWriter(store)
    store.choose([item(f"m{n}.mrc", n + 1, choice=Choice.EXCLUDE) for n in range(20)])
    writer.close()
    assert [in_file(project, f"m{number}") for number in range(20)] == [True] * 20
    assert project.choices.read_bytes() == b""


def test_no_file_is_written_before_the_choices_rest(
    project: ProjectPaths, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save(item())
    happened: list[float | str] = []
    ages = iter([0.0, 0.1, choice_writer.QUIET_S])

    def age_s(journal: ChoiceJournal) -> float:
        happened.append(next(ages, choice_writer.QUIET_S))
        return happened[-1]

    def replaced(path: Path, data: bytes, backup: Path | None) -> None:
        happened.append(path.name)
        written.set()

    written = threading.Event()
    monkeypatch.setattr(ChoiceJournal, "age_s", age_s)
    monkeypatch.setattr(Store, "_replace", staticmethod(replaced))
    store.choose([item(choice=Choice.EXCLUDE)])
    writer = ChoiceWriter(store)
    assert written.wait(180)
    writer.close()
    assert happened[:4] == [0.0, 0.1, choice_writer.QUIET_S, "a.xml"]


def test_the_writer_goes_on_after_a_file_that_cannot_be_written(
    project: ProjectPaths, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.mrc", "b.mrc"):
        store.save(item(name))
    replaced, refused = Store._replace, threading.Event()

    def broken(path: Path, data: bytes, backup: Path | None) -> None:
        if path.name == "a.xml":
            refused.set()
            raise PermissionError(13, "Permission denied", str(path))
        replaced(path, data, backup)

    monkeypatch.setattr(Store, "_replace", staticmethod(broken))
    store.choose([item(name, choice=Choice.EXCLUDE) for name in ("a.mrc", "b.mrc")])
    writer = ChoiceWriter(store)
    assert refused.wait(180)
    writer.close()
    assert in_file(project, "b") is True and in_file(project) is None
    assert reopened(project)["a.mrc"].choice is Choice.EXCLUDE  # the next engine writes it


def test_the_stages_of_a_job_parse_no_document(
    project: ProjectPaths, store: Store, calls: Counter[str]
) -> None:
    made = item()
    for number, stage in enumerate(("motion", "average", "ctf", "picking", "particles")):
        made = with_stage(made, stage)
        made = store.save(made).abridged()
        assert calls == {"fsync": number + 1}
    data = project.metadata("a").read_bytes()
    assert xml.to_bytes(xml.parse(data)) == data
    other = Store(project)  # which knows no document
    full = other.load("a.mrc")
    assert full is not None
    other.save(replace(full, sequence=2))
    other.save(full)
    other.close()
    assert project.metadata("a").read_bytes() == data


def test_what_another_program_wrote_between_two_stages_is_kept(
    project: ProjectPaths, store: Store
) -> None:
    made = store.save(item())
    path = project.metadata("a")
    path.write_bytes(path.read_bytes().replace(b"<Movie ", b'<Movie New="yes" '))
    store.save(with_stage(made, "average"))
    assert xml.parse(path.read_bytes()).get("New") == "yes"


def test_a_save_that_failed_leaves_no_document_behind(
    project: ProjectPaths, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = store.save(item())
    before = project.metadata("a").read_bytes()

    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", no_space)
        with pytest.raises(OSError, match="No space"):
            store.save(replace(made, sequence=7))
    store.save(made)
    assert project.metadata("a").read_bytes() == before


def test_loading_waits_for_no_writer(project: ProjectPaths, store: Store) -> None:
    store.save(item())
    found: list[StoredItem | None] = []
    with store._lock:  # a write that hangs
        reader = threading.Thread(target=lambda: found.append(store.load("a.mrc")))
        reader.start()
        reader.join(30)
    assert found == [item()]
