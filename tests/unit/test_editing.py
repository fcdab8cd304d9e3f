"""Edits reach the picks that are there, the lists and the metadata, without network or movie."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import starfile

from warptui.engine.api import protocol
from warptui.engine.api.event_hub import EventHub
from warptui.engine.api.verbs import VERBS
from warptui.engine.config.settings import Config
from warptui.engine.errors import EngineError, InputError, ItemError
from warptui.engine.formats.star.picks import Candidates
from warptui.engine.formats.warp import xml
from warptui.engine.items import picks
from warptui.engine.items.detail import read_detail
from warptui.engine.items.entry import Entry
from warptui.engine.items.service import ItemService
from warptui.engine.items.table import ItemTable
from warptui.engine.model.edits import Edits, Spot
from warptui.engine.model.item import State
from warptui.engine.model.status import EngineStatus
from warptui.engine.model.stored import StoredItem
from warptui.engine.planning.plan import References, make_record
from warptui.engine.planning.target import Target
from warptui.engine.project.edits_file import write_edits
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.project.picks import write_candidates
from warptui.engine.project.store import Store
from warptui.engine.stages.registry import STAGES

PICKING = {
    "pixel_size": 2.0, "shape_yx": [800, 800], "mask_pixel_yx": [8.0, 8.0], "model": "boxnet",
    "suffix": "boxnet", "n_particles": 3, "min_score": 0.95, "mask_percent": 1.5,
    "notes": [],
}  # fmt: skip
TABLE = np.array(
    [[100, 100, 0.99, 20], [100, 400, 0.97, 20], [400, 100, 0.96, 20], [400, 400, 0.6, 20]],
    np.float32,
)


@pytest.fixture(autouse=True)
def local_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(ProjectPaths(tmp_path))
    yield store
    store.close()


class Bookkeeper(ItemService):
    """The register of a project with one picked movie, as an engine opens it."""

    def __init__(self, project: Path, store: Store) -> None:
        table = ItemTable(ProjectPaths(project), Target.of(Config(), References(), STAGES))
        table.adopt(store.load_all().values())
        table.edit_states = picks.read_edit_states(ProjectPaths(project))
        said = EventHub(EngineStatus("idle", str(project), ""))
        super().__init__(table, store, said, project, lambda path: None)
        self.judge_all()
        self.catch_up_all()

    @property
    def entry(self) -> Entry:
        return self.table.entries["a.tif"]

    @property
    def row(self) -> Any:
        return self._hub.rows()[0]


@pytest.fixture
def book(tmp_path: Path, store: Store) -> Bookkeeper:
    item = StoredItem("a.tif", 1, raw_path=str(tmp_path / "a.tif"), fingerprints={"frames": "f"})
    results: dict[str, dict[str, Any]] = {
        "motion": {},
        "average": {},
        "ctf": {},
        "picking": PICKING,
        "particles": {},
    }
    for stage, result in results.items():
        record = make_record(
            stage, item, Config(), References(), "f", result=result, finished_at=1.0,
            seconds=1.0, device="cpu", program_version="0",
        )  # fmt: skip
        item = item.with_record(record)
    store.save(item)
    found = Candidates(TABLE, np.zeros((200, 200), np.uint8))
    write_candidates(ProjectPaths(tmp_path), "a", found, {"version": 1})
    return Bookkeeper(tmp_path, store)


def rows(project: Path, name: str = "a_boxnet") -> list[tuple[float, float]]:
    table = starfile.read(project / "matching" / f"{name}.star")
    return [
        (float(y), float(x))
        for y, x in zip(table.rlnCoordinateY, table.rlnCoordinateX, strict=True)
    ]


def test_an_edit_is_stored_applied_and_told(tmp_path: Path, book: Bookkeeper, store: Store) -> None:
    assert book.row.summary["picking.n_particles"] == 3 and book.row.edited_at == 0
    removed = Spot(y_angstrom=200, x_angstrom=800)
    edits = Edits(
        added=(Spot(y_angstrom=10, x_angstrom=20),), removed=(removed,), training="examples"
    )
    book.edit("a.tif", edits)
    assert rows(tmp_path) == [(5, 10), (100, 100), (400, 100)]
    assert rows(tmp_path, "a_boxnet_falsepositives") == [(100, 400)]
    first = book.row
    assert first.training == "examples" and first.edited_at > 0
    assert first.summary["picking.n_particles"] == 3
    assert first.state is State.OUTDATED and "particles: what picking found" in first.reason
    assert len(book.schedule) == 0 and book.schedule.n_later == 1  # until the person is done
    counted = book.table.counts()[1]
    assert (counted["edited"], counted["examples"], counted["particles"]) == (1, 1, 3)
    book.edit("a.tif", Edits(min_score=0.5))
    assert len(rows(tmp_path)) == 4 and book.row.summary["picking.n_particles"] == 4
    assert book.row.edited_at > first.edited_at and book.row.training == ""
    assert not (tmp_path / "matching" / "a_boxnet_falsepositives.star").exists()
    stored = store.load("a.tif")
    assert stored and stored.records["picking"].result["n_particles"] == 4
    root = xml.parse((tmp_path / "a.xml").read_bytes())
    assert xml.read_thresholds(root) == {"boxnet": 0.5}
    book.edit("a.tif", Edits())
    assert not (tmp_path / "matching" / "a_edits.json").exists()
    assert book.row.summary["picking.n_particles"] == 3
    assert book.table.judge(book.entry) == ()  # nothing is outdated by any of it


def test_the_details_have_what_the_app_needs(tmp_path: Path, book: Bookkeeper) -> None:
    book.edit("a.tif", Edits(min_score=0.5, train_mask=False))
    detail = read_detail(
        book.table.known_detail(book.entry), ProjectPaths(tmp_path), book.store.load
    )
    assert Edits.model_validate(detail.edits) == Edits(min_score=0.5, train_mask=False)
    assert np.load(detail.path("candidates")).shape == (4, 4)
    assert np.load(detail.path("mask preview")).dtype == np.uint8
    assert detail.settings["picking"]["picking"]["diameter_angstrom"] == 200
    (tmp_path / "matching" / "a_edits.json").write_text("{")
    broken = read_detail(
        book.table.known_detail(book.entry), ProjectPaths(tmp_path), book.store.load
    )
    assert broken.edits == {} and "a_edits.json" in broken.edits_problem


def test_an_engine_that_ended_in_between_catches_up(
    tmp_path: Path, book: Bookkeeper, store: Store
) -> None:
    write_edits(tmp_path / "matching" / "a_edits.json", Edits(min_score=0.5, training="held-out"))
    later = Bookkeeper(tmp_path, store)
    assert later.entry.stored.records["picking"].result["n_particles"] == 4
    assert later.row.training == "held-out" and later.row.edited_at > 0
    assert len(rows(tmp_path)) == 4


def test_picks_that_were_made_meanwhile_get_the_edits(tmp_path: Path, book: Bookkeeper) -> None:
    book.entry.running = True
    book.edit("a.tif", Edits(min_score=0.5))
    assert not (tmp_path / "matching" / "a_boxnet.star").exists()  # a worker may be writing it
    book.entry.running = False
    book.catch_up(book.entry)
    assert len(rows(tmp_path)) == 4


def test_an_item_that_was_not_picked_yet_keeps_its_edits(tmp_path: Path, store: Store) -> None:
    store.save(
        StoredItem("a.tif", 1, raw_path=str(tmp_path / "a.tif"), fingerprints={"frames": "f"})
    )
    book = Bookkeeper(tmp_path, store)
    book.edit("a.tif", Edits(training="examples"))
    assert book.row.training == "examples"
    assert picks.read_edit_state(ProjectPaths(tmp_path), "a").training == "examples"


def test_candidates_that_are_gone_are_told_and_the_edits_kept(
    tmp_path: Path, book: Bookkeeper
) -> None:
    (tmp_path / "thumbnails" / "candidates" / "a.npy").unlink()
    with pytest.raises(ItemError, match=r"a\.tif: its candidates are gone.*\(P\)"):
        book.edit("a.tif", Edits(min_score=0.5))
    assert (tmp_path / "matching" / "a_edits.json").exists() and book.row.edited_at > 0


def test_edits_that_cannot_be_read_are_told_and_change_nothing(
    tmp_path: Path, book: Bookkeeper, store: Store
) -> None:
    path = tmp_path / "matching" / "a_edits.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text("{")
    later = Bookkeeper(tmp_path, store)
    assert "a_edits.json" in later.table.edit_state(later.entry).problem
    assert later.row.summary["picking.n_particles"] == 3 and later.row.edited_at > 0


def test_edits_that_cannot_be_written_are_told(tmp_path: Path, book: Bookkeeper) -> None:
    (tmp_path / "matching").write_text("a file in the way")
    with pytest.raises(ItemError, match=r"a_edits\.json cannot be written"):
        book.edit("a.tif", Edits(min_score=0.5))


def test_unknown_items_and_senseless_values_are_refused(book: Bookkeeper) -> None:
    with pytest.raises(KeyError):
        book.edit("b.tif", Edits())
    with pytest.raises(EngineError, match=r"edit: edits\.min_score: .*found 2"):
        VERBS["edit"].decode_arguments({"name": "a.tif", "edits": {"min_score": 2}})
    with pytest.raises(EngineError, match=r"edit: edits\.colour"):
        VERBS["edit"].decode_arguments({"name": "a.tif", "edits": {"colour": "red"}})


def test_viewers_get_what_the_edit_raised() -> None:
    record = protocol.encode_error(InputError("a.tif: min_score: too much"))
    with pytest.raises(ItemError, match="too much"):
        protocol.raise_error(record)
