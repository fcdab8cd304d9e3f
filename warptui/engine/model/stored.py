"""What is stored about an item: one record per stage, with the exact settings it ran with.

Plain frozen records. `StoredItem` is the content of a metadata file; `planning.plan` compares it
with the current settings.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any

from warptui.engine.model.item import FRAMES, MOVIE, Choice

MAX_HISTORY = 100  # runs remembered per item; a metadata file must not grow for ever
MAX_ABRIDGED = 8  # values of a list that `StoredItem.abridged` keeps
Fingerprints = Mapping[str, str]  # of input files, by role


@dataclass(frozen=True)
class StageRecord:
    """One stage's last successful run on an item."""

    stage: str
    version: int  # of the stage's maths
    settings: dict[str, Any]  # the stage's own, as processed
    sections: dict[str, dict[str, Any]]  # shared ones, plus gain_hash and defects_hash in "input"
    result: dict[str, Any]  # the stage's Result, JSON-ready
    finished_at: float  # Unix time
    seconds: float
    device: str
    program_version: str
    fingerprints: dict[str, str] = field(default_factory=dict)  # of the inputs, by role
    needs: dict[str, str] = field(default_factory=dict)  # `key` of the earlier records it used
    # Root name of each member -> the `key`s of its records that were used; {} of an excluded one.
    members: dict[str, dict[str, str]] = field(default_factory=dict)
    abridged: bool = False  # long lists of the result were left out (see `StoredItem.abridged`)

    @cached_property  # asked for every item of a project whenever a setting changes
    def key(self) -> str:
        """Names this very run, so that a later stage can say what it was made from."""
        identity = [self.stage, self.version, self.settings, self.sections, self.needs]
        identity += [_identity_of(self.fingerprints), self.finished_at]
        if edits := self.result.get("edits"):  # by hand, after the run
            identity.append(edits)
        if self.members:
            identity.append(self.members)
        return digest(identity)

    def to_json(self) -> dict[str, Any]:
        """The record as JSON-ready values, which it shares: they must not be changed."""
        return _with_fingerprint({name: getattr(self, name) for name in self.__dataclass_fields__})


@dataclass(frozen=True)
class Failure:
    """Why an item could not be processed."""

    stage: str
    reason: str
    tries: int
    at: float  # Unix time
    log_tail: str = ""
    traceback: str = ""
    fingerprint: str = ""  # of the raw file that it failed with
    wanted: str = ""  # `plan.wanted_hash` of the settings that it failed with
    cancelled: bool = False  # by the user, and so whatever the settings, until the user retries it


