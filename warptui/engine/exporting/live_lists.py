"""Updates the live lists of particles when items or settings change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from warptui.engine.config.settings import Config
from warptui.engine.exporters.optics_groups.beam_shifts import BeamShifts
from warptui.engine.exporters.rows import Source, source_of
from warptui.engine.exporting.live import LiveListWriter
from warptui.engine.formats.star.picks import model_suffix
from warptui.engine.items.service import ItemService
from warptui.engine.model.exports import Export
from warptui.engine.model.stored import StoredItem
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.stages.movie.particles import STAGE as PARTICLES
from warptui.engine.stages.movie.picking import STAGE as PICKING
from warptui.engine.training.request import used_model


class LiveListService:
    """The live lists of the model in use; called from the session's thread only."""

    def __init__(
        self, project: ProjectPaths, items: ItemService, load: Callable[[str], StoredItem | None]
    ) -> None:
        self._project, self._items, self._load = project, items, load
        self._live: LiveListWriter | None = None
        self.shifts = BeamShifts()
        self._config: Config | None = None

    def apply(self, config: Config) -> None:
        """Continue with these settings. Lists of another model's particles stay unchanged."""
        before, self._config = self._config, config
        if before is not None and config == before.model_copy(update={"filters": config.filters}):
            return
        settings, suffix = config.export, model_suffix(used_model(config))
        wanted = settings.live and PICKING.name in self._items.table.target.enabled
        if self._live is not None and (not wanted or self._live.suffix != suffix):
            self._live.close(wait=False)
            self._live = None
        folder = settings.beam_shift_folder.strip()
        place = (self._project.root / Path(folder).expanduser()).absolute() if folder else None
        if place != self.shifts.folder:
            self.shifts = BeamShifts(place)
        if self._live is not None:
            self._live.configure(settings, self.shifts)
        elif wanted:
            self._live = LiveListWriter(self._project, suffix, settings, self._load, self.shifts)
        self._items.touched.update(self._items.table.entries)

    def update(self) -> None:
        """Update the lists for changed items: which of them belong in the lists now."""
        names, self._items.touched = self._items.touched, set()
        if self._live is None or self._config is None or not names:
            return
        table = self._items.table
        extracting = PARTICLES.name in table.target.enabled
        optics = self._config.optics.model_dump()
        sources: dict[str, Source | None] = dict.fromkeys(names)
        for name in names:
            entry = table.entries.get(name)
            if entry is not None and entry.selection.selected:
                sources[name] = source_of(
                    entry.stored, self._live.suffix, optics, extracting=extracting
                )
        self._live.update(sources)

    def groups(self) -> dict[str, Any]:
        """Optics groups of the list by beam shift, for its plots; see `LiveListWriter.groups`."""
        return self._live.groups() if self._live is not None else {}

    def look(self) -> tuple[Export, ...]:
        """Records of the lists as they are on disk now."""
        return self._live.look() if self._live is not None else ()

    def close(self) -> None:
        """Write the last version of the lists and end."""
        if self._live is not None:
            self.update()
            self._live.close()
