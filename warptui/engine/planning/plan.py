"""Pure: what is stored about an item and the settings -> the stages to run, and why.

There is no other state machine: a changed setting, a crash between two stages, a replaced gain
reference or raw file and a new version of a stage all are "stored differs from wanted".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from warptui.engine.config.settings import Config, affecting
from warptui.engine.model.item import FRAMES, MOVIE, ItemId, root_name_of
from warptui.engine.model.stored import Fingerprints, StageRecord, StoredItem, digest
from warptui.engine.planning.members import Member, differences, obstacle, used, word
from warptui.engine.stages.base import Reference, Stage
from warptui.engine.stages.registry import STAGES

LONGEST_SUFFIX = len(".mrc")  # of a result's name, after the root name
MAX_NAME_BYTES = 255  # of all common file systems

NEVER_RUN = "never run"  # why a stage runs on an item that is new
_INPUTS = {FRAMES: "raw file", "mdoc": "mdoc file", "stack": "stack"}


@dataclass(frozen=True)
class References:
    """Hashes of the files that the settings name, by `Reference.name` ("input.gain")."""

    hashes: Mapping[str, str] = field(default_factory=dict)

    def of(self, reference: Reference) -> str:
        """The hash of its content; "" = no file is named, or it is unreadable at the moment."""
        return self.hashes.get(reference.name, "")


@dataclass(frozen=True)
class Step:
    """A stage that must run, and why."""

    stage: str
    reason: str


@dataclass(frozen=True)
class Ready:
    """Stages must run, and can."""

    steps: tuple[Step, ...]  # in order


@dataclass(frozen=True)
class UpToDate:
    """Nothing must run."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """No stages."""
        return ()


@dataclass(frozen=True)
class Blocked:
    """Nothing can run before other items are processed."""

    by: tuple[ItemId, ...]
    reason: str  # "waits for 3 of 41 tilts: 2 in progress, 1 failed"

    @property
    def steps(self) -> tuple[Step, ...]:
        """No stages."""
        return ()


Plan = Ready | UpToDate | Blocked


def plan(
    stored: StoredItem | None,
    config: Config,
    references: References,
    fingerprints: Fingerprints | str,
    kind: str = MOVIE,
    stages: Sequence[Stage] = STAGES,
    members: Sequence[Member] = (),
) -> Plan:
    """Stages that bring an item into accord with the settings, in order, each with its reason.

    ``fingerprints`` are those of the inputs now, by role; one text is that of the frames. An input
    without one (the file is gone) is not compared. A failure of the item itself is no obstacle
    here: the caller decides whether to try again (see `wanted_hash`).
    """
    return Planner(config, references, kind, stages).plan(stored, by_role(fingerprints), members)


class Planner:
    """What items are compared with: settings and references, prepared once for all of them."""

    def __init__(
        self,
        config: Config,
        references: References,
        kind: str = MOVIE,
        stages: Sequence[Stage] = STAGES,
    ) -> None:
        enabled = _enabled(config, kind, stages)
        self.kind = kind
        self._goals = [_Goal.of(stage, config, references) for stage in enabled]
        # stages of members whose results any stage reads
        self.of_members = tuple(dict.fromkeys(n for stage in enabled for n in stage.needs.members))
        self._off = [name for name in self.of_members if not config.stage(name).enabled]

    def plan(
        self, stored: StoredItem | None, fingerprints: Fingerprints, members: Sequence[Member] = ()
    ) -> Plan:
        """What an item needs: see `plan`."""
        if self._off:
            names = " and ".join(self._off)
            return Blocked((), f"needs {names} of its {word(self.kind)}s: switched off")
        if self.of_members:
            by, reason = obstacle(self.kind, members)
            if reason:
                return Blocked(by, reason)
        steps = self._steps(stored, fingerprints, members)
        return Ready(steps) if steps else _UP_TO_DATE

    def all_stages(self, reason: str) -> tuple[Step, ...]:
        """Every stage, for one reason."""
        return tuple(Step(goal.name, reason) for goal in self._goals)

    def _steps(
        self, stored: StoredItem | None, fingerprints: Fingerprints, members: Sequence[Member]
    ) -> tuple[Step, ...]:
        steps: dict[str, Step] = {}
        for goal in self._goals:
            reason = _reason(goal, stored, fingerprints, steps)
            if not reason and goal.of_members and stored is not None:
                before = stored.records[goal.name].members
                changes = differences(self.kind, members, goal.of_members, before)
                reason = ", ".join(changes)
            if reason:
                steps[goal.name] = Step(goal.name, reason)
        return tuple(steps.values())


_UP_TO_DATE = UpToDate()


def by_role(fingerprints: Fingerprints | str) -> Fingerprints:
    """Fingerprints by role; one text is that of the frames, and "" is unknown."""
    if isinstance(fingerprints, str):
        return {FRAMES: fingerprints} if fingerprints else {}
    return fingerprints


@dataclass(frozen=True)
class _Goal:
    """What the record of a stage is compared with."""

    name: str
    version: int
    settings: dict[str, Any]  # that affect results
    sections: dict[str, dict[str, Any]]  # shared ones, as a record has them
    models: dict[str, BaseModel]  # the sections that both are from, by name
    needed: dict[str, bool]  # stages that it reads, and whether they are switched on
    of_members: tuple[str, ...]  # stages of members that it reads
    files: dict[tuple[str, str], Reference]  # by section and key of the hash

    @classmethod
    def of(cls, stage: Stage, config: Config, references: References) -> _Goal:
        sections = _wanted_sections(stage, config, references)
        return cls(
            stage.name,
            stage.version,
            affecting(config.stage(stage.name)),
            sections,
            {name: config.section(name) for name in (stage.name, *sections)},
            {need: config.stage(need).enabled for need in stage.needed(config)},
            stage.needs.members,
            {(file.section, file.hash_key): file for file in stage.reference_files()},
        )


def make_record(
    stage: str,
    stored: StoredItem | None,
    config: Config,
    references: References,
    fingerprints: Fingerprints | str,
    *,
    result: dict[str, Any],
    finished_at: float,
    seconds: float,
    device: str,
    program_version: str,
    stages: Sequence[Stage] = STAGES,
    members: Sequence[Member] = (),
) -> StageRecord:
    """The record of a run that just succeeded, such that `plan` finds nothing more to do for it.

    ``config``, ``references``, ``fingerprints`` and ``members`` are those that the run was started
    with.
    """
    described = _stage(stage, stages)
    records = stored.records if stored else {}
    needs = {
        name: records[name].key
        for name in described.needed(config)
        if name in records and config.stage(name).enabled
    }
    return StageRecord(
        stage=stage,
        version=described.version,
        settings=affecting(config.stage(stage)),
        sections=_wanted_sections(described, config, references),
        result=result,
        finished_at=finished_at,
        seconds=seconds,
        device=device,
        program_version=program_version,
        fingerprints=dict(by_role(fingerprints)),
        needs=needs,
        members=used(members, described.needs.members) if described.needs.members else {},
    )


def wanted_hash(
    config: Config,
    references: References,
    stages: Sequence[Stage] = STAGES,
    kind: str = MOVIE,
) -> str:
    """Names everything in the settings and references that can change a result."""
    wanted = [
        [
            stage.name,
            stage.version,
            affecting(config.stage(stage.name)),
            _wanted_sections(stage, config, references),
        ]
        for stage in _enabled(config, kind, stages)
    ]
    return digest(wanted)


def refusal(path: Path, taken: Mapping[str, Path]) -> str:
    """Why the file cannot become an item of its own; "" if it can.

    ``taken`` maps the root names of the known items to their raw files: results of all items share
    flat folders and are named by the root name, so two items must never share it.
    """
    try:
        root_bytes = len(root_name_of(path.name).encode())
    except UnicodeEncodeError:
        return f"the file name {path.name!r} is not valid UTF-8: rename the file"
    longest = MAX_NAME_BYTES - LONGEST_SUFFIX
    if root_bytes > longest:
        return (
            f"the file name without its extension has {root_bytes} bytes; at most {longest} leave "
            "room for the names of the results: shorten it"
        )
    other = taken.get(root_name_of(path.name))
    if other is not None and other != path:
        return (
            f"{other} has the same root name {root_name_of(path.name)!r} and came first: the "
            "results of both would have the same names; rename this file"
        )
    return ""


def _stage(name: str, stages: Sequence[Stage]) -> Stage:
    return next(stage for stage in stages if stage.name == name)


def _enabled(config: Config, kind: str, stages: Sequence[Stage]) -> list[Stage]:
    return [stage for stage in stages if stage.kind == kind and config.stage(stage.name).enabled]


def _wanted_sections(
    stage: Stage, config: Config, references: References
) -> dict[str, dict[str, Any]]:
    """The settings beside its own that ``stage`` depends on (see `Stage.sections`)."""
    wanted: dict[str, dict[str, Any]] = {}
    for entry in stage.sections:
        section, _, key = entry.partition(".")
        model = config.section(section)
        if key:
            wanted.setdefault(section, {})[key] = _value(model, key)
        else:
            wanted[section] = affecting(model)
    for reference in stage.reference_files():
        wanted.setdefault(reference.section, {})[reference.hash_key] = references.of(reference)
    return wanted


def _value(model: BaseModel, key: str) -> Any:
    """A setting that a stage names one by one, or a value that the section derives from several."""
    values = affecting(model)
    return values[key] if key in values else getattr(model, key, None)


def _reason(
    goal: _Goal,
    stored: StoredItem | None,
    fingerprints: Fingerprints,
    steps: Mapping[str, Step],
) -> str:
    record = stored.records.get(goal.name) if stored else None
    if stored is None or record is None:
        return (stored.problem if stored else "") or NEVER_RUN
    if record.version != goal.version:
        return f"stage version {record.version} -> {goal.version}"
    for role, fingerprint in fingerprints.items():
        before = record.fingerprints.get(role, "")
        if fingerprint and before and before != fingerprint:
            return f"{_INPUTS.get(role, role)} replaced"
    if record.settings != goal.settings or record.sections != goal.sections:
        changes = _changes(goal, record)
        for section, wanted in goal.sections.items():
            if section == goal.name and changes:
                continue  # another model's content is another, too
            was = record.sections.get(section, {})
            changes += _section_changes(section, was, wanted, goal)
        if changes:
            return ", ".join(changes)
    return _need_reason(goal, stored, record, steps)


def _need_reason(
    goal: _Goal, stored: StoredItem, record: StageRecord, steps: Mapping[str, Step]
) -> str:
    for need, enabled in goal.needed.items():
        if not enabled:
            if need in record.needs:
                return f"{need} was switched off"
        elif need in steps:
            return f"needs {need}, which must run"
        elif need not in record.needs:
            return f"{need} was switched on"
        elif record.needs[need] != stored.records[need].key:
            if record.finished_at >= stored.records[need].finished_at:
                return f"what {need} found was edited since"
            return f"made from an earlier run of {need}"
    return ""


def _changes(goal: _Goal, record: StageRecord) -> list[str]:
    """Differences of a stage's own settings; a key that the record lacks had its default."""
    was = record.settings
    if was == goal.settings:
        return []
    defaults = affecting(type(goal.models[goal.name])())
    return [
        f"{goal.name}.{key} {_shown(was.get(key, defaults[key]))} -> {_shown(now)}"
        for key, now in goal.settings.items()
        if was.get(key, defaults[key]) != now and not _same_content(goal, record, key)
    ]


