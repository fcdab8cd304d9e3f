"""Items in columns: 100,000 of them take 20 MB instead of 150, and cross the socket in moments.

A sequence of `ItemRow`, which makes a row when it is asked for. Code that goes through all items
reads the columns; making 100,000 rows takes a second.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

import numpy as np

from warptui.engine.model.item import Choice, State
from warptui.engine.model.row import ItemRow

STATES = tuple(State)
CHOICES = tuple(Choice)
STATE_NUMBERS = {state: number for number, state in enumerate(STATES)}
CHOICE_NUMBERS = {choice: number for number, choice in enumerate(CHOICES)}

_KINDS = {
    "sequence": "<i8",
    "state": "<u1",  # number into STATES
    "choice": "<u1",  # number into CHOICES
    "selected": "|b1",
    "filtered": "|b1",
    "fraction": "<f8",
    "tries": "<i4",
    "arrived_at": "<f8",
    "finished_at": "<f8",
    "failed_at": "<f8",
    "edited_at": "<f8",
}
_VALUE = "<f8"  # of a summary value or of a stage's seconds; NaN = unknown
_TEXTS = ("reason", "stage", "square", "training", "kind", "parent")  # few different ones, shared


class Columns(Sequence[ItemRow]):
    """Items, by number. Numbers are arrays, texts are lists.

    A summary value that is None or left out is NaN in its column; a row made from the columns names
    all values, with None for the unknown ones, or none at all where nothing is known.
    """

    def __init__(self, rows: Iterable[ItemRow] = ()) -> None:
        self.names: list[str] = []
        self.reason: list[str] = []
        self.stage: list[str] = []
        self.square: list[str] = []
        self.training: list[str] = []
        self.kind: list[str] = []
        self.parent: list[str] = []
        self._numbers: dict[str, np.ndarray] = {}
        self._summary: dict[str, np.ndarray] = {}
        self._seconds: dict[str, np.ndarray] = {}
        self._capacity = 0
        self._fill(list(rows))

    # as a sequence of rows

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, number: int) -> ItemRow: ...
    @overload
    def __getitem__(self, number: slice) -> list[ItemRow]: ...
    def __getitem__(self, number: int | slice) -> ItemRow | list[ItemRow]:
        if isinstance(number, slice):
            return [self._row(n) for n in range(*number.indices(len(self)))]
        if not -len(self) <= number < len(self):
            raise IndexError(f"item {number} of {len(self)}")
        return self._row(int(number) % len(self))

    def __iter__(self) -> Iterator[ItemRow]:
        return (self._row(number) for number in range(len(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    # as columns

    def number(self, name: str) -> np.ndarray:
        """(item,) one of the plain columns, such as "state" or "sequence"."""
        return self._numbers[name][: len(self)]

    def value(self, key: str) -> np.ndarray:
        """(item,) float64 of a summary value; NaN where it is unknown."""
        column = self._summary.get(key)
        return np.full(len(self), np.nan) if column is None else column[: len(self)]

    @property
    def keys(self) -> list[str]:
        """The summary values that `value` knows of, with those that only plots use."""
        return list(self._summary)

    @property
    def stages(self) -> list[str]:
        """The stages that `seconds` knows of."""
        return list(self._seconds)

    def seconds(self, stage: str) -> np.ndarray:
        """(item,) float64: how long a stage took; NaN where it did not run."""
        column = self._seconds.get(stage)
        return np.full(len(self), np.nan) if column is None else column[: len(self)]

    # changing

    def put(self, number: int, row: ItemRow) -> None:
        """Replace one row, or append it after the last."""
        if number == len(self):
            if number == self._capacity:
                self._resize(max(64, 2 * self._capacity))
            self.names.append(row.name)
            self.reason.append(row.reason)
            self.stage.append(row.stage)
            self.square.append(row.square)
            self.training.append(row.training)
            self.kind.append(row.kind)
            self.parent.append(row.parent)
        self.names[number] = row.name
        self.reason[number] = row.reason
        self.stage[number] = row.stage
        self.square[number] = row.square
        self.training[number] = row.training
        self.kind[number] = row.kind
        self.parent[number] = row.parent
        numbers = self._numbers
        numbers["sequence"][number] = row.sequence
        numbers["state"][number] = STATE_NUMBERS[row.state]
        numbers["choice"][number] = CHOICE_NUMBERS[row.choice]
        numbers["selected"][number] = row.selected
        numbers["filtered"][number] = row.filtered
        numbers["fraction"][number] = row.fraction
        numbers["tries"][number] = row.tries
        numbers["arrived_at"][number] = row.arrived_at
        numbers["finished_at"][number] = row.finished_at
        numbers["failed_at"][number] = row.failed_at
        numbers["edited_at"][number] = row.edited_at
        self._put_values(self._summary, number, row.summary)
        self._put_values(self._seconds, number, row.seconds)

    def choose(self, number: int, choice: Choice) -> None:
        """Another choice of the user for one item."""
        self._numbers["choice"][number] = CHOICE_NUMBERS[choice]

    def taken(self, numbers: np.ndarray) -> Columns:
        """The items of these numbers, in this order."""
        part = Columns()
        chosen = numbers.tolist()
        part.names = [self.names[number] for number in chosen]
        part.reason = [self.reason[number] for number in chosen]
        part.stage = [self.stage[number] for number in chosen]
        part.square = [self.square[number] for number in chosen]
        part.training = [self.training[number] for number in chosen]
        part.kind = [self.kind[number] for number in chosen]
        part.parent = [self.parent[number] for number in chosen]
        part._numbers = {name: column[numbers] for name, column in self._numbers.items()}
        part._summary = {key: column[numbers] for key, column in self._summary.items()}
        part._seconds = {stage: column[numbers] for stage, column in self._seconds.items()}
        part._capacity = len(chosen)
        return part

    @classmethod
    def joined(cls, parts: Sequence[Columns]) -> Columns:
        """The items of all parts, one after the other."""
        if len(parts) == 1:
            return parts[0]
        made = cls()
        for part in parts:
            made.names += part.names
            made.reason += part.reason
            made.stage += part.stage
            made.square += part.square
            made.training += part.training
            made.kind += part.kind
            made.parent += part.parent
        made._numbers = {
            name: np.concatenate([part.number(name) for part in parts]) for name in _KINDS
        }
        keys = dict.fromkeys(key for part in parts for key in part._summary)
        stages = dict.fromkeys(stage for part in parts for stage in part._seconds)
        made._summary = {key: np.concatenate([p.value(key) for p in parts]) for key in keys}
        made._seconds = {s: np.concatenate([p.seconds(s) for p in parts]) for s in stages}
        made._capacity = len(made.names)
        return made

    # over the wire

    def to_json(self) -> dict[str, Any]:
        """JSON-ready: names as they are, repeated texts once, arrays as base64."""
        return {
            "names": self.names,
            "texts": {name: _encode_texts(getattr(self, name)) for name in _TEXTS},
            "numbers": {name: _encode(self.number(name)) for name in _KINDS},
            "summary": {key: _encode(self.value(key)) for key in self._summary},
            "seconds": {stage: _encode(self.seconds(stage)) for stage in self._seconds},
        }

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Columns:
        """The inverse of `to_json`."""
        made = cls()
        made.names = record["names"]
        for name in _TEXTS:
            setattr(made, name, _decode_texts(record["texts"][name]))
        numbers = record["numbers"]
        made._numbers = {name: _decode(numbers[name], kind) for name, kind in _KINDS.items()}
        made._summary = {key: _decode(text, _VALUE) for key, text in record["summary"].items()}
        made._seconds = {key: _decode(text, _VALUE) for key, text in record["seconds"].items()}
        made._capacity = len(made.names)
        return made

    # inside

    def _row(self, number: int) -> ItemRow:
        column = self._numbers
        return ItemRow(
            self.names[number],
            int(column["sequence"][number]),
            STATES[column["state"][number]],
            CHOICES[column["choice"][number]],
            bool(column["selected"][number]),
            self.reason[number],
            self.stage[number],
            float(column["fraction"][number]),
            int(column["tries"][number]),
            _known(self._summary, number),
            {k: v for k, v in _known(self._seconds, number).items() if v is not None},
            float(column["arrived_at"][number]),
            float(column["finished_at"][number]),
            float(column["failed_at"][number]),
            bool(column["filtered"][number]),
            self.square[number],
            self.training[number],
            float(column["edited_at"][number]),
            self.kind[number],
            self.parent[number],
        )

    def _fill(self, rows: list[ItemRow]) -> None:
        """Many rows together: column by column is several times as fast as row by row."""
        self.names = [row.name for row in rows]
        self.reason = [row.reason for row in rows]
        self.stage = [row.stage for row in rows]
        self.square = [row.square for row in rows]
        self.training = [row.training for row in rows]
        self.kind = [row.kind for row in rows]
        self.parent = [row.parent for row in rows]
        given: dict[str, Iterable[Any]] = {
            "sequence": [row.sequence for row in rows],
            "state": [STATE_NUMBERS[row.state] for row in rows],
            "choice": [CHOICE_NUMBERS[row.choice] for row in rows],
            "selected": [row.selected for row in rows],
            "filtered": [row.filtered for row in rows],
            "fraction": [row.fraction for row in rows],
            "tries": [row.tries for row in rows],
            "arrived_at": [row.arrived_at for row in rows],
            "finished_at": [row.finished_at for row in rows],
            "failed_at": [row.failed_at for row in rows],
            "edited_at": [row.edited_at for row in rows],
        }
        self._numbers = {name: np.array(given[name], kind) for name, kind in _KINDS.items()}
        # a dict keeps the order in which stages declare their values
        keys = dict.fromkeys(key for row in rows for key in row.summary)
        stages = dict.fromkeys(stage for row in rows for stage in row.seconds)
        self._summary = {
            key: np.array([row.summary.get(key) for row in rows], _VALUE) for key in keys
        }
        self._seconds = {
            stage: np.array([row.seconds.get(stage) for row in rows], _VALUE) for stage in stages
        }
        self._capacity = len(rows)

    def _put_values(
        self, columns: dict[str, np.ndarray], number: int, values: dict[str, Any]
    ) -> None:
        for key in values:
            if key not in columns:
                columns[key] = np.full(self._capacity, np.nan)
        for key, column in columns.items():
            value = values.get(key)
            column[number] = np.nan if value is None else value

    def _resize(self, capacity: int) -> None:
        n = len(self)
        for columns in (self._numbers, self._summary, self._seconds):
            for name, column in columns.items():
                grown = np.zeros(capacity, column.dtype)
                grown[:n] = column[:n]
                columns[name] = grown
        self._capacity = capacity


def encode_rows(rows: Iterable[ItemRow]) -> dict[str, Any]:
    """Rows as JSON values, in columns."""
    return (rows if isinstance(rows, Columns) else Columns(rows)).to_json()


def decode_rows(record: dict[str, Any]) -> Columns:
    """The inverse of `encode_rows`."""
    return Columns.from_json(record)


def _known(columns: dict[str, np.ndarray], number: int) -> dict[str, Any]:
    """Values of one item, None where they are unknown; empty where all are."""
    values = {key: float(column[number]) for key, column in columns.items()}
    if all(value != value for value in values.values()):
        return {}
    return {key: None if value != value else value for key, value in values.items()}


def _encode(column: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(column).tobytes()).decode("ascii")


def _decode(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(bytearray(base64.b64decode(text)), kind)  # a bytearray can be written to


def _encode_texts(texts: list[str]) -> dict[str, Any]:
    numbers: dict[str, int] = {}
    codes = [numbers.setdefault(text, len(numbers)) for text in texts]
    return {"texts": list(numbers), "codes": _encode(np.array(codes, "<i4"))}


def _decode_texts(record: dict[str, Any]) -> list[str]:
    texts = [sys.intern(text) for text in record["texts"]]  # the same in every part
    return [texts[code] for code in _decode(record["codes"], "<i4").tolist()]
