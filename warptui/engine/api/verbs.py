"""The engine's verbs, in one table: what each is called, takes and answers.

A method of `EngineVerbs` is a row of the table. From its name, parameters and annotations follow
the server's dispatch and its checks of arguments, the client's methods, and the list of verbs in
the protocol. `engine.service.Session` carries the verbs out; it and every other engine (such as
that of the tests) has methods with the same signatures.

To add a verb: add its method here and in `Session`, then call it from a key or a command.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, get_type_hints

from warptui.engine.api.changes import Changes
from warptui.engine.errors import EngineError
from warptui.engine.model import codec
from warptui.engine.model.codec import DecodeError
from warptui.engine.model.detail import ItemDetail, Trial
from warptui.engine.model.exports import ExportRequest
from warptui.engine.model.item import Choice
from warptui.engine.model.row import ItemRow
from warptui.engine.model.status import EngineStatus
from warptui.engine.model.training import ModelInfo, TrainingExample, TrainingRequest

if TYPE_CHECKING:  # see `_late_types`
    from warptui.engine.model.edits import Edits

_ANSWERED_FIRST, _UNLIMITED = "_answered_first", "_unlimited"
Method = TypeVar("Method", bound=Callable[..., Any])
Class = TypeVar("Class", bound=type)


def _answered_first(method: Method) -> Method:
    """Mark a verb that the server answers before it is carried out."""
    setattr(method, _ANSWERED_FIRST, True)
    return method


def _unlimited(method: Method) -> Method:
    """Mark a verb that may take minutes: clients wait for it, and other calls go on meanwhile."""
    setattr(method, _UNLIMITED, True)
    return method


class EngineVerbs(Protocol):
    """What can be asked of an engine. Errors are those of `warptui.engine.errors`."""

    def status(self) -> EngineStatus:
        """The engine in one record."""
        ...

    def items(self) -> Sequence[ItemRow]:
        """All items in order of arrival."""
        ...

    def item(self, name: str) -> ItemDetail:
        """Everything about one item. Raises KeyError when it is unknown."""
        ...

    def start(self) -> None:
        """Process what is queued, now and later."""
        ...

    def pause(self) -> None:
        """Start no further item; those that run are finished."""
        ...

    @_answered_first
    def stop(self) -> None:
        """End the engine: files that are being written are finished, metadata is stored."""
        ...

    def choose(self, names: Sequence[str], choice: Choice) -> None:
        """Set the user's choice for items. Raises KeyError, changing nothing, for unknown ones."""
        ...

    def retry(self, names: Sequence[str]) -> None:
        """Forget the failures of items and queue them again."""
        ...

    def reprocess(self, names: Sequence[str]) -> None:
        """Run all stages of items again, also where nothing changed.

        Raises ItemError, changing nothing, when raw files are missing.
        """
        ...

    def cancel(self, names: Sequence[str]) -> None:
        """Stop items that run or wait; they count as failed until they are retried.

        A running job ends at its next progress call. Items that have nothing to do stay as they
        are. Raises KeyError, changing nothing, for unknown ones.
        """
        ...

    def queue(self, limit: int = 1000) -> list[tuple[str, str]]:
        """Names of the items that are next, in the order in which they will run, and why."""
        ...

    def acknowledge(self, ids: Sequence[int]) -> None:
        """Mark notices as seen: no viewer shows them any more."""
        ...

    def edit(self, name: str, edits: Edits) -> None:
        """Store all edits of an item's picks; they replace earlier ones.

        The picks are written again immediately, without the network. Raises KeyError when the item
        is unknown, ItemError when a file cannot be written.
        """
        ...

    def reload(self) -> None:
        """Read config.toml again. Raises SettingsError, keeping the old settings, when wrong."""
        ...

    def config(self) -> dict[str, Any]:
        """The current settings as JSON values, by section."""
        ...

    def change(self, changes: Changes) -> None:
        """Write changed settings into config.toml and work with them; None takes a key out.

        Raises SettingsError, changing nothing, when a value or the file is wrong.
        """
        ...

    def preview(self, changes: Changes) -> dict[str, Any]:
        """What `change` would do: ``problems`` by key, and the fields of `planning.forecast`.

        These are ``outdated`` (items by stage), ``n_items``, ``n_restored`` and ``seconds``.
        Raises SettingsError when the file itself is broken.
        """
        ...

    def preview_export(self, request: ExportRequest) -> dict[str, Any]:
        """What `export` would do: ``n`` items, the first ``rows``, the ``path``, the ``problem``.

        ``kinds`` are all that could be requested. Raises KeyError for unknown names.
        """
        ...

    def export(self, request: ExportRequest) -> str:
        """Begin to write a list for another program; its id. The status shows the progress.

        Raises ExportError when it cannot be written as requested, KeyError for unknown names.
        """
        ...

    def cancel_export(self, number: str) -> None:
        """Stop writing a list; the file that was there before stays.

        Raises KeyError when no list of this id is being written.
        """
        ...

    def optics_groups(self) -> dict[str, Any]:
        """The optics groups of the live list by beam shift; {} where they are not made so.

        ``groups``: number, n, x, y and unit of each; ``points``: x, y and number of images;
        ``summary``: a sentence about them.
        """
        ...

    @_unlimited
    def try_settings(self, name: str, changes: Changes) -> Trial:
        """The result of one stage on one item with changed settings, of which nothing is stored.

        ``changes`` has the stage's section, and it alone. The call waits for a worker and for the
        stage; `drop_trial` ends the waiting. It works while processing is paused.

        Raises
        ------
        SettingsError
            When a value is wrong, or settings of something else than a stage are given.
        KeyError
            When the item is unknown.
        ItemError
            When the stage's input is absent, or the stage failed.
        EngineError
            When no worker runs, or the engine stops meanwhile.
        """
        ...

    def drop_trial(self, name: str) -> None:
        """Stop the trials of an item; the callers that wait for them get an ItemError."""
        ...

    def training_examples(self) -> list[TrainingExample]:
        """The micrographs that are marked for training, or for measuring a training."""
        ...

    def preview_training(self, request: TrainingRequest) -> dict[str, Any]:
        """What `train` would do, or the ``problem`` why it cannot be done.

        ``model``, ``start_from``, ``n_examples``, ``n_particles``, ``n_held_out``, ``n_steps``,
        ``device``, ``notes``, and a rough guess of the ``seconds``.
        """
        ...

    def train(self, request: TrainingRequest) -> str:
        """Begin to train BoxNet from the marked micrographs; the new model's name.

        Processing waits meanwhile; the status shows the progress. Raises TrainingError or
        InputError when it cannot be done.
        """
        ...

    def cancel_training(self, *, keep_best: bool = False) -> None:
        """End the training that runs; with ``keep_best`` its best network becomes the model."""
        ...

    def models(self) -> list[ModelInfo]:
        """The models that can pick, and trainings that did not end; bundled ones last."""
        ...

    def use_model(self, name: str) -> None:
        """Pick with this model from now on; picks of another model become outdated.

        Raises InputError when there is no such model or it cannot be used.
        """
        ...

    def discard_model(self, name: str) -> None:
        """Remove a model that was trained here, and the records of its training.

        Raises TrainingError when it is in use, comes with the program, or is being trained.
        """
        ...


