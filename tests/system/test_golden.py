"""The reference session gives the products of the golden file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system import product_digests
from tests.system.golden_session import GOLDEN, read_session, session

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]  # on a busy machine, too


@pytest.fixture(scope="module")
def processed() -> Iterator[tuple[Path, dict[str, Any]]]:
    with session() as folder:
        yield folder, read_session(folder)


def test_every_product_is_as_in_the_golden_file(
    processed: tuple[Path, dict[str, Any]],
) -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert product_digests.compare(processed[1], golden) == []
