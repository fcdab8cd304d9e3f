"""The made-up movie touches everything that a real one will."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from warptui.engine.stages.registry import STAGES
from warptui.engine.worker import warm_up


@pytest.mark.slow
def test_all_stages_run_on_it_and_local_motion_is_fitted(monkeypatch, tmp_path: Path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    results = []

    def watched(stage):
        def run(*arguments):
            results.append(stage.run(*arguments))
            return results[-1]

        return stage._replace(run=run)

    monkeypatch.setattr(warm_up, "STAGES", tuple(watched(stage) for stage in STAGES))
    assert warm_up.warm_up("cpu", 1) > 0
    assert len(results) == len(STAGES)
    assert results[0].local_used and results[0].confidence > 0.99
    assert "torch.optim" in sys.modules
    assert not list(tmp_path.glob("warptui-*")), "nothing is left behind"