@dataclass(frozen=True)
class Parameter:
    """What a verb takes."""

    name: str
    kind: Any  # its type, which `codec` encodes and decodes
    required: bool


@dataclass(frozen=True)
class Verb:
    """A row of the table. Types are looked up on first use: few calls need all of them."""

    name: str
    method: Callable[..., Any]  # of the table: signature and documentation
    answered_first: bool = False  # the server answers before it is carried out
    unlimited: bool = False  # may take minutes

    @cached_property
    def params(self) -> dict[str, Parameter]:
        """What it takes, by name."""
        _, *parameters = inspect.signature(self.method).parameters.values()
        return {
            entry.name: Parameter(
                entry.name, self._types[entry.name], entry.default is inspect.Parameter.empty
            )
            for entry in parameters
        }

    @property
    def result(self) -> Any:
        """The type of the answer."""
        return self._types["return"]

    @cached_property
    def _types(self) -> dict[str, Any]:
        try:
            return get_type_hints(self.method)
        except NameError:
            return get_type_hints(self.method, localns=_late_types())

    def encode_arguments(self, *given: Any, **named: Any) -> dict[str, Any]:
        """Arguments of a call as JSON values. Raises TypeError like any call with wrong ones."""
        bound = inspect.signature(self.method).bind(None, *given, **named).arguments
        return {
            name: codec.encode(value, self.params[name].kind)
            for name, value in list(bound.items())[1:]
        }

    def decode_arguments(self, given: object) -> dict[str, Any]:
        """The inverse of `encode_arguments`, for what came over the wire.

        Raises
        ------
        EngineError
            Naming the verb, the parameter, what was found and what is expected.
        """
        if not isinstance(given, Mapping):
            raise EngineError(f"{self.name}: expected arguments by name, found {given!r}")
        if unknown := [name for name in given if name not in self.params]:
            takes = ", ".join(self.params) or "nothing"
            raise EngineError(f"{self.name}: unknown argument {unknown[0]!r}; it takes {takes}")
        arguments = {}
        for name, parameter in self.params.items():
            if name in given:
                try:
                    arguments[name] = codec.decode(parameter.kind, given[name])
                except DecodeError as problem:
                    raise EngineError(f"{self.name}: {problem.inside(name)}") from None
            elif parameter.required:
                expected = codec.codec_of(parameter.kind).expected
                raise EngineError(f"{self.name}: {name} is missing; expected {expected}")
        return arguments

    def encode_result(self, value: Any) -> Any:
        """The answer as JSON values."""
        return codec.encode(value, self.result)

    def decode_result(self, value: Any) -> Any:
        """The inverse of `encode_result`. Raises EngineError when the answer has another type."""
        try:
            return codec.decode(self.result, value)
        except DecodeError as problem:
            raise EngineError(f"the answer to {self.name} is not as expected: {problem}") from None


def _late_types() -> dict[str, Any]:
    """Types of few verbs, whose import costs NumPy and pydantic."""
    from warptui.engine.model.edits import Edits

    return {"Edits": Edits}


def table_of(verbs: type) -> dict[str, Verb]:
    """The rows of a table, by name: the public methods of a class such as `EngineVerbs`."""
    methods = {
        name: method
        for kind in reversed(verbs.__mro__)
        for name, method in vars(kind).items()
        if inspect.isfunction(method) and not name.startswith("_")
    }
    return {
        name: Verb(name, method, hasattr(method, _ANSWERED_FIRST), hasattr(method, _UNLIMITED))
        for name, method in methods.items()
    }


VERBS = table_of(EngineVerbs)


def sends(verbs: type) -> Callable[[Class], Class]:
    """Have every verb of a table as a method that encodes, sends and decodes.

    The class has ``send(verb, arguments)``, which returns the engine's answer as JSON values.
    """

    def complete(kind: Class) -> Class:
        for verb in table_of(verbs).values():
            if verb.name not in vars(kind):
                setattr(kind, verb.name, _sender(verb))
        return kind

    return complete


def _sender(verb: Verb) -> Callable[..., Any]:
    @wraps(verb.method)
    def call(self: Any, *given: Any, **named: Any) -> Any:
        return verb.decode_result(self.send(verb, verb.encode_arguments(*given, **named)))

    return call
