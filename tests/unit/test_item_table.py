"""The table of items: counts, selection and reasons for all items at the same time."""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.work import counted, instructions
from warptui.engine.api.event_hub import EventHub
from warptui.engine.api.events import ItemChanged
from warptui.engine.config.sections import FilterSettings
from warptui.engine.config.settings import Config
from warptui.engine.items.service import ItemService
from warptui.engine.items.table import ItemTable
from warptui.engine.model import codec
from warptui.engine.model.item import Choice, State
from warptui.engine.model.row import ItemRow
from warptui.engine.model.status import EngineStatus
from warptui.engine.model.stored import StoredItem
from warptui.engine.planning.plan import References, make_record
from warptui.engine.planning.target import Target, summaries, visible_summaries
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.stages.registry import STAGES


def config(**filters: float) -> Config:
    return Config(filters=FilterSettings.model_validate(filters))


def stored(number: int, motion: float | None, choice: Choice = Choice.AUTO) -> StoredItem:
    """An item that is in accord with the default settings."""
    name = f"m{number:06}.tif"
    item = StoredItem(
        name, number + 1, choice, raw_path=f"/raw/{name}", fingerprints={"frames": "f"}
    )
    results: dict[str, dict[str, Any]] = {
        "motion": {"early_motion": motion},
        "average": {"mean_electrons": 30.0},
        "ctf": {"defocus_um": 1.5},
        "picking": {"n_particles": 100},
        "particles": {},
    }
    for stage, result in results.items():
        facts: dict[str, Any] = {"finished_at": 1.0, "seconds": 1.0}
        record = make_record(
            stage, item, Config(), References(), "f", result=result, **facts,
            device="cpu", program_version="0",
        )  # fmt: skip
        item = item.with_record(record)
    return item


def items_of(project: Path, items: list[StoredItem]) -> ItemService:
    table = ItemTable(ProjectPaths(project), Target.of(Config(), References(), STAGES))
    table.adopt(items)
    hub = EventHub(EngineStatus("idle", str(project), ""))
    nothing = cast(Any, None)
    register = ItemService(table, nothing, hub, project, lambda path: None)
    register.judge_all()
    return register


def shown(register: ItemService) -> dict[str, tuple[bool, bool, str]]:
    return {row.name: (row.selected, row.filtered, row.reason) for row in register._hub.rows()}


def set_filters(register: ItemService, **filters: float) -> None:
    register.table.target = register.table.target.with_filters(config(**filters))
    register.reselect_all()


def news(register: ItemService, after: int) -> list[ItemRow]:
    """What viewers hear that know all up to ``after``."""
    batch = register._hub._since(after)
    return [event.row for _, event in batch if isinstance(event, ItemChanged)]


def test_the_newest_file_is_known_after_a_restart(tmp_path: Path) -> None:
    old, young = stored(0, 0.5), stored(1, 0.5)
    record = replace(young.records["ctf"], finished_at=time.time() - 300.0)
    history = ({"stage": "ctf", "finished_at": record.finished_at},)
    young = replace(young, records={**young.records, "ctf": record}, history=history)
    table = items_of(tmp_path, [young, old]).table
    newest = table.newest()
    assert newest is not None and newest.name == young.name
    assert time.monotonic() - newest.arrived == pytest.approx(300.0, abs=5.0)
    assert max(table.finished_at()) == record.finished_at


def test_a_limit_takes_out_and_its_removal_brings_back(tmp_path: Path) -> None:
    items = [stored(0, 0.5), stored(1, 4.1), stored(2, None), stored(3, 9.0, Choice.INCLUDE)]
    register = items_of(tmp_path, items)
    before = shown(register)
    assert all(selected for selected, _, _ in before.values())
    set_filters(register, motion_max=1.5)
    assert list(shown(register).values()) == [
        (True, False, ""),
        (False, True, "filtered: motion 4.10 > 1.5 Å/frame"),
        (False, True, "filtered: motion unknown"),
        (True, False, ""),
    ]
    _, choices = register.table.counts()
    assert (choices["selected"], choices["filtered"], choices["include"]) == (2, 2, 1)
    set_filters(register)
    assert shown(register) == before


