"""The worker processes of this machine, which start again when their settings change."""

from __future__ import annotations

import logging
from collections.abc import Callable

from warptui.engine.config.settings import Config
from warptui.engine.execution.dispatcher import Dispatcher
from warptui.engine.execution.executor import ExecutorMessage
from warptui.engine.execution.local_pool import LocalPool
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.worker.devices import cpu_count, plan_slots
from warptui.engine.worker.roots import Roots

log = logging.getLogger(__name__)

STOP_GRACE_S = 3.0  # for a worker to unwind


class Workers:
    """Used from the engine's thread; ``deliver`` gets the workers' messages in others."""

    def __init__(
        self,
        paths: ProjectPaths,
        dispatcher: Dispatcher,
        deliver: Callable[[ExecutorMessage], None],
    ) -> None:
        self._paths, self._dispatcher, self._deliver = paths, dispatcher, deliver

    def start(self, config: Config) -> None:
        """Start processes by [compute] and give them to the dispatcher."""
        plans, note = plan_slots(config.compute)
        if note:
            log.warning("%s", note)
        project = self._paths.root
        roots = Roots(project, (project / config.input.folder).absolute())
        pool = LocalPool(plans, roots, self._paths.worker_logs, self._deliver)
        self._dispatcher.use(pool, roots)
        pool.start()

    def restart(self, config: Config) -> None:
        """Replace all processes; their jobs run again."""
        if self._dispatcher.executor is None:
            return
        self.stop()
        self.start(config)
        self._dispatcher.requeue_running()

    def wake(self) -> None:
        """Start what does not run, also where it was given up."""
        if self._dispatcher.executor is not None:
            self._dispatcher.executor.start()

    def take(self, message: ExecutorMessage) -> None:
        """Pass a worker's message to the dispatcher."""
        if self._dispatcher.executor is not None:
            for event in self._dispatcher.executor.take(message):
                self._dispatcher.take(event)

    def check(self) -> None:
        """Look after processes that hang or have died; called a few times a second."""
        if self._dispatcher.executor is not None:
            self._dispatcher.executor.check()

    def stop(self) -> None:
        """End all processes."""
        if self._dispatcher.executor is not None:
            self._dispatcher.executor.close(STOP_GRACE_S)

    def training_place(self, config: Config) -> tuple[str, int]:
        """The device to train on, and the number of threads: workers are idle meanwhile."""
        device = next((place.device for place in self._dispatcher.places), "cpu")
        return device, config.compute.threads or cpu_count()
