"""What a change would cost is told before it is made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.work import counted
from warptui.engine.config.settings import Config
from warptui.engine.items.table import Entry, ItemTable
from warptui.engine.model.stored import StoredItem
from warptui.engine.planning.forecast import Forecast, forecast
from warptui.engine.planning.plan import Planner, References, make_record
from warptui.engine.planning.target import Target
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.stages import registry

STAGES = registry.STAGES[:2]  # two are enough to tell one from the other
REFERENCES = References({"input.gain": "a" * 40})
SECONDS = {"motion": 6.0, "average": 2.0}


def wanted(values: dict[str, Any] | None = None, gain_hash: str = "a" * 40) -> Target:
    config = Config.from_json(values or {})
    return Target.of(config, References({"input.gain": gain_hash}), STAGES)


def processed(name: str, made_with: Target, sequence: int = 1) -> StoredItem:
    stored = StoredItem(
        name, sequence, raw_path=f"/raw/{name}", fingerprints={"frames": f"f {name}"}
    )
    for stage in ("motion", "average"):
        if stage in made_with.enabled:
            record = make_record(
                stage, stored, made_with.config, made_with.references, f"f {name}", result={},
                finished_at=float(sequence), seconds=3.0, device="cpu", program_version="0",
            )  # fmt: skip
            stored = stored.with_record(record)
    return stored


def table_of(tmp_path: Path, now: Target, items: list[StoredItem]) -> ItemTable:
    table = ItemTable(ProjectPaths(tmp_path), now)
    table.adopt(items)
    for entry in table.entries.values():
        entry.fingerprint = f"f {entry.name}"
        table.judge(entry)
    return table


def entries(tmp_path: Path, now: Target, n: int = 10) -> list[Entry]:
    items = [processed(f"m{number}.tif", now, number + 1) for number in range(n)]
    return list(table_of(tmp_path, now, items).entries.values())


def test_a_change_of_motion_makes_motion_and_average_run_again(tmp_path: Path) -> None:
    now, then = wanted(), wanted({"motion": {"b_factor": -200.0}})
    told = forecast(entries(tmp_path, now), now, then, SECONDS, n_workers=2)
    assert told == Forecast({"motion": 10, "average": 10}, 10, 0, 10 * 8.0 / 2)
    assert list(told.outdated) == ["motion", "average"]  # in the order of work


def test_a_change_of_the_average_spares_the_motion(tmp_path: Path) -> None:
    now, then = wanted(), wanted({"average": {"skip_first": 1}})
    told = forecast(entries(tmp_path, now), now, then, SECONDS, n_workers=1)
    assert told == Forecast({"motion": 0, "average": 10}, 10, 0, 20.0)


@pytest.mark.parametrize(
    "values",
    [{}, {"compute": {"threads": 4}}, {"input": {"poll_seconds": 9.0, "pattern": ["*.tif"]}}],
)
def test_what_changes_no_result_costs_nothing(tmp_path: Path, values: dict[str, Any]) -> None:
    now = wanted()
    told = forecast(entries(tmp_path, now), now, wanted(values), SECONDS, 1)
    assert told == Forecast({"motion": 0, "average": 0}, 0, 0, 0.0)


def test_a_replaced_gain_reference_counts(tmp_path: Path) -> None:
    values = {"input": {"gain": "gain.mrc"}}
    now, then = wanted(values), wanted(values, gain_hash="b" * 40)
    assert forecast(entries(tmp_path, now), now, then, SECONDS, 1).n_items == 10


def test_going_back_restores_what_is_outdated(tmp_path: Path) -> None:
    old, now = wanted(), wanted({"motion": {"b_factor": -200.0}})
    items = [processed(f"m{number}.tif", old, number + 1) for number in range(4)]
    items.append(processed("new.tif", now, 5))
    found = table_of(tmp_path, now, items).entries.values()
    told = forecast(found, now, old, SECONDS, 1)
    assert told == Forecast({"motion": 1, "average": 1}, 1, 4, 8.0)


def test_what_is_outdated_anyway_is_not_counted_again(tmp_path: Path) -> None:
    old, now = wanted(), wanted({"motion": {"b_factor": -200.0}})
    items = [processed(f"m{number}.tif", old, number + 1) for number in range(4)]
    found = table_of(tmp_path, now, items).entries.values()
    then = wanted({"motion": {"b_factor": -300.0}})
    assert forecast(found, now, then, SECONDS, 1).n_items == 0


def test_a_stage_that_is_switched_on_counts(tmp_path: Path) -> None:
    now, then = wanted({"average": {"enabled": False}}), wanted()
    told = forecast(entries(tmp_path, now), now, then, SECONDS, 1)
    assert told.outdated == {"motion": 0, "average": 10}


def test_items_that_cannot_run_again_do_not_count(tmp_path: Path) -> None:
    now, then = wanted(), wanted({"motion": {"b_factor": -200.0}})
    items = [processed("gone.tif", now, 1), StoredItem("new.tif", 2, raw_path="/raw/new.tif")]
    table = table_of(tmp_path, now, items)
    table.entries["gone.tif"].present = False
    assert forecast(table.entries.values(), now, then, SECONDS, 1).n_items == 0


def test_durations_come_from_the_items_where_nothing_ran_yet(tmp_path: Path) -> None:
    now, then = wanted(), wanted({"motion": {"b_factor": -200.0}})
    found = entries(tmp_path, now)
    assert forecast(found, now, then, {}, 1).seconds == 10 * 6.0
    assert forecast(found, now, then, {"average": 1.0}, 1).seconds == 10 * 4.0


def test_an_unknown_duration_is_unknown(tmp_path: Path) -> None:
    now, then = wanted({"average": {"enabled": False}}), wanted()
    assert forecast(entries(tmp_path, now), now, then, {}, 1).seconds is None


def test_items_in_many_different_states_are_judged_as_plan_judges_them(tmp_path: Path) -> None:
    now = wanted()
    made_with = [now, wanted({"motion": {"b_factor": -200.0}}), wanted({"optics": {"cs": 1.0}}),
                 wanted({"average": {"enabled": False}})]  # fmt: skip
    items = [processed(f"m{i}.tif", made_with[i % 4], i + 1) for i in range(40)]
    # made from an earlier motion, as after a crash between two stages
    motion = replace(items[0].records["motion"], finished_at=99.0)
    items[0] = replace(items[0], records={**items[0].records, "motion": motion})
    table = table_of(tmp_path, now, items)
    then = wanted({"motion": {"b_factor": -200.0}, "optics": {"cs": 1.0}})
    told = forecast(table.entries.values(), now, then, SECONDS, 1)
    before = {name: {s.stage for s in table.steps(e)} for name, e in table.entries.items()}
    table.target = then
    after = {name: {s.stage for s in table.steps(e)} for name, e in table.entries.items()}
    for stage in ("motion", "average"):
        count = sum(stage in after[name] - before[name] for name in after)
        assert told.outdated[stage] == count
    assert told.n_restored == sum(bool(before[name]) and not after[name] for name in after)


def test_many_items_of_one_kind_are_planned_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, then = wanted(), wanted({"motion": {"b_factor": -200.0}})
    found = entries(tmp_path, now, 500)
    planned = counted(monkeypatch, Planner, "plan")
    assert forecast(found, now, then, SECONDS, 1).n_items == 500
    assert len(planned) == 2  # with the settings of now, and with those of then