def _same_content(goal: _Goal, record: StageRecord, key: str) -> bool:
    """Whether a stage's setting names a file whose content is known and as it was."""
    hash_key = f"{key}_hash"
    file = goal.files.get((goal.name, hash_key))
    if file is None or not file.by_content:
        return False
    content = goal.sections[goal.name].get(hash_key)
    return bool(content) and record.sections.get(goal.name, {}).get(hash_key) == content


def _section_changes(
    section: str, was: Mapping[str, Any], wanted: Mapping[str, Any], goal: _Goal
) -> list[str]:
    """Differences of a shared section. Reference files are compared by content where it is known.

    An unreadable reference is the next run's error, no reason to doubt the results that are there.
    """
    if was == wanted:
        return []
    changes = []
    for key, now in wanted.items():
        before = was[key] if key in was else _value(type(goal.models[section])(), key)
        file = goal.files.get((section, key))
        if file is not None:
            reference = key.removesuffix("_hash")
            same_name = was.get(reference) == wanted.get(reference)
            if same_name and before and now and before != now:
                changes.append(f"{file.label} replaced")
        elif before != now:
            content = wanted.get(f"{key}_hash")
            if not content or was.get(f"{key}_hash") != content:
                changes.append(f"{section}.{key} {_shown(before)} -> {_shown(now)}")
    return changes


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_shown(entry) for entry in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, str) else str(value)
