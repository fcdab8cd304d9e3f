"""Records as JSON values and back, by their annotations."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warptui.engine.api import events
from warptui.engine.api.events import Event, ItemChanged, ItemRemoved, LogLine, StatusChanged
from warptui.engine.api.verbs import VERBS
from warptui.engine.model import codec
from warptui.engine.model.codec import DecodeError
from warptui.engine.model.detail import ItemDetail, Trial
from warptui.engine.model.edits import Edits, Spot
from warptui.engine.model.exports import Export, ExportRequest
from warptui.engine.model.item import Choice, State
from warptui.engine.model.item_columns import Columns
from warptui.engine.model.notices import Notice
from warptui.engine.model.row import ItemRow
from warptui.engine.model.status import Astigmatism, EngineStatus
from warptui.engine.model.summary import Summary
from warptui.engine.model.training import (
    ModelInfo,
    TrainingExample,
    TrainingRequest,
    TrainingStatus,
)

RECORDS = (
    ItemRow, ItemDetail, Trial, Export, ExportRequest, TrainingRequest, TrainingStatus,
    TrainingExample, ModelInfo, EngineStatus, Notice, Summary, Astigmatism, ItemChanged,
    ItemRemoved, StatusChanged, LogLine,
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a record's or a field's type; any JSON value where a field takes anything."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return JSON
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return st.builds(kind, **{name: values_of(hint) for name, hint in hints.items()})
    if origin is tuple:
        return st.lists(values_of(arguments[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(st.text(), values_of(arguments[1]), max_size=3)
    if origin in (Union, UnionType):
        return st.one_of(*map(values_of, arguments))
    return st.floats(allow_nan=False) if kind is float else st.from_type(kind)


def over_the_wire(value: Any, kind: Any = None) -> Any:
    text = json.dumps(codec.encode(value, kind))
    return codec.decode(type(value) if kind is None else kind, json.loads(text))


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_every_record_arrives_as_it_was_sent(kind: type) -> None:
    @given(values_of(kind))
    def check(record: Any) -> None:
        assert over_the_wire(record) == record

    check()


@given(st.sampled_from([event for event in get_args(Event) if event in RECORDS]), st.data())
def test_every_event_arrives_as_it_was_sent(kind: type, data: st.DataObject) -> None:
    event = data.draw(values_of(kind))
    assert events.decode(json.loads(json.dumps(events.encode(event)))) == event


def test_an_unknown_event_is_named() -> None:
    with pytest.raises(ValueError, match="unknown event 'Eclipse': viewer and engine differ"):
        events.decode({"event": "Eclipse"})


def test_edits_of_picks_are_a_pydantic_model() -> None:
    edits = Edits(added=(Spot(y_angstrom=1.5, x_angstrom=2.0),), min_score=0.25)
    assert over_the_wire(edits) == edits


def test_rows_go_by_columns() -> None:
    rows = [ItemRow(f"{number}.mrc", number, State.DONE) for number in range(3)]
    encoded = codec.encode(rows, Sequence[ItemRow])
    assert encoded["names"] == ["0.mrc", "1.mrc", "2.mrc"]
    arrived = over_the_wire(rows, Sequence[ItemRow])
    assert isinstance(arrived, Columns) and list(arrived) == rows


@dataclass(frozen=True)
class Inner:
    pair: tuple[str, int]
    colour: Literal["red", "blue"] = "red"


@dataclass(frozen=True)
class Outer:
    inner: Inner
    many: tuple[Inner, ...] = ()
    choice: Choice | None = None
    values: Mapping[str, float] = field(default_factory=dict)


def test_absent_keys_get_defaults_and_unknown_ones_are_ignored() -> None:
    found = codec.decode(Outer, {"inner": {"pair": ["a", 1], "later": 1}, "much": "later"})
    assert found == Outer(Inner(("a", 1)))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "inner: expected the fields of Inner, found None"),
        ([], r"expected the fields of Outer, found \[\]"),
        ({"inner": {"pair": ["a"]}}, r"inner.pair: expected a list of a text, a whole number"),
        ({"inner": {"pair": ["a", True]}}, "inner.pair: expected a whole number, found True"),
        ({"inner": {"pair": ["a", 1], "colour": "grey"}}, "inner.colour: expected one of 'red'"),
        (
            {"inner": {"pair": ["a", 1]}, "many": [{"pair": ["a", 1]}, 5]},
            "many.1: expected the fields of Inner, found 5",
        ),
        (
            {"inner": {"pair": ["a", 1]}, "choice": "perhaps"},
            "choice: expected one of auto, include, exclude, found 'perhaps'",
        ),
        (
            {"inner": {"pair": ["a", 1]}, "values": {"x": "much"}},
            "values.x: expected a number, found 'much'",
        ),
    ],
)
def test_a_wrong_value_is_named_with_its_place(values: Any, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        codec.decode(Outer, values)


def test_a_type_that_cannot_be_sent_is_refused_when_its_codec_is_made() -> None:
    with pytest.raises(TypeError, match="only unions of one type with None"):
        codec.codec_of(int | str)
    with pytest.raises(TypeError, match="cannot be sent"):
        codec.codec_of(complex)


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_everything_that_verbs_take_and_answer_can_be_sent(verb: Any) -> None:
    for parameter in verb.params.values():
        assert codec.codec_of(parameter.kind).expected
    assert codec.codec_of(verb.result).expected
