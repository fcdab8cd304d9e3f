"""CPU seconds by test: ``--cpu-report=FILE`` writes them, the slowest first.

CPU time is that of the test's process and of the children that ended meanwhile, so a busy machine
changes it little. A child that outlives its test is counted in the test that reaps it.
"""

from __future__ import annotations

import resource
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

WRITE_EACH_S = 20.0
PHASES = ("setup", "call", "teardown")
TIERS = ("unit", "numerics", "screens", "engine", "science", "system")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("CPU seconds")
    group.addoption(
        "--cpu-report",
        metavar="FILE",
        type=Path,
        help="write the CPU seconds of every test to FILE",
    )
    group.addoption(
        "--cpu-limit",
        metavar="SECONDS",
        type=float,
        default=2.0,
        help="list tests above this that are not marked slow (default: 2)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(CpuReport(config), "warptui-cpu-report")


def cpu_seconds() -> float:
    """CPU time of this process and of its reaped children, in seconds."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def tier_of(nodeid: str) -> str:
    """The folder below ``tests/`` that a test is in; empty for a test outside the tiers."""
    parts = Path(nodeid.split("::", 1)[0]).parts
    return next((part for part in parts[:-1] if part in TIERS), "")


class TestTimes:
    """CPU seconds of one test, by phase."""

    __test__ = False

    def __init__(self, nodeid: str) -> None:
        self.nodeid = nodeid
        self.slow = False
        self.seconds: dict[str, float] = dict.fromkeys(PHASES, 0.0)

    @property
    def total(self) -> float:
        return sum(self.seconds.values())


class CpuReport:
    """Measures in every process that runs tests, collects in the one that reports."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.mark = 0.0
        self.tests: dict[str, TestTimes] = {}
        self.collecting: list[float] = []
        self.written = 0.0

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Everything until here: start of Python, imports, collection."""
        seconds = cpu_seconds()
        output: dict[str, Any] | None = getattr(self.config, "workeroutput", None)
        if output is not None:
            output["cpu_collecting"] = seconds
        elif not self._has_workers():
            self.collecting.append(seconds)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Under xdist a worker has ended."""
        seconds = getattr(node, "workeroutput", {}).get("cpu_collecting")
        if seconds is not None:
            self.collecting.append(seconds)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.mark = cpu_seconds()
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Iterator[None]:
        """A phase has ended; attributes of its report travel from the worker to the controller."""
        report: Any = yield
        now = cpu_seconds()
        report.cpu_seconds, self.mark = now - self.mark, now
        return report

    def pytest_runtest_logreport(self, report: Any) -> None:
        if hasattr(self.config, "workerinput"):
            return  # the controller sees it too
        seconds = getattr(report, "cpu_seconds", None)
        if seconds is None:
            return  # of a worker that crashed
        times = self.tests.setdefault(report.nodeid, TestTimes(report.nodeid))
        times.slow = "slow" in report.keywords
        times.seconds[report.when] += seconds
        if report.when == "teardown":
            self._write_now_and_then()

    def _write_now_and_then(self) -> None:
        """So that a run that is interrupted leaves its table."""
        path: Path | None = self.config.getoption("--cpu-report")
        if path is not None and time.monotonic() - self.written > WRITE_EACH_S:
            path.write_text(self.table())
            self.written = time.monotonic()

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        path: Path | None = self.config.getoption("--cpu-report")
        if path is not None:
            path.write_text(self.table())
            terminalreporter.write_line(f"CPU seconds of every test: {path}")
        limit: float = self.config.getoption("--cpu-limit")
        heavy = [times for times in self._sorted() if times.total > limit and not times.slow]
        if heavy:
            terminalreporter.section(f"not marked slow, above {limit:g} CPU seconds")
            for times in heavy:
                terminalreporter.write_line(f"{times.total:8.2f}  {times.nodeid}")

    def table(self) -> str:
        """One line a test, the slowest first, after the sums by tier and by file."""
        by_tier: dict[str, float] = defaultdict(float)
        by_file: dict[str, float] = defaultdict(float)
        for times in self.tests.values():
            speed = "slow" if times.slow else "quick"
            by_tier[f"{tier_of(times.nodeid) or '-'} {speed}"] += times.total
            by_file[times.nodeid.split("::", 1)[0]] += times.total
        total = sum(by_tier.values())
        lines = [
            f"{total:9.2f}  CPU seconds in {len(self.tests)} tests",
            f"{sum(self.collecting):9.2f}  to start and collect, {len(self.collecting)} processes",
            *_ordered(by_tier),
            "",
            *_ordered(by_file),
            "",
            "    total    setup     call teardown  tier      speed  test",
        ]
        for times in self._sorted():
            numbers = " ".join(f"{value:8.2f}" for value in times.seconds.values())
            speed = "slow" if times.slow else "quick"
            tier = tier_of(times.nodeid) or "-"
            lines.append(f"{times.total:9.2f} {numbers}  {tier:8}  {speed:5}  {times.nodeid}")
        return "\n".join(lines) + "\n"

    def _sorted(self) -> list[TestTimes]:
        return sorted(self.tests.values(), key=lambda times: -times.total)

    def _has_workers(self) -> bool:
        return bool(self.config.getoption("numprocesses", default=None))


def _ordered(sums: dict[str, float]) -> list[str]:
    pairs = sorted(sums.items(), key=lambda pair: -pair[1])
    return [f"{seconds:9.2f}  {name}" for name, seconds in pairs]
