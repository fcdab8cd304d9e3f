"""The door to the engine: start, pause, stop, items, choices, events.

Everything that changes happens in one thread, which takes sightings, workers' answers and requests
from one queue. What is asked often (`status`, `items`, `events`) is answered from the last
published state, so that a hanging file system freezes no viewer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from warptui.engine.api.events import Event
from warptui.engine.config.settings import Changes, Config
from warptui.engine.core import Works
from warptui.engine.errors import EngineError, ExportError, SettingsError
from warptui.engine.exporters.base import (
    by_settings,
    described,
    first_rows,
    grouping_of,
    settled,
    target_of,
)
from warptui.engine.exporters.optics_groups.beam_shifts import Gathering, number_as_they_come
from warptui.engine.model.detail import ItemDetail, Trial
from warptui.engine.model.edits import Edits
from warptui.engine.model.exports import ExportRequest
from warptui.engine.model.item import Choice
from warptui.engine.model.row import ItemRow
from warptui.engine.model.status import EngineStatus
from warptui.engine.model.training import ModelInfo, TrainingExample, TrainingRequest
from warptui.engine.planning.forecast import Forecast, forecast
from warptui.engine.planning.references import ReferenceFiles
from warptui.engine.planning.target import Wanted, as_json
from warptui.engine.training import models
from warptui.engine.training import request as order

ANSWER_S = 55.0
PREVIEW_ROWS = 5
PREVIEW_ITEMS = 50  # that are looked at for them
PREVIEW_GROUPED = 1000  # items whose beam shifts are read then

Answer = TypeVar("Answer")


class Session(Works):
    """The engine of one project folder. `stop` it, or use it as a context manager.

    Parameters
    ----------
    project
        The project folder.
    read_config
        Reads the settings of a project folder, as they would be with changes; raises SettingsError.
    write_config
        Writes changes into the settings' file and returns the settings from then on. Without it
        `change` is refused.
    stages
        The processing steps, in order.

    Raises
    ------
    EngineError
        When another engine holds the project.
    SettingsError
        When the settings are wrong.
    """

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def status(self) -> EngineStatus:
        """The engine in one record."""
        return self._broadcast.status()

    def items(self) -> list[ItemRow]:
        """All items in order of arrival."""
        return self._broadcast.rows()

    def item(self, name: str) -> ItemDetail:
        """Everything about one item. Raises KeyError when it is unknown."""
        return self._ask(lambda: self._detail(name))

    def start(self) -> None:
        """Process what is queued, now and later."""
        self._ask(lambda: self._set_paused(False))

    def pause(self) -> None:
        """Start no further item; those that run are finished."""
        self._ask(lambda: self._set_paused(True))

    def stop(self) -> None:
        """End: flush, end the workers, release the project. Returns when all is done."""
        self._stopping = True
        self._inbox.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def choose(self, names: Sequence[str], choice: Choice) -> None:
        """Set the user's choice for items. Raises KeyError, changing nothing, for unknown ones."""
        self._ask(lambda: self._items.choose(names, choice))

    def retry(self, names: Sequence[str]) -> None:
        """Forget the failures of items and queue them again."""
        self._ask(lambda: self._dispatcher.retry(names))

    def reprocess(self, names: Sequence[str]) -> None:
        """Run all stages of items again, also where nothing changed."""
        self._ask(lambda: self._dispatcher.reprocess(names))

    def cancel(self, names: Sequence[str]) -> None:
        """Stop what runs or waits of items; they count as failed until they are retried.

        A job that runs ends at its next progress call. Items that have nothing to do stay as they
        are. Raises KeyError, changing nothing, for unknown ones.
        """
        self._ask(lambda: self._dispatcher.cancel(names))

    def queue(self, limit: int = 1000) -> list[tuple[str, str]]:
        """Names of the items that are next, in the order in which they will run, and why."""
        return self._ask(lambda: self._items.queue(limit))

    def acknowledge(self, ids: Sequence[int]) -> None:
        """Somebody saw these notices: no viewer shows them any more."""
        self._ask(lambda: self._herald.acknowledge(set(ids)))

    def edit(self, name: str, edits: Edits) -> None:
        """Store all that a person changed about an item's picks; the last ones count.

        Its picks are written anew at once, without the network. Raises KeyError when the item is
        unknown, ItemError when something cannot be written.
        """
        self._ask(lambda: self._items.edit(name, edits))

    def apply(self, config: Config) -> None:
        """Work with other settings from now on; what differs becomes outdated."""
        self._ask(lambda: self._apply(config))

    def reload(self) -> None:
        """Read config.toml again. Raises SettingsError, keeping the old settings, when wrong."""
        self.apply(self._read_config(self.project))

    def change(self, changes: Changes) -> None:
        """Write changed settings into config.toml and work with them; None takes a key out.

        Raises SettingsError, changing nothing, when a value or the file is wrong.
        """
        self._ask(lambda: self._change(changes))

    def preview(self, changes: Changes) -> dict[str, Any]:
        """What `change` would do: ``problems`` by key, and the fields of `Forecast`.

        Raises SettingsError when the file itself is broken. Nobody waits for it but who asks.
        """
        try:
            config = self._read_config(self.project, changes)
        except SettingsError as problem:
            if not problem.problems:
                raise
            return {"problems": problem.problems, **Forecast({}).to_json()}
        roster, places = self._items.roster, self._dispatcher.places
        references = roster.wanted.references
        if config.input != self._config.input or config.stages != self._config.stages:
            references, _ = ReferenceFiles(self.project, config).look()
        n_workers = len(places) - len(places.problems) if places else 1
        told = forecast(
            list(roster.entries.values()),
            roster.wanted,
            Wanted.of(config, references, self._stages),
            self._dispatcher.rates.seconds_per_stage(),
            n_workers,
        )
        return {"problems": {}, **told.to_json()}

    def preview_export(self, request: ExportRequest) -> dict[str, Any]:
        """What `export` would do: ``n`` items, the first ``rows``, the ``path``, the ``problem``.

        ``kinds`` are all that could be asked for. Raises KeyError for unknown names.
        """
        names = self._ask(lambda: self._items.asked_for(settled(request)))
        told: dict[str, Any] = {
            "kinds": [], "n": len(names), "rows": [], "path": "", "exists": False,
            "problem": "", "groups": {},
        }  # fmt: skip
        told["kinds"] = described(self._config.export.optics_groups)
        try:
            target = target_of(request, self._paths)
            told |= {"path": str(target), "exists": target.exists()}
            shown = first_rows(
                names, self._store.load, self._paths, request, PREVIEW_ROWS, PREVIEW_ITEMS
            )
            told["rows"] = shown
            told["groups"] = self._preview_groups(request, names)
        except (ExportError, OSError) as problem:
            told["problem"] = str(problem)
        return told

    def _preview_groups(self, request: ExportRequest, names: list[str]) -> dict[str, Any]:
        """The optics groups by beam shift that an export would have, where it shall: of some."""
        request = by_settings(request, self._config.export)
        grouping = grouping_of(request, self._paths)
        if grouping is None:
            return {}
        some = names[:PREVIEW_GROUPED]
        paths, shifts = self._ask(
            lambda: (
                {name: str(self._items.roster.entries[name].path) for name in some},
                self._live.shifts,
            )
        )
        known = shifts if shifts.folder == grouping.folder else None
        gathering = Gathering(grouping, known)
        for name, path in paths.items():
            gathering.take(name, path)
        told = gathering.account(number_as_they_come(gathering.labels()))
        if len(some) < len(names):
            told["said"] = f"of the first {len(some):,} items: {told['said']}"
        return told

    def optics_groups(self) -> dict[str, Any]:
        """The optics groups of the live list by beam shift; {} where they are not made so.

        ``groups``: number, n, x, y and unit of each; ``points``: x, y and number of images;
        ``said`` in words.
        """
        return self._ask(self._live.groups)

    def export(self, request: ExportRequest) -> str:
        """Write a list for another program; returns its id at once, and `status` tells the rest.

        Raises ExportError when it cannot be written as asked, KeyError for unknown names.
        """
        return self._ask(lambda: self._export(request))

    def cancel_export(self, number: str) -> None:
        """Stop writing a list; what was there before stays. Raises KeyError when none runs."""
        self._ask(lambda: self._exports.cancel(number))

    def try_settings(self, name: str, changes: Changes) -> Trial:
        """What one stage makes of one item with changed settings; nothing of it is stored.

        ``changes`` has the stage's section, and it alone. Whoever asks waits for a worker and for
        the stage; `drop_trial` ends the waiting. It works while processing is paused.

        Raises
        ------
        SettingsError
            When a value is wrong, or settings of something else than a stage are given.
        KeyError
            When the item is unknown.
        ItemError
            When what the stage works on is absent, or the stage failed.
        EngineError
            When no worker runs, or the engine stops meanwhile.
        """
        names = [stage.name for stage in self._stages]
        if len(changes) != 1 or not set(changes) <= set(names):
            raise SettingsError(
                f"a trial takes the settings of one stage ({', '.join(names)}); "
                f"found {', '.join(map(repr, changes)) or 'none'}"
            )
        (stage,) = changes
        config = self._read_config(self.project, changes)
        return self._ask(lambda: self._dispatcher.try_stage(name, stage, config)).result()

    def drop_trial(self, name: str) -> None:
        """Stop the trials of an item; those who wait for them get an ItemError."""
        self._ask(lambda: self._dispatcher.drop_trial(name))

    def training_examples(self) -> list[TrainingExample]:
        """The micrographs that are marked for training, or for measuring a training."""
        return order.examples_of(self._paths, self._config, self._ask(self._root_names))

    def preview_training(self, request: TrainingRequest) -> dict[str, Any]:
        """What `train` would do, or the ``problem`` why it cannot be done.

        ``model``, ``start_from``, ``n_examples``, ``n_particles``, ``n_held_out``, ``n_steps``,
        ``device``, ``notes``, and a rough guess of the ``seconds``.
        """
        items, (device, threads) = self._ask(lambda: (self._root_names(), self._training_place()))
        return order.preview(self._paths, self._config, items, request, device, threads)

    def train(self, request: TrainingRequest) -> str:
        """Train BoxNet from the marked micrographs; the new model's name at once.

        Processing waits meanwhile. The status tells the rest. Raises TrainingError or InputError,
        in plain words, when it cannot be done.
        """
        items, (device, threads) = self._ask(lambda: (self._root_names(), self._training_place()))
        task = order.make_task(self._paths, self._config, items, request, device, threads)
        return self._ask(lambda: self._train(task))

    def cancel_training(self, *, keep_best: bool = False) -> None:
        """End the training that runs; with ``keep_best`` what is best so far becomes the model."""
        self._ask(lambda: self._trainer.cancel(keep_best=keep_best))

    def models(self) -> list[ModelInfo]:
        """The models that can be picked with, and trainings that did not end; bundled ones last."""
        running = self._ask(lambda: self._trainer.running)
        return models.list_models(self._paths, order.used_model(self._config), running)

    def use_model(self, name: str) -> None:
        """Pick with this model from now on; what was picked with another becomes outdated.

        Raises InputError when there is no such model or nothing can be picked with it.
        """
        models.check_usable(self._paths, name)
        self.change({"picking": {"model": name}})

    def discard_model(self, name: str) -> None:
        """Remove a model that was trained here, and all that is known of its training.

        Raises TrainingError when it is in use, comes with the program, or is being trained.
        """
        self._ask(lambda: self._discard_model(name))

    def config(self) -> dict[str, Any]:
        """The current settings as JSON values."""
        return as_json(self._config, self._stages)

    def events(self, after: int = 0) -> Iterator[tuple[int, Event]]:
        """Numbered events later than ``after``, as they happen; a `Snapshot` first for 0."""
        for batch in self.batches(after):
            yield from batch

    def batches(self, after: int = 0) -> Iterator[list[tuple[int, Event]]]:
        """The same in batches, four a second at most; empty ones when nothing happens."""
        return self._broadcast.follow(after)

    def _ask(self, request: Callable[[], Answer]) -> Answer:
        if self._stopping:
            raise EngineError("the engine is stopping")
        answer: Future[Answer] = Future()
        self._inbox.put((request, answer))
        try:
            return answer.result(ANSWER_S)
        except TimeoutError as problem:
            if answer.done():
                raise
            raise EngineError("the engine is busy with a slow file system") from problem
