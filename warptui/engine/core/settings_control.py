"""The settings in force, the files that they name, and what happens when either changes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from warptui.engine.alerts.service import Herald
from warptui.engine.api.changes import Changes
from warptui.engine.config.settings import Config, WriteConfig
from warptui.engine.core.input_watch import InputWatch
from warptui.engine.core.workers import Workers
from warptui.engine.errors import EngineError
from warptui.engine.execution.dispatcher import Dispatcher
from warptui.engine.exporting.live_lists import LiveLists
from warptui.engine.planning.plan import References
from warptui.engine.planning.references import ReferenceFiles
from warptui.engine.planning.target import Target
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.stages.base import Stage

log = logging.getLogger(__name__)

LIGHT = ("filters", "alerts", "keys", "training", "export")  # settings that change no result
HOLD = "references"  # the reason, among others, why no item is begun


@dataclass
class SettingsControl:
    """Used from the engine's thread; other threads may read ``config``."""

    paths: ProjectPaths
    config: Config
    stages: tuple[Stage, ...]
    write_config: WriteConfig | None
    files: ReferenceFiles  # that ``config`` names
    # the parts of the engine that changes are passed on to
    dispatcher: Dispatcher
    watch: InputWatch
    workers: Workers
    live: LiveLists
    alerts: Herald
    publish: Callable[[], None]  # sends the status to the viewers
    publish_counts: Callable[[], None]  # counts before, however lately that was done

    def change(self, changes: Changes) -> None:
        """Write changes into config.toml and work with the settings from then on.

        Raises SettingsError, changing nothing, when a value or the file is wrong.
        """
        if self.write_config is None:
            raise EngineError("this engine was started without a way to write config.toml")
        self.apply(self.write_config(self.paths.root, changes))

    def apply(self, config: Config) -> None:
        """Work with other settings from now on; results that differ become outdated."""
        before, self.config = self.config, config
        self.dispatcher.settings_version += 1
        self.alerts.alerts.settings = config.alerts
        if config == before.model_copy(update={name: getattr(config, name) for name in LIGHT}):
            self._apply_light(before)
        else:
            self._apply_all(before)
        self.live.apply(config)
        self.publish()
        log.info("settings applied")

    def look_at_references(self) -> None:
        """Have items judged again where a reference file changed; hold them where one is absent."""
        references, problem = self.files.look()
        holds = self.dispatcher.items.holds
        if problem and holds.get(HOLD) != problem:
            log.warning("%s", problem)
        self.hold(problem)
        if not problem and references != self.dispatcher.items.roster.wanted.references:
            log.info("a reference file changed")
            self.dispatcher.items.roster.wanted = self._target(references)
            self.dispatcher.items.judge_all()

    def hold(self, problem: str) -> None:
        """Begin no item while there is a problem with the reference files; "" ends that."""
        if problem:
            self.dispatcher.items.holds[HOLD] = problem
        else:
            self.dispatcher.items.holds.pop(HOLD, None)

    def _apply_light(self, before: Config) -> None:
        items = self.dispatcher.items
        items.roster.wanted = items.roster.wanted.with_filters(self.config)
        if self.config.filters != before.filters:
            items.reselect_all(self.publish_counts)

    def _apply_all(self, before: Config) -> None:
        self.files = ReferenceFiles(self.paths.root, self.config)
        references, problem = self.files.look()
        self.dispatcher.items.roster.wanted = self._target(references)
        self.hold(problem)
        moved = self.config.input.folder != before.input.folder  # jobs name raw files from there
        if moved or self.config.compute != before.compute:
            self.workers.restart(self.config)
        if self.config.input != before.input:
            self.dispatcher.items.forget_folder_problem()  # the new watch finds its own
            self.watch.restart(self.config.input, self.dispatcher.items.roster.entries.values())
        self.dispatcher.items.judge_all()

    def _target(self, references: References) -> Target:
        return Target.of(self.config, references, self.stages)
