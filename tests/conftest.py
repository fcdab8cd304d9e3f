"""What every test may ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the reference data; its tests are skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the reference data folder is not beside this checkout")
    return SHARED_DATA
