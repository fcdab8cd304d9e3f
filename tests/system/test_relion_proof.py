"""The proof with RELION, in small: one movie goes through warptui, and RELION makes a map of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("relion_reconstruct"), reason="RELION is not installed")
def test_relion_reconstructs_the_particles_of_a_movie(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable, "benchmarks/relion_proof.py", "--folder", str(tmp_path / "proof"),
            "--movies", "1", "--size", "640", "--frames", "6", "--pixel-size", "1.6",
            "--box", "128", "--sets", "flat", "--variants", "local", "--classes", "0",
            "--true-places",
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads((tmp_path / "proof" / "relion_proof.json").read_text())["sets"]["flat"]
    assert told["particles"] >= 25, told["picking"]
    assert told["written"] >= told["particles"]
    assert told["read_by"] == {"rows": told["written"], "images": told["written"]}
    local = told["variants"]["local"]
    # some thirty particles: far from what many would give, and nothing that chance could
    assert local["resolution_0143"] < 9
    assert local["correlation"] > 0.02
    assert local["relion_differs"] < 0.02