@dataclass(frozen=True)
class StoredItem:
    """Everything that is stored about one item."""

    name: str  # file name with extension
    sequence: int  # order of arrival, from 1; 0 = unknown
    choice: Choice = Choice.AUTO
    raw_path: str = ""
    fingerprints: Fingerprints = field(default_factory=dict)  # of the inputs, when last processed
    records: dict[str, StageRecord] = field(default_factory=dict)  # by stage
    failure: Failure | None = None
    history: tuple[dict[str, Any], ...] = ()  # stage, version, finished_at, device, seconds, ...
    square: str = ""  # of the grid, where only the acquisition's metadata name it
    problem: str = ""  # why the metadata could not be used (fully), or who else wrote it
    kind: str = MOVIE

    @property
    def fingerprint(self) -> str:
        """That of the frames; "" where it is unknown."""
        return self.fingerprints.get(FRAMES, "")

    def with_choice(self, choice: Choice) -> StoredItem:
        """The item with another choice: cheaper than `replace`, for thousands of them."""
        made = object.__new__(type(self))
        vars(made).update(vars(self), choice=choice)
        return made

    def with_record(self, record: StageRecord) -> StoredItem:
        """The item after a stage succeeded: its record replaced, history kept, failure cleared."""
        run = {
            "stage": record.stage,
            "version": record.version,
            "finished_at": record.finished_at,
            "seconds": record.seconds,
            "device": record.device,
            "program_version": record.program_version,
        }
        return replace(
            self,
            fingerprints={**self.fingerprints, **record.fingerprints},
            records={**self.records, record.stage: record},
            failure=None,
            history=(*self.history, run)[-MAX_HISTORY:],
            problem="",
        )

    def abridged(self) -> StoredItem:
        """The item without the long lists of its results: for keeping thousands in memory.

        `Store.save` accepts it and keeps the lists that are on disk.
        """
        records = {
            stage: record
            if record.abridged
            else replace(record, result=short_values(record.result), abridged=True)
            for stage, record in self.records.items()
        }
        return replace(self, records=records)

    def to_json(self) -> dict[str, Any]:
        """The record as JSON-ready values, which it shares: they must not be changed."""
        return {
            **_with_fingerprint(vars(self)),
            "records": {stage: record.to_json() for stage, record in self.records.items()},
            "failure": None if self.failure is None else dict(vars(self.failure)),
            "history": list(self.history),
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> StoredItem:
        """The inverse of `to_json`; unknown keys are ignored.

        Raises
        ------
        KeyError, TypeError, ValueError
            If a required value is missing or has the wrong type.
        """
        known = _checked(cls, _with_fingerprints(values))
        known["choice"] = Choice(known.get("choice", "auto"))
        records = {}
        for stage, record in known.get("records", {}).items():
            own = _checked(StageRecord, _with_fingerprints(record))
            # thousands of items are kept: what is equal is kept once
            if own["fingerprints"] == known["fingerprints"]:
                own["fingerprints"] = known["fingerprints"]
            own["members"] = own.get("members") or _NO_MEMBERS
            own["result"] = _with_shared_keys(own["result"])
            own["needs"] = _with_shared_keys(own.get("needs", {}))
            records[sys.intern(str(stage))] = StageRecord(**own)
        known["records"] = records
        failure = known.get("failure")
        known["failure"] = None if failure is None else Failure(**_checked(Failure, failure))
        known["history"] = tuple(map(_with_shared_keys, known.get("history", ())))
        return cls(**known)


def digest(value: Any) -> str:
    """Short hash of a JSON-ready value, independent of the order of keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _identity_of(fingerprints: Fingerprints) -> str | dict[str, str]:
    """What `StageRecord.key` is made of: one text, as ever, where there are no inputs but frames.

    Records that other records name by their keys were written before items had several inputs.
    """
    if not fingerprints.keys() - {FRAMES}:
        return fingerprints.get(FRAMES, "")
    return dict(fingerprints)


def _with_fingerprint(values: dict[str, Any]) -> dict[str, Any]:
    """Values as they are written: ``fingerprint`` is that of the frames, as in earlier versions.

    What a movie does not have is left out, so that its file is as earlier versions wrote it.
    """
    written = {}
    for key, value in values.items():
        if key == "fingerprints":
            written["fingerprint"] = value.get(FRAMES, "")
            if others := {role: text for role, text in value.items() if role != FRAMES}:
                written["fingerprints"] = others
        elif (key != "members" or value) and (key != "kind" or value != MOVIE):
            written[key] = value
    return written


def _with_fingerprints(values: dict[str, Any]) -> dict[str, Any]:
    """The inverse of `_with_fingerprint`."""
    frames = values.get("fingerprint", "")
    if not isinstance(frames, str):
        raise TypeError(f"fingerprint is {frames!r}, expected str")
    others = values.get("fingerprints", {})
    if not isinstance(others, dict):
        raise TypeError(f"fingerprints is {others!r}, expected dict")
    return {**values, "fingerprints": {**({FRAMES: frames} if frames else {}), **others}}


def short_values(result: dict[str, Any]) -> dict[str, Any]:
    """The values of a stage's result that are no long lists."""
    return {key: value for key, value in result.items() if _is_short(value)}


_NO_MEMBERS: dict[str, dict[str, str]] = {}  # of all movies' records; never changed

# What the rest of the program relies on without looking; the annotations are texts.
_TYPES: dict[str, type | tuple[type, ...]] = {
    "str": str,
    "int": int,
    "float": (int, float),
    "bool": bool,
    "dict": dict,
    "Fingerprints": dict,
    "tuple": (list, tuple),
}


@cache
def _fields(kind: Any) -> tuple[tuple[str, type | tuple[type, ...], str], ...]:
    """Name, allowed types and their words of each field of a dataclass."""
    types = ((key, str(entry.type)) for key, entry in kind.__dataclass_fields__.items())
    return tuple((key, _TYPES.get(name.partition("[")[0], object), name) for key, name in types)


def _checked(kind: Any, values: dict[str, Any]) -> dict[str, Any]:
    """The values that are fields of the dataclass ``kind``, if they have the right types."""
    known = {}
    for key, expected, type_name in _fields(kind):
        if key in values:
            value = known[key] = values[key]
            if not isinstance(value, expected):
                raise TypeError(f"{key} is {value!r}, expected {type_name}")
    return known


def _with_shared_keys(values: dict[str, Any]) -> dict[str, Any]:
    """The same, with keys that all items share: a fifth of what thousands of items take."""
    if not isinstance(values, dict):
        raise TypeError(f"{values!r:.80}, expected dict")
    return {sys.intern(key): value for key, value in values.items()}


def _is_short(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return len(value) <= MAX_ABRIDGED and not any(
            isinstance(entry, list | tuple | dict) for entry in value
        )
    return not isinstance(value, dict)
