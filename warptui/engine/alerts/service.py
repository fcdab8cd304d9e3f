"""Watches the engine, and reports problems as notices to viewers and the user's command."""

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
    """Applies the rules of [alerts] and runs their command. Used from the session's thread."""

    def __init__(self, project: Path, settings: AlertSettings) -> None:
        self.alerts = Alerts(settings)
        self._command = AlertCommand(project)
        self._unseen = Unseen(ProjectPaths(project).notices)
        self._began = time.monotonic()

    def restore(self) -> None:
        """Show unseen notices of an earlier engine again."""
        self.alerts.restore(self._unseen.read())

    def acknowledge(self, ids: Collection[int]) -> None:
        """Remove notices that the user has seen, from all viewers and for later engines."""
        self.alerts.acknowledge(ids)
        self._unseen.keep(self.alerts.unseen)

    def look(self, dispatcher: Dispatcher, free_bytes: int | None) -> None:
        """Apply the rules, and start the command for new notices."""
        now, newest = time.monotonic(), dispatcher.items.table.newest()
        # the user started the training, so that a pause for it is expected
        unwanted = [why for name, why in dispatcher.items.holds.items() if name != TRAINING]
        facts = Facts(
            # files from before the watch began do not count
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
        """End; running commands continue without the engine."""
        self._command.close(GRACE_S)
