"""Looks how the engine does, and lets those know who want to: viewers and the user's command."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from pathlib import Path

from warptui.engine.alerts.command import AlertCommand
from warptui.engine.alerts.inbox import Unseen
from warptui.engine.alerts.rules import Alerts, Facts
from warptui.engine.config.sections import AlertSettings
from warptui.engine.execution.dispatcher import Dispatcher
from warptui.engine.execution.trainer import HOLD as TRAINING
from warptui.engine.project.paths import ProjectPaths

log = logging.getLogger(__name__)

GRACE_S = 0.5  # for commands, when the engine ends


class AlertService:
    """The rules of [alerts] and their command. Used from the session's thread."""

    def __init__(self, project: Path, settings: AlertSettings) -> None:
        self.alerts = Alerts(settings)
        self._command = AlertCommand(project)
        self._unseen = Unseen(ProjectPaths(project).notices)
        self._began = time.monotonic()

    def restore(self) -> None:
        """Tell again what an earlier engine told and nobody has seen."""
        self.alerts.restore(self._unseen.read())

    def acknowledge(self, ids: Collection[int]) -> None:
        """Somebody saw these: no viewer of this or a later engine shows them any more."""
        self.alerts.acknowledge(ids)
        self._unseen.keep(self.alerts.unseen)

    def look(self, dispatcher: Dispatcher, free_bytes: int | None) -> None:
        """Apply the rules, and start the command for what they tell."""
        now, newest = time.monotonic(), dispatcher.items.table.newest()
        # a training was asked for: that processing waits for it surprises nobody
        unwanted = [why for name, why in dispatcher.items.holds.items() if name != TRAINING]
        facts = Facts(
            # what came before the watch began, it could not miss
            newest_age_s=now - max(newest.arrived if newest else self._began, self._began),
            newest_name=newest.name if newest else "",
            free_bytes=free_bytes,
            hours_left=dispatcher.rates.disk_hours_left(),
            trouble="; ".join((*unwanted, *dispatcher.places.problems)),
        )
        settings = self.alerts.settings
        for notice in self.alerts.look(now, time.time(), facts):
            log.debug("notice (%s): %s", notice.rule, notice.text)
            if settings.command:
                self._command.run(settings.command, notice, settings.command_seconds)
        self._unseen.keep(self.alerts.unseen)

    def close(self) -> None:
        """Commands that run go on without the engine."""
        self._command.close(GRACE_S)
