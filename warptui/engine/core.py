"""The engine's works: opened, turned and closed in one thread, from one queue.

The door to them is `engine.session.Session`.
"""

from __future__ import annotations

import gc
import logging
import os
import queue
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from warptui.engine.alerts.service import Herald
from warptui.engine.api.event_hub import Broadcast
from warptui.engine.api.log_lines import LogLines
from warptui.engine.api.status import Vitals
from warptui.engine.config.settings import Changes, Config, ReadConfig, WriteConfig
from warptui.engine.errors import EngineError, WarptuiError
from warptui.engine.execution.dispatcher import Dispatcher
from warptui.engine.execution.executor import ExecutorMessage
from warptui.engine.execution.failures import STORAGE
from warptui.engine.execution.local_pool import LocalPool
from warptui.engine.execution.trainer import HOLD, Trainer, TrainerMessage
from warptui.engine.exporters.base import by_settings, kind_of, settled, target_of
from warptui.engine.exporters.report import Facts
from warptui.engine.exporting.jobs import Exports
from warptui.engine.exporting.live_lists import LiveLists
from warptui.engine.formats.writing import TEMPORARY_SUFFIX
from warptui.engine.items.picks import read_marks
from warptui.engine.items.service import Register
from warptui.engine.items.table import Roster
from warptui.engine.model.detail import ItemDetail
from warptui.engine.model.exports import ExportRequest
from warptui.engine.model.item import root_name_of
from warptui.engine.model.item_columns import Columns
from warptui.engine.model.status import EngineStatus
from warptui.engine.model.training import TrainingStatus
from warptui.engine.planning.references import ReferenceFiles
from warptui.engine.planning.target import Wanted, as_json
from warptui.engine.project import filesystem
from warptui.engine.project.lock import ProjectLock
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.project.store import Store
from warptui.engine.project.temporary_files import PRODUCT_FOLDERS, find_leftovers
from warptui.engine.stages.base import Stage
from warptui.engine.training import models
from warptui.engine.training.request import used_model
from warptui.engine.training.task import Task
from warptui.engine.watching.scanner import (
    FolderWatch,
    Patterns,
    Sighting,
    inspect_movie,
    never_movies,
)
from warptui.engine.watching.thread import Lookout
from warptui.engine.worker.devices import cpu_count, plan_slots
from warptui.engine.worker.loading import load_stages
from warptui.engine.worker.roots import Roots

log = logging.getLogger(__name__)

LIGHT = ("filters", "alerts", "keys", "training", "export")  # settings that change no result
TICK_S = 0.25
SENDING_S = 0.005  # for the threads that send to viewers, which else share the interpreter with us
REFERENCES_S = 5.0  # between looks at the gain reference
STOP_GRACE_S = 3.0  # for a worker to unwind
MANY = 1000  # items; what is remembered of 20,000 takes 0.2 s to look through for garbage


