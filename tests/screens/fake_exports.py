"""The calls of the fake engine that write lists; nothing is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.beam_patterns import afis
from tests.screens.fake_rows import START
from tests.screens.fake_table import Table
from warptui.engine.api.event_hub import EventHub
from warptui.engine.errors import ExportError
from warptui.engine.exporters.base import described, kind_of, settled, target_of
from warptui.engine.exporters.optics_groups.beam_shifts import (
    Gathering,
    Grouping,
    number_as_they_come,
)
from warptui.engine.model.exports import Export, ExportRequest
from warptui.engine.model.row import ItemRow
from warptui.engine.model.status import EngineStatus
from warptui.engine.project.paths import ProjectPaths


class ExportCalls:
    """A part of `tests.screens.fake_engine.FakeEngine`."""

    calls: list[tuple]
    _table: Table
    _hub: EventHub
    _fixed: dict[str, Any]
    _settings: dict[str, Any]

    @property
    def state(self) -> EngineStatus:
        """See `FakeEngine`."""
        raise NotImplementedError

    def say_status(self, **changes: Any) -> None:
        """See `FakeEngine`."""
        raise NotImplementedError

    def asked_for(self, request: ExportRequest) -> list[ItemRow]:
        names = self._table.items.asked_for(settled(request))
        return [self._hub.row(name) for name in names]

    def preview_export(self, request: ExportRequest) -> dict[str, Any]:
        rows = self.asked_for(request)
        preview: dict[str, Any] = {
            "kinds": described(self._settings["export"]["optics_groups"]),
            "n": len(rows), "rows": [], "path": "", "exists": False, "problem": "", "groups": {},
        }  # fmt: skip
        try:
            preview["path"] = str(target_of(request, ProjectPaths(Path(self._fixed["project"]))))
        except ExportError as problem:
            return preview | {"problem": str(problem)}
        start = f"{self._fixed['project']}/" if request.absolute else ""
        preview["exists"] = Path(preview["path"]).name == "micrographs.star"
        preview["groups"] = self.beam_groups if "beam_shift" in request.switches else {}
        preview["rows"] = (
            [[row.name, "motion, average"] for row in rows[:5]]
            if kind_of(request).name == "report"
            else [
                [f"{start}average/{row.name[:-4]}.mrc", "13105.1", "12840.7", "3.40"]
                for row in rows[:5]
            ]
        )
        return preview

    @property
    def beam_groups(self) -> dict[str, Any]:
        """Groups by beam shift of 5x5 holes, as the engine tells them."""
        there, _ = afis(5, 400, 0.06)
        gathering = Gathering(Grouping())
        gathering._taken += [
            (f"{number}", (x, y, "EPU units")) for number, (x, y) in enumerate(there.tolist())
        ]
        gathering._taken.append(("late.mrc", None))
        return gathering.account(number_as_they_come(gathering.labels()))

    def optics_groups(self) -> dict[str, Any]:
        by_shift = self._settings["export"]["optics_groups"] == "beam_shift"
        return self.beam_groups if by_shift else {}

    def export(self, request: ExportRequest) -> str:
        self.calls.append(("export", request))
        kind_of(request)
        path = str(target_of(request, ProjectPaths(Path(self._fixed["project"]))))
        rows, number = self.asked_for(request), str(len(self.state.exports))
        if not rows:
            raise ExportError("nothing was written: no item is as it was asked for")
        made = Export(number, request.kind, path, "running", START, 0, len(rows), "", "engine")
        self.say_status(exports=(made, *self.state.exports))
        return number

    def cancel_export(self, number: str) -> None:
        self.calls.append(("cancel_export", number))
        running = {export.id for export in self.state.exports if export.state == "running"}
        if number not in running:
            raise KeyError("this export does not run in the engine: there is nothing to cancel")
        self.say_export(number, state="cancelled", reason="cancelled by the user")

    def say_export(self, number: str, **changes: Any) -> None:
        """Something became of an export."""
        self.say_status(
            exports=tuple(
                replace(export, **changes) if export.id == number else export
                for export in self.state.exports
            )
        )
