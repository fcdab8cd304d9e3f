"""The whole chain on a CUDA device and on the CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_every_stage_finds_the_same_on_a_gpu(tmp_path: Path) -> None:
    command = [sys.executable, "benchmarks/gpu.py", "--movies", "small", "--repeats", "1"]
    done = subprocess.run(
        [*command, "--workers", "--folder", str(tmp_path)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((tmp_path / "gpu.json").read_text())["exceeded"] == []
