"""What the status says of numbers that never stand still."""

from __future__ import annotations

from warptui.engine.api.status import Trend


def test_a_trend_is_news_only_when_it_moved_enough() -> None:
    rate = Trend(0)
    assert rate.shown(None) is None
    assert [rate.shown(value) for value in (312.4, 311.0, 305.0, 302.0, 299.0)] == [
        312.0, 312.0, 312.0, 302.0, 302.0,
    ]  # fmt: skip
    assert rate.shown(None) is None
    assert [rate.shown(value) for value in (0.0, 0.0, 4.2)] == [0.0, 0.0, 4.0]