def test_limits_make_nothing_outdated(tmp_path: Path) -> None:
    register = items_of(tmp_path, [stored(0, 4.1)])
    digest = register.table.target.digest
    set_filters(register, motion_max=1.5)
    assert register.table.target.digest == digest
    register.judge_all()
    assert [row.state for row in register._hub.rows()] == [State.DONE]
    assert not len(register.schedule)


def test_a_limit_of_a_stage_that_is_off_judges_nothing(tmp_path: Path) -> None:
    motion = STAGES[0].Settings(enabled=False)
    off = config(motion_max=1.0).model_copy(update={"stages": {"motion": motion}})
    assert Target.of(off, References(), STAGES).limits == ()
    assert len(Target.of(config(motion_max=1.0), References(), STAGES).limits) == 1


def test_viewers_hear_only_of_items_that_change(tmp_path: Path) -> None:
    register = items_of(tmp_path, [stored(n, 0.1 * n) for n in range(30)])
    before = register._hub._sequence
    set_filters(register, motion_max=2.45)
    assert [row.name for row in news(register, before)] == [f"m{n:06}.tif" for n in range(25, 30)]


def test_the_counts_are_told_before_the_reasons_of_thousands_are_worded(tmp_path: Path) -> None:
    register = items_of(tmp_path, [stored(n, 0.1 * n) for n in range(30)])
    table, before, told = register.table, register._hub._sequence, []
    table.target = table.target.with_filters(config(motion_max=2.45))

    def tell() -> None:
        told.append((table.counts()[1], len(news(register, before))))

    register.reselect_all(tell)
    assert [(choices["filtered"], n_told) for choices, n_told in told] == [(5, 0)]
    assert table.counts()[1] == told[0][0]
    assert len(news(register, before)) == 5


def test_reasons_follow_limits_that_came_with_other_settings(tmp_path: Path) -> None:
    register = items_of(tmp_path, [stored(0, 4.0)])
    set_filters(register, motion_max=1.5)
    table = register.table
    changed = Config.from_json({"compute": {"threads": 2}, "filters": {"motion_max": 1.0}})
    table.target = Target.of(changed, References(), STAGES)
    register.judge_all()
    set_filters(register, motion_max=1.5)
    assert [row.reason for row in register._hub.rows()] == ["filtered: motion 4.00 > 1.5 Å/frame"]


VALUES = st.one_of(st.none(), st.sampled_from([0.5, 1.0, 1.5, 2.0]))
LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "motion_max": st.sampled_from([0.5, 1.0, 1.9]),
        "defocus_min_um": st.sampled_from([0.5, 1.0, 1.4]),
        "astigmatism_max_sigma": st.sampled_from([0.5, 1.0, 3.0]),
        "particles_min": st.just(1),
    },
)
ITEMS = st.lists(
    st.tuples(VALUES, VALUES, VALUES, st.sampled_from(Choice), st.booleans()),
    min_size=1,
    max_size=9,
)


@settings(max_examples=40, deadline=None)
@given(ITEMS, st.lists(LIMITS, min_size=1, max_size=4), st.data())
def test_judging_in_columns_is_judging_one_by_one(items, steps, data) -> None:
    """Whatever came before, also with items that came, went and got other results."""
    made = []
    for number, (motion, defocus, astigmatism, choice, has_result) in enumerate(items):
        item = stored(number, motion, choice)
        found = {"defocus_um": defocus, "astigmatism_um": astigmatism}
        ctf = replace(item.records["ctf"], result={**found, "astigmatism_angle_deg": 30.0})
        records = {**item.records, "ctf": ctf} if has_result else {}
        made.append(replace(item, records=records))
    register = items_of(Path("/nowhere"), made)
    table = register.table
    for filters in steps:
        set_filters(register, **filters)
        told = {entry.name: entry.selection for entry in table.entries.values()}
        counted = table.counts()
        for entry in table.entries.values():
            table.judge(entry)
        assert {entry.name: entry.selection for entry in table.entries.values()} == told
        assert table.counts() == counted
        selected = [entry for entry in table.entries.values() if entry.selection.selected]
        assert counted[1]["selected"] == len(selected)
        assert counted[1]["particles"] == sum(
            entry.stored.records["picking"].result["n_particles"] for entry in selected
        )
        entries = list(table.entries.values())
        entry = data.draw(st.sampled_from(entries))
        if data.draw(st.booleans()) and len(entries) > 1:
            table.remove(entry)
            register._removed(entry)
        else:
            entry.stored = replace(stored(entry.sequence - 1, data.draw(VALUES)), name=entry.name)
            register.settle(entry)
        if data.draw(st.booleans()):
            arrived = table.arrive(Path(f"/raw/late{len(entries)}.tif"), at_start=False)
            register.settle(arrived)


