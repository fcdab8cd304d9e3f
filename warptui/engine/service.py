"""The engine's public API: carries out the verbs of `api.verbs`.

Everything that changes is done by the `Core`, in its one thread. What is asked often (`status`,
`items`, `batches`) is answered from the last published state, so that a hanging file system
freezes no viewer; files of a single request are read in the thread of the caller.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from warptui.engine.api.changes import Changes
from warptui.engine.api.events import Event
from warptui.engine.api.verbs import EngineVerbs
from warptui.engine.config.settings import ReadConfig, WriteConfig
from warptui.engine.core.core import Core
from warptui.engine.core.export_preview import preview_export
from warptui.engine.errors import SettingsError
from warptui.engine.items.detail import read_detail
from warptui.engine.model import codec
from warptui.engine.model.detail import ItemDetail, Trial
from warptui.engine.model.edits import Edits
from warptui.engine.model.exports import ExportRequest
from warptui.engine.model.item import Choice
from warptui.engine.model.row import ItemRow
from warptui.engine.model.status import EngineStatus
from warptui.engine.model.training import ModelInfo, TrainingExample, TrainingRequest
from warptui.engine.planning.forecast import Forecast, forecast
from warptui.engine.planning.references import ReferenceFiles
from warptui.engine.planning.target import Target, as_json
from warptui.engine.stages.base import Stage
from warptui.engine.stages.movie.picking import use_model
from warptui.engine.training import models
from warptui.engine.training import request as training_request
from warptui.engine.worker.loading import load_stages


class Session(EngineVerbs):
    """The engine of one project folder. `stop` it, or use it as a context manager.

    Its verbs are documented in `EngineVerbs`.

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
        The processing steps, in order; those of the program where they are left out.

    Raises
    ------
    EngineError
        When another engine holds the project.
    SettingsError
        When the settings are wrong.
    """

    def __init__(
        self,
        project: Path,
        read_config: ReadConfig,
        write_config: WriteConfig | None = None,
        *,
        stages: tuple[Stage, ...] | None = None,
    ) -> None:
        self.project = project.resolve()
        self._read_config = read_config
        self._stages = load_stages() if stages is None else stages
        self._core = Core(self.project, read_config(self.project), write_config, self._stages)
        self.ended = self._core.ended  # set when the project is closed

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def problem(self) -> str:
        """Why the engine ended by itself; empty where it was stopped."""
        return self._core.problem

    # state

    def status(self) -> EngineStatus:
        return self._core.hub.status()

    def items(self) -> list[ItemRow]:
        return self._core.hub.rows()

    def item(self, name: str) -> ItemDetail:
        known = self._core.ask(lambda: self._core.known_detail(name))
        return read_detail(known, self._core.paths, self._core.store.load)

    def config(self) -> dict[str, Any]:
        return as_json(self._core.settings.config, self._stages)

    def queue(self, limit: int = 1000) -> list[tuple[str, str]]:
        return self._core.ask(lambda: self._core.items.queue(limit))

    def events(self, after: int = 0) -> Iterator[tuple[int, Event]]:
        """Numbered events later than ``after``, as they happen; a `Snapshot` first for 0."""
        for batch in self.batches(after):
            yield from batch

    def batches(self, after: int = 0) -> Iterator[list[tuple[int, Event]]]:
        """Events in batches, four a second at most; an empty batch when nothing happens."""
        return self._core.hub.follow(after)

    # processing

    def start(self) -> None:
        self._core.ask(lambda: self._core.set_paused(False))

    def pause(self) -> None:
        self._core.ask(lambda: self._core.set_paused(True))

    def stop(self) -> None:
        self._core.stop()

    def choose(self, names: Sequence[str], choice: Choice) -> None:
        self._core.ask(lambda: self._core.items.choose(names, choice))

    def edit(self, name: str, edits: Edits) -> None:
        self._core.ask(lambda: self._core.items.edit(name, edits))

    def retry(self, names: Sequence[str]) -> None:
        self._core.ask(lambda: self._core.dispatcher.retry(names))

    def reprocess(self, names: Sequence[str]) -> None:
        self._core.ask(lambda: self._core.dispatcher.reprocess(names))

    def cancel(self, names: Sequence[str]) -> None:
        self._core.ask(lambda: self._core.dispatcher.cancel(names))

    def acknowledge(self, ids: Sequence[int]) -> None:
        self._core.ask(lambda: self._core.alerts.acknowledge(set(ids)))

    # settings

    def reload(self) -> None:
        config = self._read_config(self.project)
        self._core.ask(lambda: self._core.settings.apply(config))

    def change(self, changes: Changes) -> None:
        self._core.ask(lambda: self._core.settings.change(changes))

    def preview(self, changes: Changes) -> dict[str, Any]:
        try:
            config = self._read_config(self.project, changes)
        except SettingsError as problem:
            if not problem.problems:
                raise
            return {"problems": problem.problems, **codec.encode(Forecast({}))}
        known = self._core.ask(self._core.forecast_inputs)
        references = known.target.references
        if config.input != known.config.input or config.stages != known.config.stages:
            references, _ = ReferenceFiles(self.project, config).look()
        target = Target.of(config, references, self._stages)
        found = forecast(
            known.entries, known.target, target, known.seconds_per_stage, known.n_workers
        )
        return {"problems": {}, **codec.encode(found)}

    def try_settings(self, name: str, changes: Changes) -> Trial:
        names = [stage.name for stage in self._stages]
        if len(changes) != 1 or not set(changes) <= set(names):
            raise SettingsError(
                f"a trial takes the settings of one stage ({', '.join(names)}); "
                f"found {', '.join(map(repr, changes)) or 'none'}"
            )
        (stage,) = changes
        config = self._read_config(self.project, changes)
        trial = self._core.ask(lambda: self._core.dispatcher.try_stage(name, stage, config))
        return trial.result()

    def drop_trial(self, name: str) -> None:
        self._core.ask(lambda: self._core.dispatcher.drop_trial(name))

    # lists for other programs

    def preview_export(self, request: ExportRequest) -> dict[str, Any]:
        return preview_export(self._core, request)

    def export(self, request: ExportRequest) -> str:
        return self._core.ask(lambda: self._core.exports.begin(request))

    def cancel_export(self, number: str) -> None:
        self._core.ask(lambda: self._core.exports.cancel(number))

    def optics_groups(self) -> dict[str, Any]:
        return self._core.ask(lambda: self._core.exports.live_groups())

    # training

    def training_examples(self) -> list[TrainingExample]:
        items, _ = self._core.ask(lambda: self._core.training.inputs())
        return training_request.examples_of(self._core.paths, self._core.settings.config, items)

    def preview_training(self, request: TrainingRequest) -> dict[str, Any]:
        items, place = self._core.ask(lambda: self._core.training.inputs())
        config = self._core.settings.config
        return training_request.preview(self._core.paths, config, items, request, *place)

    def train(self, request: TrainingRequest) -> str:
        items, place = self._core.ask(lambda: self._core.training.inputs())
        config = self._core.settings.config
        task = training_request.make_task(self._core.paths, config, items, request, *place)
        return self._core.ask(lambda: self._core.training.begin(task))

    def cancel_training(self, *, keep_best: bool = False) -> None:
        self._core.ask(lambda: self._core.training.cancel(keep_best=keep_best))

    def models(self) -> list[ModelInfo]:
        running = self._core.ask(lambda: self._core.training.running)
        used = training_request.used_model(self._core.settings.config)
        return models.list_models(self._core.paths, used, running)

    def use_model(self, name: str) -> None:
        models.check_usable(self._core.paths, name)
        self.change(use_model(name))

    def discard_model(self, name: str) -> None:
        self._core.ask(lambda: self._core.training.discard(name))
