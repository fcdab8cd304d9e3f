"""Runs the stages of a job in this process; every outcome is reported, none is raised."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from warptui.engine.errors import WarptuiError
from warptui.engine.model.item import Item
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.project.store import fingerprint as calculate_fingerprint
from warptui.engine.worker.classify import classify, loses_device
from warptui.engine.worker.fault_injection import crash_point
from warptui.engine.worker.loading import load_bench, load_stages, load_trial_bench
from warptui.engine.worker.protocol import FailureKind, Job, decode_config
from warptui.engine.worker.roots import Roots

PROGRESS_S = 0.2  # progress is not reported more often


class Report(Protocol):
    """Takes an answer of `warptui.engine.worker.protocol`."""

    def __call__(self, kind: str, /, **values: Any) -> None: ...


@dataclass
class JobRunner:
    """Runs jobs on one device.

    ``stop`` is called with a job's number at each progress call, and raises Cancelled when the job
    must end; ``note`` writes to the log.
    """

    roots: Roots
    device: str
    threads: int
    report: Report
    stop: Callable[[int], None]
    note: Callable[[str], None]

    def run(self, job: Job) -> bool:
        """Run the stages of ``job``; whether this process is fit for another job."""
        run = _Run(self, job)
        try:
            run.stages()
        except Exception as problem:  # noqa: BLE001 - the one place where any failure becomes a record
            kind, reason = classify(problem, run.path, self.roots.project)
            text = traceback.format_exc()
            self.note(text)
            fit = not loses_device(problem)
            run.fail(
                kind, reason, "" if isinstance(problem, WarptuiError) else text, leaves=not fit
            )
            return fit
        return True


class _Run:
    """One job that runs."""

    def __init__(self, runner: JobRunner, job: Job) -> None:
        self._runner, self._job, self._report = runner, job, runner.report
        self.path: Path = runner.roots.absolute(job.raw)
        self._stage = ""
        self._fingerprint = ""
        self._reported_at = 0.0

    def stages(self) -> None:
        """Run all stages. Raises whatever a stage raises."""
        if self._job.trial:  # a replaced raw file makes nothing wrong that is kept
            self._run_stages()
        else:
            self._fingerprint = calculate_fingerprint(self.path)
            self._run_stages()
            if calculate_fingerprint(self.path) != self._fingerprint:
                reason = "the raw file changed while it was processed"
                self.fail(FailureKind.CHANGED, reason, "")
                return
        self._report("done", fingerprint=self._fingerprint)

    def fail(self, kind: FailureKind, reason: str, text: str, *, leaves: bool = False) -> None:
        """Report that the job failed."""
        self._report(
            "failed",
            stage=self._stage,
            kind=kind,
            reason=reason,
            traceback=text,
            fingerprint=self._fingerprint,
            leaves=leaves,
        )

    def _run_stages(self) -> None:
        job, stages = self._job, load_stages()
        config = decode_config(job.config, stages)
        with self._bench(config) as bench:
            for stage in stages:
                if stage.name in job.results:
                    bench.results[stage.name] = stage.Result.model_validate(job.results[stage.name])
            for stage in (stage for stage in stages if stage.name in job.stages):
                self._stage = stage.name
                crash_point(f"{stage.name}.before")
                self._report("started", stage=stage.name)
                began = time.monotonic()
                self._progress(0.0)
                result = stage.run(bench.item, bench, config.stage(stage.name))
                crash_point(f"{stage.name}.after")
                bench.results[stage.name] = result
                self._report(
                    "finished",
                    stage=stage.name,
                    result=result.model_dump(mode="json"),
                    seconds=time.monotonic() - began,
                    fingerprint=self._fingerprint,
                    **({"pictures": self._pictures(bench.pictures)} if job.trial else {}),
                )
                crash_point(f"{stage.name}.said")

    def _bench(self, config: Any) -> Any:
        runner, project = self._runner, ProjectPaths(self._runner.roots.project)
        given = (Item.movie(self.path), project, config, runner.device)
        options = {"threads": runner.threads, "on_progress": self._progress}
        if self._job.trial:
            return load_trial_bench()(*given, **options, folder=project.trial(self._job.number))
        return load_bench()(*given, **options)

    def _progress(self, fraction: float) -> None:
        self._runner.stop(self._job.number)
        now = time.monotonic()
        if now - self._reported_at >= PROGRESS_S:
            self._reported_at = now
            self._report("progress", stage=self._stage, fraction=fraction)

    def _pictures(self, pictures: dict[str, str]) -> dict[str, str]:
        """The pictures' files, relative to the project."""
        project = self._runner.roots.project
        return {
            product: Path(path).relative_to(project).as_posix()
            for product, path in pictures.items()
        }