def test_every_value_of_every_stage_can_be_limited() -> None:
    unlimited = [
        entry.key for entry in summaries(STAGES) if not entry.filter_min + entry.filter_max
    ]
    assert unlimited == []


def test_another_limit_takes_work_in_proportion_to_the_items_that_it_concerns(
    tmp_path: Path,
) -> None:
    def work(n_others: int) -> int:
        values = [0.5] * n_others + [1.85] * 20
        register = items_of(tmp_path, [stored(n, value) for n, value in enumerate(values)])
        set_filters(register, motion_max=1.9)  # the column of the limit is made
        found = instructions(lambda: set_filters(register, motion_max=1.8))
        assert sum(filtered for _, filtered, _ in shown(register).values()) == 20
        return found

    few, many = work(50), work(1000)
    assert many == pytest.approx(few, rel=0.01)


def test_another_setting_is_told_of_items_that_it_concerns_and_of_no_others(
    tmp_path: Path,
) -> None:
    register = items_of(tmp_path, [stored(0, 0.5), stored(1, 0.6, Choice.EXCLUDE), stored(2, 9.0)])
    before = register._hub._sequence
    register.judge_all()
    assert news(register, before) == []
    table = register.table
    changed = Config.from_json({"motion": {"b_factor": -200.0}, "filters": {"motion_max": 1.0}})
    table.target = Target.of(changed, References(), STAGES)
    register.judge_all()
    rows = news(register, before)
    assert [(row.name, row.state, row.filtered) for row in rows] == [
        ("m000000.tif", State.OUTDATED, False),
        ("m000001.tif", State.OUTDATED, False),
        ("m000002.tif", State.OUTDATED, True),
    ]
    assert "motion.b_factor -100 -> -200" in rows[0].reason
    assert register.queue(5)[0] == (
        "m000002.tif",
        f"outdated: {table.entries['m000002.tif'].reason}",
    )
    before = register._hub._sequence
    table.target = Target.of(Config(), References(), STAGES)  # and back
    register.judge_all()
    assert [row.state for row in news(register, before)] == [State.DONE] * 3
    assert not register.queue(5)


def test_an_item_that_waits_is_told_of_though_nothing_about_it_changed(tmp_path: Path) -> None:
    table = ItemTable(ProjectPaths(tmp_path), Target.of(Config(), References(), STAGES))
    table.adopt([stored(0, 0.5)])
    entry = next(iter(table.entries.values()))
    entry.waiting = ""  # as it stands at first
    hub = EventHub(EngineStatus("idle", str(tmp_path), ""))
    nothing = cast(Any, None)
    register = ItemService(table, nothing, hub, tmp_path, nothing)
    register.judge_all()
    assert [row.state for row in hub.rows()] == [State.WAITING]


def test_settings_that_change_no_result_are_compared_without_making_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = counted(monkeypatch, ItemTable, "row")

    def work(n: int) -> int:
        register = items_of(tmp_path, [stored(n, 0.5) for n in range(n)])
        assert len(rows) == n
        rows.clear()
        other = Config.from_json({"compute": {"threads": 2}})
        register.table.target = Target.of(other, References(), STAGES)
        return instructions(register.judge_all)

    few, many = work(50), work(200)
    assert not rows and many < 4.2 * few
    assert many / 200 < 1500  # of an item: all of its stages, compared as they are