class Works:
    """Lock, store, watch, items and dispatcher of one project folder, in a thread of their own."""

    def __init__(
        self,
        project: Path,
        read_config: ReadConfig,
        write_config: WriteConfig | None = None,
        *,
        stages: tuple[Stage, ...] | None = None,
    ) -> None:
        self.project = project.resolve()
        self.ended = threading.Event()
        self.problem = ""  # why it ended by itself
        self._read_config, self._write_config = read_config, write_config
        self._stages = load_stages() if stages is None else stages
        self._config = read_config(self.project)
        self._paths = ProjectPaths(self.project)
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._stopping = False
        self._lookout: Lookout | None = None
        self._herald = Herald(self.project, self._config.alerts)
        self._broadcast = Broadcast(
            EngineStatus("starting", str(self.project), self._config.input.folder, pid=os.getpid())
        )
        self._log_lines = LogLines(self._broadcast, self._paths.log)
        logging.getLogger("warptui").addHandler(self._log_lines)
        try:
            self._lock = ProjectLock(self._paths.lock, self._lock_lost)
        except BaseException:
            logging.getLogger("warptui").removeHandler(self._log_lines)
            raise
        started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(started,), name="session")
        self._thread.start()
        started.result()

    def _run(self, started: Future[None]) -> None:
        try:
            self._open()
        except BaseException as problem:  # noqa: BLE001 - the constructor raises it
            self._close()
            started.set_exception(problem)
            return
        started.set_result(None)
        try:
            self._loop()
        except Exception as problem:
            self.problem = f"the engine failed: {type(problem).__name__}: {problem}"
            log.critical("%s", self.problem, exc_info=True)
            self._herald.alerts.died(self.problem)
            self._herald.look(self._dispatcher, self._vitals.free_bytes)
        finally:
            self._close()

    def _open(self) -> None:
        self._herald.restore()
        if self._lock.taken_from is not None:
            log.warning("took over the project from %s, which is gone", self._lock.taken_from)
            self._herald.alerts.died(f"the engine before this one died ({self._lock.taken_from})")
        for leftover in find_leftovers(self.project):
            log.info("removing %s, left behind by a crash", leftover)
            with suppress(OSError):
                leftover.unlink()
        self._store = Store(self._paths)
        self._exports = Exports(self._paths, self._store.load)
        self._reference_files = ReferenceFiles(self.project, self._config)
        references, problem = self._reference_files.look()
        wanted = Wanted.of(self._config, references, self._stages)
        roster = Roster(self._paths, wanted)
        with _loading():
            roster.adopt(self._store.load_all().values())
            roster.marks = read_marks(self._paths)
            for problem in (mark.problem for mark in roster.marks.values() if mark.problem):
                log.warning("%s", problem)
            self._items = Register(
                roster, self._store, self._broadcast, self.project, self._recheck
            )
            self._dispatcher = Dispatcher(
                self._items, self.project, self._recheck, self._suspect, self._herald.alerts
            )
            now = time.time()
            ages = (now - finished for finished in roster.finished_at())
            self._dispatcher.rates.restore(time.monotonic(), ages)
            if problem:
                self._items.holds["references"] = problem
            self._items.judge_all()
            self._items.catch_up_all()
            if len(roster.entries) >= MANY:
                gc.freeze()  # else each collection would hold the engine up to look at them all
        self._trainer = Trainer(self._paths, self._inbox.put)
        if self._trainer.status is not None and self._trainer.status.phase == "failed":
            log.warning("%s", self._trainer.status.message)
        self._vitals = Vitals(self.project, self._dispatcher, self._broadcast, self._stages)
        self._next_references = time.monotonic() + REFERENCES_S
        self._live = LiveLists(self._paths, self._items, self._store.load)
        self._live.apply(self._config)
        self._new_executor()
        self._new_lookout()
        self._publish_status()
        log.info("watching %s with %d known items", self._config.input.folder, len(roster.entries))

    def _new_executor(self) -> None:
        plans, note = plan_slots(self._config.compute)
        if note:
            log.warning("%s", note)
        roots = Roots(self.project, self._input_folder)
        pool = LocalPool(plans, roots, self._paths.worker_logs, self._inbox.put)
        self._dispatcher.use(pool, roots)
        pool.start()

    def _new_lookout(self) -> None:
        if self._lookout is not None:
            self._lookout.stop()
        settings = self._config.input
        folder = self._input_folder
        entries = self._items.roster.entries.values()
        watch = FolderWatch(
            folder,
            Patterns(
                settings.pattern, never_movies((settings.gain, settings.defects), self.project)
            ),
            settings.settle_seconds,
            inspect=inspect_movie,
            fingerprint=self._store.cached_fingerprint,
            recursive=settings.recursive,
            skip=frozenset(self.project / name for name in PRODUCT_FOLDERS),
            known={
                entry.path: entry.fingerprint
                for entry in entries
                if entry.fingerprint and not entry.refused
            },
        )
        self._lookout = Lookout(watch, settings.poll_seconds, self._inbox.put)
        for entry in entries:
            if entry.stored.failure is not None:
                self._lookout.suspect(entry.path)
        self._lookout.start()

    @property
    def _input_folder(self) -> Path:
        return (self.project / self._config.input.folder).absolute()

    def _loop(self) -> None:
        next_tick = 0.0
        while not self._stopping:
            with suppress(queue.Empty):
                self._take(self._inbox.get(timeout=max(0.0, next_tick - time.monotonic())))
                while time.monotonic() < next_tick:
                    self._take(self._inbox.get_nowait())
            self._dispatcher.dispatch()
            if time.monotonic() >= next_tick:
                self._tick()
                next_tick = time.monotonic() + TICK_S

    def _take(self, message: Any) -> None:
        match message:
            case None:
                self._stopping = True
            case ExecutorMessage() | list():
                self._note(message)
            case TrainerMessage():
                if self._trainer.take(message):
                    self._training_over()
                self._publish_status()
            case (request, Future() as answer):
                try:
                    answer.set_result(request())
                except Exception as problem:  # noqa: BLE001 - whoever asked gets it
                    answer.set_exception(problem)

    def _note(self, message: ExecutorMessage | list[Sighting]) -> None:
        try:
            match message:
                case ExecutorMessage() if self._dispatcher.executor is not None:
                    for event in self._dispatcher.executor.take(message):
                        self._dispatcher.take(event)
                case list():
                    self._items.see(message)
        except Exception:  # one item's trouble must not end the work on the others
            log.exception("a mistake in the program: please report it with these lines")

    def _tick(self) -> None:
        now = time.monotonic()
        if self._dispatcher.executor is not None:
            self._dispatcher.executor.check()
        if now >= self._next_references:
            self._next_references = now + REFERENCES_S
            self._look_at_references()
        if STORAGE in self._items.holds and now >= self._dispatcher.failures.storage_retry:
            self._try_storage()
        self._herald.look(self._dispatcher, self._vitals.free_bytes)
        self._live.tell()
        self._publish_status()

    def _look_at_references(self) -> None:
        references, problem = self._reference_files.look()
        if problem and self._items.holds.get("references") != problem:
            log.warning("%s", problem)
        if problem:
            self._items.holds["references"] = problem
            return
        self._items.holds.pop("references", None)
        if references != self._items.roster.wanted.references:
            log.info("a reference file changed")
            self._items.roster.wanted = Wanted.of(self._config, references, self._stages)
            self._items.judge_all()

    def _try_storage(self) -> None:
        """Write a little: only the next item proves that there is room for its results."""
        probe = self._paths.lock.with_name(f"probe.{os.getpid()}{TEMPORARY_SUFFIX}")
        if problem := filesystem.try_writing(probe):
            self._dispatcher.failures.storage_retry = time.monotonic() + 2.0
            log.debug("still no room: %s", problem)
            return
        log.info("there is room again: processing goes on")
        self._items.holds.pop(STORAGE, None)

    def _publish_status(self) -> None:
        self._vitals.publish(
            self._config.input.folder,
            self._lookout.mode if self._lookout else "",
            stopping=self._stopping,
            problem=self.problem,
            notices=self._herald.alerts.unseen,
            exports=(*self._live.look(), *self._exports.look()),
            training=self._training(),
        )

    def _publish_fresh(self) -> None:
        """Have the counts sent before anything else is done: thousands of rows may follow."""
        self._vitals.recount()
        self._publish_status()
        time.sleep(SENDING_S)

    def _set_paused(self, paused: bool) -> None:
        self._dispatcher.paused = paused
        if not paused and self._dispatcher.executor is not None:
            self._dispatcher.executor.start()
        log.info("paused" if paused else "running")
        self._publish_status()

    def _detail(self, name: str) -> ItemDetail:
        entry = self._items.roster.entries.get(name)
        if entry is None:
            raise KeyError(f"no item is called {name!r}")
        return self._items.roster.detail(entry, self._store.load(name))

    def _export(self, request: ExportRequest) -> str:
        kind, target = kind_of(request).given(self._facts), target_of(request, self._paths)
        request = by_settings(request, self._config.export)
        names = self._items.asked_for(settled(request))
        optics = self._config.optics.model_dump()
        return self._exports.begin(kind, request, target, names, optics)

    def _facts(self) -> Facts:
        """What a report tells of, in any thread."""
        return Facts(
            self._paths,
            Columns(self._broadcast.rows()),
            self._broadcast.status(),
            as_json(self._config, self._stages),
            as_json(Config(), self._stages),
            time.time(),
        )

    def _root_names(self) -> dict[str, str]:
        """The items' names by the root names of their files."""
        return {root_name_of(name): name for name in self._items.roster.entries}

    def _training_place(self) -> tuple[str, int]:
        """The device to train on, and how many threads: workers do nothing meanwhile."""
        device = next((place.device for place in self._dispatcher.places), "cpu")
        return device, self._config.compute.threads or cpu_count()

    def _discard_model(self, name: str) -> None:
        used, running = used_model(self._config), self._trainer.running
        models.discard(self._paths, name, used, running)
        if self._trainer.status is not None and self._trainer.status.model == name:
            self._trainer.status = None
        log.info("model %s was discarded", name)
        self._publish_status()

    def _train(self, task: Task) -> str:
        self._trainer.begin(task)
        self._items.holds[HOLD] = (
            f"BoxNet is being trained ({task.request.model}): processing waits until it is done"
        )
        self._publish_status()
        return task.request.model

    def _training_over(self) -> None:
        """Processing goes on, with the new model if that was asked for."""
        self._items.holds.pop(HOLD, None)
        task, status = self._trainer.task, self._trainer.status
        if task is None or status is None or status.phase != "done" or not task.request.use:
            return
        try:
            self._change({"picking": {"model": status.model}})
        except WarptuiError as problem:
            log.error("%s is ready, but it could not be put to use: %s", status.model, problem)

    def _training(self) -> TrainingStatus | None:
        status = self._trainer.status
        return status and replace(status, used=status.model == used_model(self._config))

    def _change(self, changes: Changes) -> None:
        if self._write_config is None:
            raise EngineError("this engine was started without a way to write config.toml")
        self._apply(self._write_config(self.project, changes))

    def _apply(self, config: Config) -> None:
        before, self._config = self._config, config
        self._dispatcher.settings_version += 1
        self._herald.alerts.settings = config.alerts
        light = {name: getattr(config, name) for name in LIGHT}
        if config == before.model_copy(update=light):
            self._items.roster.wanted = self._items.roster.wanted.with_filters(config)
            if config.filters != before.filters:
                self._items.reselect_all(self._publish_fresh)
            self._live.apply(config)
            self._publish_status()
            log.info("settings applied")
            return
        self._reference_files = ReferenceFiles(self.project, config)
        references, problem = self._reference_files.look()
        self._items.holds.pop("references", None)
        if problem:
            self._items.holds["references"] = problem
        self._items.roster.wanted = Wanted.of(config, references, self._stages)
        moved = config.input.folder != before.input.folder  # jobs name raw files from there
        if (moved or config.compute != before.compute) and self._dispatcher.executor is not None:
            self._dispatcher.executor.close(STOP_GRACE_S)
            self._new_executor()
            self._dispatcher.requeue_running()
        if config.input != before.input:
            self._new_lookout()
        self._items.judge_all()
        self._live.apply(config)
        self._publish_status()
        log.info("settings applied")

    def _recheck(self, path: Path) -> None:
        if self._lookout is not None:
            self._lookout.recheck(path)

    def _suspect(self, path: Path) -> None:
        if self._lookout is not None:
            self._lookout.suspect(path)

    def _lock_lost(self, reason: str) -> None:
        self.problem = f"{reason}: this engine ends"
        log.critical("%s", self.problem)
        self._stopping = True
        self._inbox.put(None)

    def _close(self) -> None:
        """Keep what workers have said already, then end them."""
        if self._lookout is not None:
            self._lookout.stop()
        if hasattr(self, "_vitals"):
            self._dispatcher.paused = True
            self._drain()
            if self._dispatcher.executor is not None:
                self._dispatcher.executor.close(STOP_GRACE_S)
            self._dispatcher.trials.close()
            self._trainer.close()
            self._publish_status()
        if hasattr(self, "_live"):
            self._live.close()
        if hasattr(self, "_store"):
            self._exports.close()
            self._store.close()
        self._lock.release()
        self._herald.close()
        log.info("stopped")
        logging.getLogger("warptui").removeHandler(self._log_lines)
        self._broadcast.close()
        self.ended.set()

    def _drain(self) -> None:
        until = time.monotonic() + 1.0
        with suppress(queue.Empty):
            while time.monotonic() < until:
                message = self._inbox.get_nowait()
                if isinstance(message, ExecutorMessage) and not message.loses_place:
                    self._note(message)
                elif isinstance(message, tuple):
                    message[1].set_exception(EngineError("the engine is stopping"))


@contextmanager
def _loading() -> Iterator[None]:
    """Without collections: they go through what is loaded so far again and again, half the time."""
    gc.collect()  # what is garbage now would be kept by `gc.freeze`
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
