"""What every test may ask for."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# First calls compile kernels, and machines are shared: time says nothing about a law.
settings.register_profile("warptui", deadline=None)
settings.load_profile("warptui")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the reference data; its tests are skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the reference data folder is not beside this checkout")
    return SHARED_DATA