@pytest.fixture
def with_ctf(tmp_path: Path) -> ItemTable:
    """Ten items of which the last is astigmatic as no other."""
    table = ItemTable(ProjectPaths(tmp_path), Target.of(Config(), References(), STAGES))
    items = []
    for number in range(10):
        item = stored(number, 0.5)
        found = {"astigmatism_um": 0.05 + 0.001 * number, "astigmatism_angle_deg": 40.0}
        if number == 9:
            found = {"astigmatism_um": 0.3, "astigmatism_angle_deg": 120.0}
        made = replace(item.records["motion"], stage="ctf", result=found)
        items.append(replace(item, records={**item.records, "ctf": made}))
    table.adopt(items)
    return table


def sigmas(table: ItemTable) -> list[float]:
    return [
        table._value(entry.stored.records, "ctf", "astigmatism_sigma") or 0.0
        for entry in table.entries.values()
    ]


def test_astigmatism_is_judged_against_that_of_the_session(with_ctf: ItemTable):
    found = sigmas(with_ctf)
    assert found[9] == pytest.approx(3.0, abs=0.05)  # the most that one of ten can be away
    assert max(found[:9]) < 0.5


def test_rows_bring_the_direction_and_the_status_what_it_is_judged_by(with_ctf: ItemTable):
    session = with_ctf.session_astigmatism()
    assert session is not None
    status = EngineStatus("idle", "", "", astigmatism=session)
    assert codec.decode(EngineStatus, json.loads(json.dumps(codec.encode(status)))) == status
    for entry in with_ctf.entries.values():
        values = with_ctf.row(entry).summary
        angle = 2 * math.radians(values["ctf.astigmatism_angle_deg"] or 0.0)
        um = values["ctf.astigmatism_um"] or 0.0
        away = math.hypot(um * math.cos(angle) - session.x_um, um * math.sin(angle) - session.y_um)
        assert away / session.sigma_um == pytest.approx(values["ctf.astigmatism_sigma"])


def test_without_a_ctf_there_is_nothing_to_judge_astigmatism_by(tmp_path: Path):
    table = ItemTable(ProjectPaths(tmp_path), Target.of(Config(), References(), STAGES))
    table.adopt([stored(0, 0.5)])
    assert table.session_astigmatism() is None


def test_the_direction_is_no_column_of_its_own():
    assert "ctf.astigmatism_angle_deg" not in {entry.key for entry in summaries(STAGES)}


def test_the_session_is_looked_at_again_when_enough_came_in(with_ctf: ItemTable):
    entries = list(with_ctf.entries.values())
    before = sigmas(with_ctf)
    good = entries[0].stored.records["ctf"]
    odd = entries[9].stored
    entries[9].stored = replace(odd, records={**odd.records, "ctf": good})
    assert with_ctf.survey(entries[9]) == entries
    assert sigmas(with_ctf)[9] < 1.5 < before[9]
    assert with_ctf.survey(entries[9]) == []  # nothing is different
    entries[9].stored = replace(odd, records={"motion": odd.records["motion"]})
    assert with_ctf.survey(entries[9]) == []  # no such result


def test_a_value_of_a_stage_that_is_off_is_not_shown() -> None:
    off = Config.from_json({"picking": {"enabled": False}})
    shown = {entry.key for entry in visible_summaries(Target.of(off, References(), STAGES))}
    assert "picking.n_particles" not in shown and "ctf.resolution" in shown
    assert "picking.n_particles" in {
        e.key for e in visible_summaries(Target.of(Config(), References(), STAGES))
    }


def test_a_value_that_is_not_fitted_is_not_shown(tmp_path: Path) -> None:
    wanted = items_of(tmp_path, []).table.target
    assert "ctf.phase_shift_deg" not in {entry.key for entry in visible_summaries(wanted)}
    fitted = next(stage for stage in STAGES if stage.name == "ctf").Settings(fit_phase_shift=True)
    stages = {**wanted.config.stages, "ctf": fitted}
    with_phase = Target.of(
        wanted.config.model_copy(update={"stages": stages}), References(), STAGES
    )
    assert visible_summaries(with_phase) == summaries(STAGES)
