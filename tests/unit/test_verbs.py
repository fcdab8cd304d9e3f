"""The table of verbs: what follows from a row, and who has to agree with it."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.screens.fake_engine import FakeEngine
from tests.screens.served_engine import ServedEngine
from warptui.client import Client
from warptui.engine.api.event_hub import Batch
from warptui.engine.api.server import Server, answer
from warptui.engine.api.verbs import VERBS, EngineVerbs, Verb, sends, table_of
from warptui.engine.errors import EngineError, ItemError
from warptui.engine.model.item import Choice
from warptui.engine.model.status import EngineStatus
from warptui.engine.service import Session


@dataclass(frozen=True)
class Weather:
    """A record that no other verb knows."""

    degrees: float
    warnings: tuple[str, ...] = ()


class Invented(EngineVerbs, Protocol):
    """The table with one more row."""

    def forecast(self, place: str, days: int = 1, *, hourly: bool = False) -> list[Weather]:
        """The weather of the next days."""
        ...


class InventedEngine:
    """Carries out the invented verb, and some others."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self.ended = threading.Event()

    def status(self) -> EngineStatus:
        return EngineStatus("running", str(self.project), "")

    def forecast(self, place: str, days: int = 1, *, hourly: bool = False) -> list[Weather]:
        if place == "nowhere":
            raise ItemError(f"{place}: there is no weather")
        return [Weather(20.5 + day, ("storm",) if hourly else ()) for day in range(days)]

    def stop(self) -> None:
        self.ended.set()

    def batches(self, after: int = 0) -> Iterator[Batch]:
        return iter(())


@sends(Invented)
class InventedClient(Client, Invented):
    """A client that knows the invented verb."""


@pytest.fixture
def client(tmp_path: Path) -> Iterator[InventedClient]:
    engine: Any = InventedEngine(tmp_path.resolve())
    server = Server(engine, table_of(Invented))
    with InventedClient(tmp_path) as found:
        yield found
    server.close()


def test_an_invented_verb_is_called_through_server_and_client(client: InventedClient) -> None:
    assert client.forecast("Kiel") == [Weather(20.5)]
    assert client.forecast("Kiel", 2, hourly=True) == [
        Weather(20.5, ("storm",)),
        Weather(21.5, ("storm",)),
    ]
    assert client.status().state == "running"
    assert inspect.signature(InventedClient.forecast) == inspect.signature(Invented.forecast)
    assert InventedClient.forecast.__doc__ == "The weather of the next days."


def test_wrong_calls_of_it_name_the_verb_the_parameter_what_was_found_and_expected(
    client: InventedClient,
) -> None:
    verb = table_of(Invented)["forecast"]
    with pytest.raises(ItemError, match="nowhere: there is no weather"):
        client.forecast("nowhere")
    with pytest.raises(EngineError, match=r"^forecast: days: expected a whole number, found 'two'"):
        client.send(verb, {"place": "Kiel", "days": "two"})
    with pytest.raises(EngineError, match=r"^forecast: place is missing; expected a text"):
        client.send(verb, {"days": 2})
    takes = "it takes place, days, hourly"
    with pytest.raises(EngineError, match=rf"^forecast: unknown argument 'day'; {takes}"):
        client.send(verb, {"place": "Kiel", "day": 2})
    with pytest.raises(EngineError, match=r"unknown request 'dance'; known are .*forecast"):
        client.send(Verb("dance", lambda self: None), {})
    with pytest.raises(TypeError, match="missing a required argument: 'place'"):
        client.forecast()  # type: ignore[call-arg]


def test_an_engine_that_answers_otherwise_is_named() -> None:
    with pytest.raises(EngineError, match=r"the answer to queue .* 0: expected a list of a text"):
        VERBS["queue"].decode_result([5])


@pytest.mark.parametrize("engine", [Session, ServedEngine, Client])
def test_every_engine_has_all_verbs_with_the_signatures_of_the_table(engine: type) -> None:
    for name, verb in VERBS.items():
        assert getattr(engine, name) is not verb.method, f"{name} is not implemented"
        expected = inspect.signature(verb.method)
        found = inspect.signature(getattr(engine, name))
        assert list(found.parameters.values()) == list(expected.parameters.values()), name


def test_the_fake_engine_answers_through_the_same_table() -> None:
    engine = FakeEngine(20)
    names = [row.name for row in list(engine.rows.values())[:2]]
    asked = {"id": 3, "call": "choose", "args": {"names": names, "choice": "exclude"}}
    assert answer(engine, asked) == {"id": 3, "ok": None}
    assert engine.calls == [("choose", tuple(names), Choice.EXCLUDE)]
    item = answer(engine, {"id": 4, "call": "item", "args": {"name": names[0]}})
    assert VERBS["item"].decode_result(item["ok"]).row.choice is Choice.EXCLUDE


def test_what_a_verb_is_told_is_read_from_its_signature() -> None:
    choose = VERBS["choose"]
    assert {name: entry.kind for name, entry in choose.params.items()} == {
        "names": Sequence[str],
        "choice": Choice,
    }
    assert all(entry.required for entry in choose.params.values())
    assert choose.result is type(None)
    assert not VERBS["queue"].params["limit"].required
    assert [name for name, verb in VERBS.items() if verb.answered_first] == ["stop"]
    assert [name for name, verb in VERBS.items() if verb.unlimited] == ["try_settings"]
