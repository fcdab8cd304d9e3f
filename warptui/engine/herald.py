"""Looks how the engine does, and lets those know who want to: viewers and the user's command."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from warptui.engine.alerts import Alerts, Facts
from warptui.engine.foreman import Foreman
from warptui.engine.hook import Hook
from warptui.engine.settings import AlertSettings

log = logging.getLogger(__name__)

GRACE_S = 0.5  # for commands, when the engine ends


class Herald:
    """The rules of [alerts] and their command. Used from the session's thread."""

    def __init__(self, project: Path, settings: AlertSettings) -> None:
        self.alerts = Alerts(settings)
        self._hook = Hook(project)
        self._began = time.monotonic()

    def look(self, foreman: Foreman, free_bytes: int | None) -> None:
        """Apply the rules, and start the command for what they tell."""
        now, newest = time.monotonic(), foreman.roster.newest()
        given_up = foreman.pool.given_up if foreman.pool is not None else []
        facts = Facts(
            newest_age_s=now - (newest.arrived if newest else self._began),
            newest_name=newest.name if newest else "",
            free_bytes=free_bytes,
            hours_left=foreman.rates.disk_hours_left(),
            trouble="; ".join((*foreman.holds.values(), *given_up)),
        )
        settings = self.alerts.settings
        for notice in self.alerts.look(now, time.time(), facts):
            log.debug("notice (%s): %s", notice.rule, notice.text)
            if settings.command:
                self._hook.run(settings.command, notice, settings.command_seconds)

    def close(self) -> None:
        """Commands that run go on without the engine."""
        self._hook.close(GRACE_S)
