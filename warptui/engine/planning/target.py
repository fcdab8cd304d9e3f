"""The target of planning: settings, references and limits that all items are compared with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from warptui.engine.config.settings import Config
from warptui.engine.model.item import MOVIE
from warptui.engine.model.summary import Summary
from warptui.engine.planning.limits import Limit, limits
from warptui.engine.planning.plan import Planner, References, wanted_hash
from warptui.engine.stages.base import Stage


@dataclass(frozen=True)
class Target:
    """Settings, references and limits that every item is compared with."""

    config: Config
    references: References
    stages: tuple[Stage, ...]
    digest: str  # of all that can change a result of a movie
    enabled: frozenset[str]  # names of the stages that are switched on, of all kinds of items
    limits: tuple[Limit, ...] = ()  # of [filters], on values of enabled stages
    judged: tuple[tuple[str, str], ...] = ()  # stage and field of what each limit judges

    @cached_property
    def _planners(self) -> dict[str, Planner]:
        return {}

    def planner(self, kind: str) -> Planner:
        """What items of this kind are compared with."""
        found = self._planners.get(kind)
        if found is None:
            found = Planner(self.config, self.references, kind, self.stages)
            self._planners[kind] = found
        return found

    @cached_property
    def _enabled_of(self) -> dict[str, frozenset[str]]:
        return {
            kind: frozenset(
                s.name for s in self.stages if s.kind == kind and s.name in self.enabled
            )
            for kind in (MOVIE, *(stage.kind for stage in self.stages))
        }

    def enabled_of(self, kind: str) -> frozenset[str]:
        """Names of the stages that items of this kind go through."""
        return self._enabled_of.get(kind, frozenset())

    @cached_property
    def _digests(self) -> dict[str, str]:
        return {MOVIE: self.digest}

    def digest_of(self, kind: str) -> str:
        """Names all that can change a result of an item of this kind."""
        found = self._digests.get(kind)
        if found is None:
            found = wanted_hash(self.config, self.references, self.stages, kind)
            self._digests[kind] = found
        return found

    @cached_property
    def kind_of(self) -> dict[str, str]:
        """The kind of the items that each stage works on, by the stage's name."""
        return {stage.name: stage.kind for stage in self.stages}

    @cached_property
    def _judged_of(self) -> dict[str, tuple[tuple[tuple[str, str], ...], tuple[Limit, ...]]]:
        found = {}
        for kind in (MOVIE, *(stage.kind for stage in self.stages)):
            pairs = [
                (field, limit)
                for field, limit in zip(self.judged, self.limits, strict=True)
                if self.kind_of[field[0]] == kind
            ]
            found[kind] = tuple(f for f, _ in pairs), tuple(limit for _, limit in pairs)
        return found

    def judged_of(self, kind: str) -> tuple[tuple[tuple[str, str], ...], tuple[Limit, ...]]:
        """Stage and field of what each limit judges in items of this kind, and these limits."""
        return self._judged_of.get(kind, ((), ()))

    @cached_property
    def limit_of(self) -> dict[tuple[str, str], Limit]:
        """The limits by what they judge."""
        return dict(zip(self.judged, self.limits, strict=True))

    @classmethod
    def of(cls, config: Config, references: References, stages: tuple[Stage, ...]) -> Target:
        """Settings and references, with their digest."""
        enabled = frozenset(stage.name for stage in stages if config.stage(stage.name).enabled)
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

    def with_filters(self, config: Config) -> Target:
        """The same with the limits of ``config``, which differs in nothing else."""
        return Target.of(config, self.references, self.stages)


def summaries(stages: Sequence[Stage]) -> tuple[Summary, ...]:
    """The values that stages declare for lists and plots, the minor ones last."""
    return _minor_last(entry for stage in stages for entry in stage.summaries())


def visible_summaries(wanted: Target) -> tuple[Summary, ...]:
    """The summaries that have a meaning with the present settings.

    A stage that is switched off would show an unknown value for every item.
    """
    names = wanted.enabled
    stages = ((s, wanted.config.stage(s.name)) for s in wanted.stages if s.name in names)
    return _minor_last(entry for stage, own in stages for entry in stage.visible_with(own))


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
