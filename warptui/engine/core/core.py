"""The engine's main loop: one thread owns all state and takes messages from one queue.

`engine.service.Session` is the engine's public side; it has a `Core`.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

from warptui.engine.alerts.service import AlertService
from warptui.engine.api.event_hub import EventHub
from warptui.engine.api.log_lines import LogLines
from warptui.engine.api.status import StatusPublisher
from warptui.engine.config.settings import Config, WriteConfig
from warptui.engine.core import opening
from warptui.engine.core.export_control import ExportControl
from warptui.engine.core.input_watch import InputWatch
from warptui.engine.core.messages import Message, Request, Sightings, Stop
from warptui.engine.core.settings_control import SettingsControl
from warptui.engine.core.training_control import TrainingControl
from warptui.engine.core.workers import Workers
from warptui.engine.errors import EngineError
from warptui.engine.execution.dispatcher import Dispatcher
from warptui.engine.execution.executor import ExecutorMessage
from warptui.engine.execution.failures import STORAGE
from warptui.engine.execution.trainer import TrainerMessage
from warptui.engine.exporting.live_lists import LiveListService
from warptui.engine.formats.writing import TEMPORARY_SUFFIX
from warptui.engine.items.choice_writer import ChoiceWriter
from warptui.engine.items.detail import KnownDetail
from warptui.engine.items.entry import Entry
from warptui.engine.items.service import ItemService
from warptui.engine.model.status import EngineStatus
from warptui.engine.planning.references import ReferenceFiles
from warptui.engine.planning.target import Target
from warptui.engine.project import filesystem
from warptui.engine.project.lock import ProjectLock
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.project.store import Store
from warptui.engine.stages.base import Stage

log = logging.getLogger(__name__)

TICK_S = 0.25
SENDING_S = 0.005  # for the threads that send to viewers, which else share the interpreter with us
REFERENCES_S = 5.0  # between looks at the reference files
STORAGE_RETRY_S = 2.0  # between tries to write to a disk that was full
DRAIN_S = 1.0  # for the answers that workers have sent already when the engine ends
ANSWER_S = 55.0  # that a request may take

Answer = TypeVar("Answer")


class ForecastInputs(NamedTuple):
    """What a cost forecast is made from: items, settings and times as they are at one moment."""

    config: Config
    entries: list[Entry]
    target: Target
    seconds_per_stage: dict[str, float]
    n_workers: int


class Core:
    """Items, dispatcher, watch and what else a project's engine consists of, in one thread.

    The constructor returns when the project is open. Other threads read ``hub`` and
    ``settings.config``, and have everything else done by `ask`.

    Raises
    ------
    EngineError
        When another engine holds the project.
    """

    store: Store
    items: ItemService
    dispatcher: Dispatcher
    settings: SettingsControl
    exports: ExportControl
    training: TrainingControl

    def __init__(
        self,
        project: Path,
        config: Config,
        write_config: WriteConfig | None,
        stages: tuple[Stage, ...],
    ) -> None:
        self.project, self.stages = project, stages
        self.paths = ProjectPaths(project)
        self.ended = threading.Event()
        self.problem = ""  # why it ended by itself
        self.stopping = False
        self.alerts = AlertService(project, config.alerts)
        self.hub = EventHub(
            EngineStatus("starting", str(project), config.input.folder, pid=os.getpid())
        )
        self._inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._status: StatusPublisher | None = None  # None while the project is being opened
        self._closing = ExitStack()  # what is done at the end, the last first
        self._closing.callback(self.ended.set)
        self._closing.callback(self.hub.close)
        with ExitStack() as failed:
            failed.callback(self._follow_log())
            self._lock = ProjectLock(self.paths.lock, self._lose_lock)
            self._closing.push(failed.pop_all())
        self._closing.callback(log.info, "stopped")
        self._closing.callback(self.alerts.close)
        self._closing.callback(self._lock.release)
        opened: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._run, args=(config, write_config, opened), name="core"
        )
        self._thread.start()
        opened.result()

    def ask(self, work: Callable[[], Answer]) -> Answer:
        """Have work done in the engine's thread, and wait for its result.

        Raises
        ------
        EngineError
            When the engine is ending, or busy for too long. Other errors are those of the work.
        """
        if self.stopping:
            raise EngineError("the engine is stopping")
        request = Request(work)
        self._inbox.put(request)
        try:
            return request.answer.result(ANSWER_S)
        except TimeoutError as problem:
            if request.answer.done():
                raise
            raise EngineError("the engine is busy with a slow file system") from problem

    def stop(self) -> None:
        """End; returns when the project is closed, or immediately when called in its own thread."""
        self.stopping = True
        self._inbox.put(Stop())
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def known_detail(self, name: str) -> KnownDetail:
        """What is known of an item without reading files. Raises KeyError when it is unknown."""
        (entry,) = self.items.named([name])
        return self.items.table.known_detail(entry)

    def forecast_inputs(self) -> ForecastInputs:
        """What the effect of other settings is worked out from, in another thread."""
        places = self.dispatcher.places
        return ForecastInputs(
            self.settings.config,
            list(self.items.table.entries.values()),
            self.items.table.target,
            self.dispatcher.rates.seconds_per_stage(),
            len(places) - len(places.problems) if places else 1,
        )

    def set_paused(self, paused: bool) -> None:
        """Begin no further items, or go on."""
        self.dispatcher.paused = paused
        if not paused:
            self._workers.wake()
        log.info("paused" if paused else "running")
        self.publish()

    def publish(self) -> None:
        """Send the status to the viewers, if it changed."""
        if self._status is None:
            return
        self._status.publish(
            self.settings.config.input.folder,
            self._watch.mode,
            stopping=self.stopping,
            problem=self.problem,
            notices=self.alerts.alerts.unseen,
            exports=self.exports.records(),
            training=self.training.status(),
        )

    def _run(self, config: Config, write_config: WriteConfig | None, opened: Future[None]) -> None:
        with self._closing:
            try:
                self._open(config, write_config)
            except BaseException as problem:  # noqa: BLE001 - the constructor raises it
                self._closing.close()
                opened.set_exception(problem)
                return
            opened.set_result(None)
            try:
                self._loop()
            except Exception as problem:
                self.problem = f"the engine failed: {type(problem).__name__}: {problem}"
                log.critical("%s", self.problem, exc_info=True)
                self.alerts.alerts.died(self.problem)
                self._apply_alerts()

    def _open(self, config: Config, write_config: WriteConfig | None) -> None:
        self.alerts.restore()
        if self._lock.taken_from is not None:
            log.warning("took over the project from %s, which is gone", self._lock.taken_from)
            self.alerts.alerts.died(f"the engine before this one died ({self._lock.taken_from})")
        opening.remove_leftovers(self.project)
        self.store = Store(self.paths)
        self._closing.callback(self.store.close)
        self._closing.callback(ChoiceWriter(self.store).close)
        files = ReferenceFiles(self.project, config)
        references, problem = files.look()
        self._watch = InputWatch(self.project, self.store.cached_fingerprint, self._inbox.put)
        with opening.without_collections():
            target = Target.of(config, references, self.stages)
            table = opening.load_table(self.paths, self.store, target)
            self.items = ItemService(table, self.store, self.hub, self.project, self._watch.recheck)
            self.dispatcher = Dispatcher(
                self.items,
                self.project,
                self._watch.recheck,
                self._watch.suspect,
                self.alerts.alerts,
            )
            self._workers = Workers(self.paths, self.dispatcher, self._inbox.put)
            self._live = LiveListService(self.paths, self.items, self.store.load)
            self.settings = SettingsControl(
                self.paths, config, self.stages, write_config, files,
                dispatcher=self.dispatcher, watch=self._watch, workers=self._workers,
                live=self._live, alerts=self.alerts, publish=self.publish,
                publish_counts=self._publish_counts,
            )  # fmt: skip
            self.settings.hold(problem)
            opening.judge_loaded(self.dispatcher)
        self.exports = ExportControl(
            self.paths, self.hub, self.items, self.store, self.settings, self._live
        )
        self._closing.callback(self.exports.close)
        self._closing.callback(self._live.close)
        self.training = TrainingControl(
            self.paths, self.items, self.settings, self._workers, self._inbox.put, self.publish
        )
        self._status = StatusPublisher(self.project, self.dispatcher, self.hub)
        self._closing.callback(self._end_work)
        self._closing.callback(self._watch.stop)
        self._next_references = time.monotonic() + REFERENCES_S
        self._live.apply(config)
        self._workers.start(config)
        self._watch.restart(config.input, table.entries.values())
        self.publish()
        log.info("watching %s with %d known items", config.input.folder, len(table.entries))

    def _loop(self) -> None:
        next_tick = 0.0
        while not self.stopping:
            with suppress(queue.Empty):
                self._take(self._inbox.get(timeout=max(0.0, next_tick - time.monotonic())))
                while time.monotonic() < next_tick:
                    self._take(self._inbox.get_nowait())
            self.dispatcher.dispatch()
            if time.monotonic() >= next_tick:
                self._tick()
                next_tick = time.monotonic() + TICK_S

    def _take(self, message: Message) -> None:
        match message:
            case Stop():
                self.stopping = True
            case Request():
                message.carry_out()
            case TrainerMessage():
                self.training.take(message)
            case ExecutorMessage() | Sightings():
                self._take_news(message)

    def _take_news(self, news: ExecutorMessage | Sightings) -> None:
        """Act on what workers or the watch of the input folder say about items."""
        try:
            if isinstance(news, Sightings):
                if news.watch == self._watch.number:
                    self.items.see(news.found)
            else:
                self._workers.take(news)
        except Exception:  # one item's trouble must not end the work on the others
            log.exception("a mistake in the program: please report it with these lines")

    def _tick(self) -> None:
        now = time.monotonic()
        self._workers.check()
        if now >= self._next_references:
            self._next_references = now + REFERENCES_S
            self.settings.look_at_references()
        if STORAGE in self.items.holds and now >= self.dispatcher.failures.storage_retry:
            self._try_storage()
        self._apply_alerts()
        self._live.update()
        self.publish()

    def _apply_alerts(self) -> None:
        free_bytes = self._status.free_bytes if self._status is not None else None
        self.alerts.look(self.dispatcher, free_bytes)

    def _try_storage(self) -> None:
        """Write a little: only the next item proves that there is room for its results."""
        probe = self.paths.lock.with_name(f"probe.{os.getpid()}{TEMPORARY_SUFFIX}")
        if problem := filesystem.try_writing(probe):
            self.dispatcher.failures.storage_retry = time.monotonic() + STORAGE_RETRY_S
            log.debug("still no room: %s", problem)
            return
        log.info("there is room again: processing goes on")
        self.items.holds.pop(STORAGE, None)

    def _publish_counts(self) -> None:
        """Have the counts sent before anything else is done: thousands of rows may follow."""
        if self._status is not None:
            self._status.recount()
        self.publish()
        time.sleep(SENDING_S)

    def _follow_log(self) -> Callable[[], None]:
        """Have the program's log sent to the viewers; call the result to end that."""
        lines, program = LogLines(self.hub, self.paths.log), logging.getLogger("warptui")
        program.addHandler(lines)
        return lambda: program.removeHandler(lines)

    def _lose_lock(self, reason: str) -> None:
        """End, since another engine holds the project. Called in the lock's thread."""
        self.problem = f"{reason}: this engine ends"
        log.critical("%s", self.problem)
        self.stopping = True
        self._inbox.put(Stop())

    def _end_work(self) -> None:
        """Store the results that workers have sent already, then end the workers."""
        self.dispatcher.paused = True
        self._drain()
        self._workers.stop()
        self.dispatcher.trials.close()
        self.training.close()
        self.publish()

    def _drain(self) -> None:
        until = time.monotonic() + DRAIN_S
        with suppress(queue.Empty):
            while time.monotonic() < until:
                message = self._inbox.get_nowait()
                if isinstance(message, ExecutorMessage) and not message.loses_place:
                    self._take_news(message)
                elif isinstance(message, Request):
                    message.answer.set_exception(EngineError("the engine is stopping"))
