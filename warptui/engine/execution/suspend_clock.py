"""Measures for how long the machine or this process was suspended."""

from __future__ import annotations

import time


class SuspendClock:
    """Measures for how long this process, or the whole machine, did not run.

    A suspended laptop or a stopped engine must not make all workers look hung. The boot-time clock
    goes on while the machine sleeps, and the monotonic one shows when only this process was
    stopped; after either, workers get their time again.
    """

    GAP_S = 10.0  # far more than the loop ever takes
    GRACE_S = 60.0  # after a sleep, for disks and GPUs to wake up

    def __init__(self) -> None:
        self._monotonic = 0.0
        self._boot = 0.0

    def missed(self, monotonic: float, boot: float) -> float:
        """Seconds since the last call that do not count, given both clocks now."""
        passed = monotonic - self._monotonic
        slept = (boot - self._boot) - passed
        first = self._monotonic == 0.0
        self._monotonic, self._boot = monotonic, boot
        if first:
            return 0.0
        missed = passed if passed > self.GAP_S else 0.0
        return missed + self.GRACE_S if slept > self.GAP_S else missed


def boot_clock() -> float:
    """Seconds since boot, sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
