"""A stage of a kind of item that is made of others, invented here, over pretended movies.

Whatever arrives, fails, is excluded or changes, in whatever order: no series runs before its
members, and in the end every series is in accord with them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import settings as with_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from warptui.engine.api.event_hub import EventHub
from warptui.engine.config.settings import Config
from warptui.engine.items.entry import Entry
from warptui.engine.items.service import MEMBERS_LONGEST_S, MEMBERS_PAUSE_S, ItemService
from warptui.engine.items.table import ItemTable
from warptui.engine.model.item import MOVIE, SERIES, Choice, Item, ItemId, State
from warptui.engine.model.item_columns import Columns
from warptui.engine.model.status import EngineStatus
from warptui.engine.model.stored import Failure, StoredItem
from warptui.engine.planning.members import Member
from warptui.engine.planning.plan import Blocked, References, Step, make_record
from warptui.engine.planning.target import Target
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.stages.base import Needs, Stage, StageResult, StageSettings, setting, summary
from warptui.engine.watching.scanner import Complete, Gone

SERIES_ID = ItemId(SERIES, "TS_03")


class ShiftSettings(StageSettings):
    """Of the pretended stage of movies."""

    scale: float = setting(1.0, "factor of the value")


class ShiftResult(StageResult):
    """A value that names the version of the file that it was made from."""

    value: int = summary("shift", "a number", default=None)


class AlignSettings(StageSettings):
    """Of the invented stage of series."""


class AlignResult(StageResult):
    """The sum over the members."""

    total: int = summary("total", "the sum of the shifts", default=None)


@dataclass
class Job:
    """An item that runs, as it was when it was started."""

    entry: Entry
    steps: tuple[Step, ...]
    fingerprints: dict[str, str]
    members: tuple[Member, ...]
    values: dict[str, int]  # of the members that are used, by root name
    wanted: Target


def run_shift(item: Item, bench: Job, settings: ShiftSettings) -> ShiftResult:
    """Pretend to measure."""
    return ShiftResult(value=int(bench.fingerprints["frames"]))


def run_align(item: Item, bench: Job, settings: AlignSettings) -> AlignResult:
    """Pretend to align the members of a series."""
    return AlignResult(total=sum(bench.values.values()))


SHIFT = Stage("shift", MOVIE, ShiftSettings, ShiftResult, run_shift)
ALIGN = Stage(
    "align", SERIES, AlignSettings, AlignResult, run_align, Needs(members=("shift",)), sections=()
)
STAGES = (SHIFT, ALIGN)


class MemoryStore:
    """Keeps what is stored in memory, as it was given."""

    def __init__(self) -> None:
        self.items: dict[str, StoredItem] = {}

    def save(self, item: StoredItem) -> StoredItem:
        self.items[item.name] = item
        return item

    def load(self, name: str) -> StoredItem | None:
        return self.items.get(name)

    def choose(self, items: list[StoredItem]) -> None:
        for item in items:
            self.save(item)


class Laboratory:
    """The items of a project and a pretended worker, on a clock of their own."""

    def __init__(self, n: int) -> None:
        self.now, self.n = 1000.0, n
        self.config = Config(stages={"shift": ShiftSettings(), "align": AlignSettings()})
        table = ItemTable(ProjectPaths(Path("/nowhere")), self._wanted())
        hub = EventHub(EngineStatus("idle", "/nowhere", ""))
        self.service = ItemService(
            table, cast(Any, MemoryStore()), hub, Path("/nowhere"), lambda path: None, self.clock
        )
        self.table, self.hub = table, hub
        self.versions: dict[int, int] = {}  # of the files that are there, by number
        self.running: dict[ItemId, Job] = {}
        self.judged: Counter[ItemId] = Counter()
        self.started: Counter[ItemId] = Counter()
        judge = table.judge

        def counted(entry: Entry) -> tuple[Step, ...]:
            self.judged[entry.id] += 1
            return judge(entry)

        table.judge = counted

    def _wanted(self) -> Target:
        return Target.of(self.config, References(), STAGES)

    def clock(self) -> float:
        return self.now

    def path(self, number: int) -> Path:
        return Path(f"/nowhere/tilt_{number:02}.mrc")

    def id(self, number: int) -> ItemId:
        return Item.movie(self.path(number)).id

    def entry(self, number: int) -> Entry:
        found = self.table.by_id(self.id(number))
        assert found is not None
        return found

    @property
    def series(self) -> Entry:
        found = self.table.by_id(SERIES_ID)
        assert found is not None
        return found

    def arrive_series(self) -> None:
        members = tuple(self.id(number) for number in range(1, self.n + 1))
        self.service.arrive_item(Item(SERIES_ID, members=members))

    def arrive(self, number: int) -> None:
        """A tilt is complete, or is replaced by another version."""
        self.versions[number] = self.versions.get(number, 0) + 1
        mark = f"{100 * number + self.versions[number]}"
        self.service.see([Complete(self.path(number), mark)])

    def choose(self, number: int, choice: Choice) -> None:
        self.service.choose([self.path(number).name], choice)

    def set_scale(self, scale: float) -> None:
        stages = {"shift": ShiftSettings(scale=scale), "align": AlignSettings()}
        self.config = Config(stages=stages)
        self.table.target = self._wanted()
        self.service.judge_all()

    def start(self) -> Job | None:
        """Start the next item that is queued, as the dispatcher does."""
        self.service.ripen()
        while (name := self.service.schedule.pop()) is not None:
            entry = self.table.entries[name]
            steps = self.table.judge(entry)
            if not steps:
                self.service.show(entry)
                continue
            self.started[entry.id] += 1
            values = {}
            for member in entry.members:
                if member.included:
                    values[member.id.root] = self._value_that_is_up_to_date(member)
            job = Job(
                entry, steps, dict(entry.fingerprints), entry.members, values, self.table.target
            )
            self.running[entry.id] = job
            entry.running, entry.state = True, State.RUNNING
            self.service.show(entry)
            return job
        return None

    def _value_that_is_up_to_date(self, member: Member) -> int:
        """Looked up without the planning: no series may be started before its members are done."""
        entry = self.table.by_id(member.id)
        assert entry is not None, f"{member.id.root} has not arrived"
        record = entry.stored.records["shift"]
        assert record.fingerprints == entry.fingerprints
        assert record.settings == self.config.stage("shift").model_dump()
        assert record.key == member.keys["shift"]
        return record.result["value"]

    def finish(self, job: Job) -> None:
        entry = job.entry
        for step in job.steps:
            stage = next(stage for stage in STAGES if stage.name == step.stage)
            result = stage.run(entry.item, job, job.wanted.config.stage(stage.name))
            self.now += 0.001
            record = make_record(
                stage.name, entry.stored, job.wanted.config, References(), job.fingerprints,
                result=result.model_dump(mode="json"), finished_at=self.now, seconds=1.0,
                device="cpu", program_version="0", stages=STAGES, members=job.members,
            )  # fmt: skip
            entry.stored = self.service.store.save(entry.stored.with_record(record))
            self.service.show(entry)
        self._end(job)

    def fail(self, job: Job) -> None:
        entry = job.entry
        failure = Failure(
            job.steps[0].stage, "it failed", 1, self.now, fingerprint=entry.fingerprint,
            wanted=job.wanted.digest_of(entry.item.kind),
        )  # fmt: skip
        entry.stored = replace(entry.stored, failure=failure)
        self._end(job)

    def _end(self, job: Job) -> None:
        del self.running[job.entry.id]
        job.entry.running = False
        self.service.settle(job.entry)

    def retry(self, number: int) -> None:
        entry = self.entry(number)
        entry.stored = replace(entry.stored, failure=None)
        self.service.settle(entry, asked=True)

    def work(self) -> None:
        """Let time pass until nothing is left to do."""
        for job in list(self.running.values()):
            self.finish(job)
        for _ in range(4 * self.n + 20):
            self.now += MEMBERS_LONGEST_S
            job = self.start()
            if job is not None:
                self.finish(job)
            elif not len(self.service.due):
                return
        raise AssertionError("it does not come to rest")

    def total(self) -> int | None:
        record = self.series.stored.records.get("align")
        return None if record is None else record.result["total"]


@pytest.fixture
def laboratory() -> Laboratory:
    made = Laboratory(41)
    made.arrive_series()
    return made


@pytest.fixture
def done() -> Laboratory:
    made = Laboratory(8)
    made.arrive_series()
    for number in range(1, 9):
        made.arrive(number)
    made.work()
    assert made.series.state is State.DONE
    return made


def test_41_arriving_members_plan_it_once(laboratory: Laboratory) -> None:
    before = laboratory.judged[SERIES_ID]
    for number in range(1, 42):
        laboratory.arrive(number)
        job = laboratory.start()
        assert job is not None and job.entry.id == laboratory.id(number)
        laboratory.finish(job)
        laboratory.now += MEMBERS_PAUSE_S / 50
    assert laboratory.judged[SERIES_ID] == before
    laboratory.now += MEMBERS_PAUSE_S
    laboratory.service.ripen()
    assert laboratory.judged[SERIES_ID] == before + 1
    assert laboratory.series.state is State.QUEUED
    laboratory.work()
    assert laboratory.started[SERIES_ID] == 1
    assert laboratory.total() == sum(100 * number + 1 for number in range(1, 42))


def test_members_that_never_rest_do_not_keep_it_from_being_judged(laboratory: Laboratory) -> None:
    before = laboratory.judged[SERIES_ID]
    steps = int(3 * MEMBERS_LONGEST_S / (MEMBERS_PAUSE_S / 2))
    for step in range(steps):
        laboratory.arrive(1 + step % 41)
        laboratory.now += MEMBERS_PAUSE_S / 2
        laboratory.service.ripen()
    assert 2 <= laboratory.judged[SERIES_ID] - before <= 4


def test_the_reason_says_how_many_members_it_waits_for(laboratory: Laboratory) -> None:
    assert laboratory.series.state is State.WAITING
    for number in range(1, 42):
        laboratory.arrive(number)
    for _ in range(39):
        job = laboratory.start()
        assert job is not None
        laboratory.finish(job)
    failing = laboratory.start()
    assert failing is not None
    laboratory.fail(failing)
    found = laboratory.table.plan(laboratory.series)
    queued = next(n for n in range(1, 42) if laboratory.entry(n).state is State.QUEUED)
    failed = failing.entry.item.root_name.removeprefix("tilt_")
    assert isinstance(found, Blocked)
    assert set(found.by) == {laboratory.id(queued), failing.entry.id}
    assert found.reason == (
        f"waits for 2 of 41 tilts: 1 in progress (tilt {queued:02}), 1 failed (tilt {failed})"
    )
    laboratory.work()
    assert laboratory.started[SERIES_ID] == 0
    assert laboratory.series.reason == f"waits for 1 of 41 tilts: 1 failed (tilt {failed})"
    laboratory.choose(int(failed), Choice.EXCLUDE)  # the user goes on without it
    laboratory.work()
    assert laboratory.series.state is State.DONE


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda done: done.choose(7, Choice.EXCLUDE), "align: tilt 07: excluded"),
        (lambda done: done.arrive(7), "waits for 1 of 8 tilts: 1 in progress (tilt 07)"),
    ],
)
def test_a_change_of_a_member_makes_it_outdated(done: Laboratory, change: Any, reason: str) -> None:
    change(done)
    done.now += MEMBERS_PAUSE_S
    done.service.ripen()
    assert (done.series.state, done.series.reason) == (State.OUTDATED, reason)


def test_a_member_that_was_processed_again_is_named(done: Laboratory) -> None:
    before = done.total()
    done.arrive(7)
    job = done.start()
    assert job is not None
    done.finish(job)
    done.now += MEMBERS_PAUSE_S
    done.service.ripen()
    assert done.series.reason == "align: tilt 07: new shift"
    done.work()
    assert before is not None and done.total() == before + 1


def test_a_member_that_comes_late_is_new(done: Laboratory) -> None:
    done.n = 9
    done.arrive_series()
    done.now += MEMBERS_PAUSE_S
    done.service.ripen()
    assert done.series.reason == "waits for 1 of 9 tilts: 1 not arrived (tilt 09)"
    done.arrive(9)
    job = done.start()
    assert job is not None
    done.finish(job)
    done.now += MEMBERS_PAUSE_S
    done.service.ripen()
    assert done.series.reason == "align: tilt 09: new"


def test_excluding_and_including_a_member_changes_neither_identity_nor_numbers(
    done: Laboratory,
) -> None:
    item, numbers = done.series.item, [member.number for member in done.series.members]
    everything = done.total()
    done.choose(3, Choice.EXCLUDE)
    done.work()
    assert everything is not None and done.total() == everything - 301
    assert [member.number for member in done.series.members] == numbers == list(range(1, 9))
    assert done.series.item == item
    done.choose(3, Choice.AUTO)
    done.now += MEMBERS_PAUSE_S
    done.service.ripen()
    assert done.series.reason == "align: tilt 03: included"
    done.work()
    assert done.total() == everything


def test_with_all_members_excluded_there_is_nothing_to_run(done: Laboratory) -> None:
    for number in range(1, 9):
        done.choose(number, Choice.EXCLUDE)
    done.work()
    assert (done.series.state, done.series.reason) == (State.OUTDATED, "all 8 tilts are excluded")
    assert done.started[SERIES_ID] == 1


def test_a_member_that_runs_again_without_another_result_leaves_it_as_it_is(
    done: Laboratory,
) -> None:
    done.set_scale(2.0)
    assert done.series.state is State.OUTDATED
    done.set_scale(1.0)  # nothing ran meanwhile
    done.work()
    assert done.series.state is State.DONE and done.started[SERIES_ID] == 1


def test_a_switched_off_stage_of_the_members_is_said(done: Laboratory) -> None:
    off = {"shift": ShiftSettings(enabled=False), "align": AlignSettings()}
    done.table.target = Target.of(Config(stages=off), References(), STAGES)
    done.service.judge_all()
    assert done.series.reason == "needs shift of its tilts: switched off"


def test_rows_know_kinds_and_parents(done: Laboratory) -> None:
    rows = {row.name: row for row in Columns(done.hub.rows())}
    assert (rows["TS_03"].kind, rows["TS_03"].parent) == (SERIES, "")
    assert rows["TS_03"].selected and rows["TS_03"].summary["align.total"] == done.total()
    tilts = [row for row in rows.values() if row.kind == MOVIE]
    assert len(tilts) == 8 and {row.parent for row in tilts} == {"TS_03"}
    assert Columns.from_json(Columns(rows.values()).to_json()) == list(rows.values())


def test_a_member_belongs_to_one_series_and_a_series_has_members(done: Laboratory) -> None:
    with pytest.raises(ValueError, match="tilt_01 belongs to TS_03 already"):
        done.service.arrive_item(Item(ItemId(SERIES, "TS_04"), members=(done.id(1),)))
    with pytest.raises(ValueError, match="no members"):
        done.service.arrive_item(Item(ItemId(SERIES, "TS_04")))


def test_a_series_whose_results_would_have_the_names_of_a_movie_s_is_refused(
    done: Laboratory,
) -> None:
    entry = done.service.arrive_item(
        Item(ItemId(SERIES, "tilt_01"), members=(ItemId(MOVIE, "other"),))
    )
    done.now += MEMBERS_PAUSE_S
    done.service.ripen()
    assert done.table.judge(entry) == () and entry.state is State.FAILED
    assert "tilt_01.mrc has the same root name" in entry.reason


N = 5
NUMBERS = st.integers(1, N)


class AnyOrder(RuleBasedStateMachine):
    """Anything that may happen to a series and its members."""

    def __init__(self) -> None:
        super().__init__()
        self.lab = Laboratory(N)
        self.has_series = False

    @initialize(is_done=st.booleans())
    def there_may_be_a_series_that_is_done(self, is_done: bool) -> None:
        if is_done:
            self.the_series_arrives()
            for number in range(1, N + 1):
                self.lab.arrive(number)
            self.lab.work()
            assert self.lab.series.state is State.DONE

    @precondition(lambda self: not self.has_series)
    @rule()
    def the_series_arrives(self) -> None:
        self.lab.arrive_series()
        self.has_series = True

    @rule(number=NUMBERS)
    def a_tilt_arrives_or_is_replaced(self, number: int) -> None:
        self.lab.arrive(number)

    @rule(number=NUMBERS)
    def a_file_vanishes(self, number: int) -> None:
        if number in self.lab.versions:
            self.lab.service.see([Gone(self.lab.path(number))])

    @rule(number=NUMBERS, choice=st.sampled_from(Choice))
    def the_user_chooses(self, number: int, choice: Choice) -> None:
        if self.lab.table.by_id(self.lab.id(number)) is not None:
            self.lab.choose(number, choice)

    @rule(scale=st.sampled_from([1.0, 2.0]))
    def a_setting_changes(self, scale: float) -> None:
        self.lab.set_scale(scale)

    @rule(seconds=st.sampled_from([0.1, MEMBERS_PAUSE_S, MEMBERS_LONGEST_S]))
    def time_passes(self, seconds: float) -> None:
        self.lab.now += seconds

    @rule()
    def there_is_time_for_everything(self) -> None:
        self.lab.work()

    @rule()
    def a_job_starts(self) -> None:
        self.lab.start()

    @precondition(lambda self: self.lab.running)
    @rule(data=st.data(), fails=st.booleans())
    def a_job_ends(self, data: st.DataObject, fails: bool) -> None:
        job = self.lab.running[data.draw(st.sampled_from(sorted(self.lab.running)))]
        (self.lab.fail if fails else self.lab.finish)(job)

    @invariant()
    def members_keep_their_numbers(self) -> None:
        if self.has_series:
            assert self.lab.series.id == SERIES_ID
            members = [member.root for member in self.lab.series.item.members]
            assert members == [f"tilt_{number:02}" for number in range(1, N + 1)]

    def teardown(self) -> None:
        lab = self.lab
        if not self.has_series:
            lab.arrive_series()
        lab.work()
        for number in range(1, N + 1):  # whatever failed or is not there is mended
            known = lab.table.by_id(lab.id(number))
            if known is None or not known.present:
                lab.arrive(number)
            if lab.entry(number).stored.failure is not None:
                lab.retry(number)
        lab.work()
        lab.series.stored = replace(lab.series.stored, failure=None)
        lab.service.settle(lab.series)
        lab.work()
        self.all_is_in_accord()
        ran = lab.started.copy()
        lab.service.judge_all()
        lab.work()
        assert lab.started == ran  # nothing is done twice
        for number in (1, N):  # each alone, while all else rests
            was = lab.entry(number).stored.choice
            lab.choose(number, Choice.AUTO if was is Choice.EXCLUDE else Choice.EXCLUDE)
            lab.work()
            self.all_is_in_accord()

    def all_is_in_accord(self) -> None:
        lab = self.lab
        used = [n for n in range(1, N + 1) if lab.entry(n).stored.choice is not Choice.EXCLUDE]
        if used:
            assert lab.series.state is State.DONE, lab.series.reason
            assert lab.total() == sum(100 * n + lab.versions[n] for n in used)
        else:
            assert "all 5 tilts are excluded" in lab.series.reason


AnyOrder.TestCase.settings = with_settings(max_examples=40, stateful_step_count=30, deadline=None)
TestAnyOrder = AnyOrder.TestCase
