"""What all items are to be brought into accord with: settings, references, limits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from warptui.engine.config.settings import Config
from warptui.engine.model.item import Movie
from warptui.engine.model.summary import Summary
from warptui.engine.planning.limits import Limit, limits
from warptui.engine.planning.plan import References, Target, wanted_hash
from warptui.engine.stages.base import Stage


@dataclass(frozen=True)
class Wanted:
    """What every item is to be brought into accord with."""

    config: Config
    references: References
    stages: tuple[Stage, ...]
    digest: str  # of all that can change a result
    enabled: frozenset[str]  # names of the stages that movies go through
    limits: tuple[Limit, ...] = ()  # of [filters], on values of enabled stages
    judged: tuple[tuple[str, str], ...] = ()  # stage and field of what each limit judges

    @cached_property
    def target(self) -> Target:
        """What items are compared with."""
        return Target(self.config, self.references, stages=self.stages)

    @cached_property
    def limit_of(self) -> dict[tuple[str, str], Limit]:
        """The limits by what they judge."""
        return dict(zip(self.judged, self.limits, strict=True))

    @classmethod
    def of(cls, config: Config, references: References, stages: tuple[Stage, ...]) -> Wanted:
        """Settings and references, with their digest."""
        enabled = frozenset(
            stage.name
            for stage in stages
            if stage.kind is Movie and config.stage(stage.name).enabled
        )
        values = summaries(tuple(stage for stage in stages if stage.name in enabled))
        found = limits(values, config.filters.limits())
        return cls(
            config,
            references,
            stages,
            wanted_hash(config, references, stages),
            enabled,
            found,
            tuple(stage_and_field(limit.key) for limit in found),
        )

    def with_filters(self, config: Config) -> Wanted:
        """The same with the limits of ``config``, which differs in nothing else."""
        return Wanted.of(config, self.references, self.stages)


def summaries(stages: Sequence[Stage]) -> tuple[Summary, ...]:
    """The values that stages declare for lists and plots, the minor ones last."""
    return _minor_last(entry for stage in stages for entry in stage.summaries())


def told(wanted: Wanted) -> tuple[Summary, ...]:
    """The same without those that tell nothing with the present settings.

    That a value of a stage that is off is unknown would be told of every item.
    """
    names = wanted.enabled
    stages = ((s, wanted.config.stage(s.name)) for s in wanted.stages if s.name in names)
    return _minor_last(entry for stage, own in stages for entry in stage.told_with(own))


def _minor_last(found: Iterable[Summary]) -> tuple[Summary, ...]:
    return tuple(sorted(found, key=lambda entry: entry.minor))


def stage_and_field(key: str) -> tuple[str, str]:
    """Name of the stage and of the result's field that a summary's key is of."""
    stage, _, field = key.partition(".")
    return stage, field


def as_json(config: Config, stages: Sequence[Stage]) -> dict[str, Any]:
    """All settings as JSON values, with the stages' sections at the top as in config.toml."""
    values = config.model_dump(mode="json", exclude={"stages"}, exclude_none=True)
    for stage in stages:
        values[stage.name] = config.stage(stage.name).model_dump(mode="json")
    return values
