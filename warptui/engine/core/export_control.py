"""Lists for other programs: what would be written, what is, and the live lists."""

from __future__ import annotations

import time
from typing import Any

from warptui.engine.api.event_hub import EventHub
from warptui.engine.config.settings import Config
from warptui.engine.core.settings_control import SettingsControl
from warptui.engine.exporters.base import by_settings, kind_of, settled, target_of
from warptui.engine.exporters.optics_groups.beam_shifts import BeamShifts
from warptui.engine.exporters.report import Facts
from warptui.engine.exporting.jobs import Exports
from warptui.engine.exporting.live_lists import LiveListService
from warptui.engine.items.service import ItemService
from warptui.engine.model.exports import Export, ExportRequest
from warptui.engine.model.item_columns import Columns
from warptui.engine.planning.target import as_json
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.project.store import Store


class ExportControl:
    """Used from the engine's thread; lists are written in others."""

    def __init__(
        self,
        paths: ProjectPaths,
        hub: EventHub,
        items: ItemService,
        store: Store,
        settings: SettingsControl,
        live: LiveListService,
    ) -> None:
        self._paths, self._hub, self._items = paths, hub, items
        self._settings, self._live = settings, live
        self._jobs = Exports(paths, store.load)

    def names(self, request: ExportRequest) -> list[str]:
        """The items of a request, in order of arrival. Raises KeyError for unknown ones."""
        return self._items.asked_for(settled(request))

    def paths_and_shifts(self, names: list[str]) -> tuple[dict[str, str], BeamShifts]:
        """The raw files of items, and the beam shifts that the live list has read."""
        entries = self._items.table.entries
        return {name: str(entries[name].path) for name in names}, self._live.shifts

    def begin(self, request: ExportRequest) -> str:
        """Begin to write a list; its id. Raises ExportError, or KeyError for unknown items."""
        kind, target = kind_of(request).given(self._facts), target_of(request, self._paths)
        config = self._settings.config
        request = by_settings(request, config.export)
        names = self.names(request)
        return self._jobs.begin(kind, request, target, names, config.optics.model_dump())

    def cancel(self, number: str) -> None:
        """Stop writing a list. Raises KeyError when it is not being written."""
        self._jobs.cancel(number)

    def records(self) -> tuple[Export, ...]:
        """All lists, with the live ones first."""
        return (*self._live.look(), *self._jobs.look())

    def live_groups(self) -> dict[str, Any]:
        """The optics groups of the live list by beam shift."""
        return self._live.groups()

    def close(self) -> None:
        """Stop writing."""
        self._jobs.close()

    def _facts(self) -> Facts:
        """The content of a report, in any thread."""
        config, stages = self._settings.config, self._settings.stages
        return Facts(
            self._paths,
            Columns(self._hub.rows()),
            self._hub.status(),
            as_json(config, stages),
            as_json(Config(), stages),
            time.time(),
        )
