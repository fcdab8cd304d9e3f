"""Finds the devices of this machine without loading a device library into this process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from warptui.engine.config.sections import ComputeSettings

PROBE_TIMEOUT_S = 120.0
PROBE = """
import json, torch
usable = []
for index in range(torch.cuda.device_count()):
    try:
        torch.ones(8, device=f"cuda:{index}").sum().item()
        usable.append(f"cuda:{index}")
    except Exception as problem:
        print(f"cuda:{index} is there, but not usable: {problem}", flush=True)
print(json.dumps(usable))
"""


@dataclass(frozen=True)
class SlotPlan:
    """A place for one worker process."""

    name: str  # unique: "cpu-0", "cuda:1-0"
    device: str
    threads: int


def find_cuda() -> tuple[list[str], str]:
    """CUDA devices on which a small sum works, and what the probe complained about."""
    if not any(Path("/dev").glob("nvidia[0-9]*")) and not Path("/dev/dxg").exists():
        return [], ""
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROBE],
            capture_output=True,
            text=True,
            timeout=PROBE_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return [], f"the GPUs did not answer within {PROBE_TIMEOUT_S:.0f} s"
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return [], (done.stderr.strip().splitlines() or ["the probe died"])[-1]
    return json.loads(lines[-1]), "; ".join(lines[:-1])


def cpu_count() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def plan_slots(compute: ComputeSettings) -> tuple[list[SlotPlan], str]:
    """The worker slots that the settings ask for, and a note on devices that cannot be used."""
    note = ""
    if compute.devices == "auto":
        devices, note = find_cuda()
        devices = devices or ["cpu"]
    elif isinstance(compute.devices, str):
        devices = [compute.devices]
    else:
        devices = list(compute.devices)
    count = len(devices) * compute.workers_per_device
    threads = compute.threads or max(1, cpu_count() // count)
    slots = [
        SlotPlan(f"{device}-{index}", device, threads)
        for index in range(compute.workers_per_device)
        for device in devices
    ]
    return slots, note
