"""All stages, in processing order."""

from __future__ import annotations

from warptui.engine.stages.added import added_modules
from warptui.engine.stages.base import Role, Stage
from warptui.engine.stages.movie import average, ctf, motion, particles, picking

STAGES: tuple[Stage, ...] = (
    motion.STAGE,
    average.STAGE,
    ctf.STAGE,
    picking.STAGE,
    particles.STAGE,
    *(module.STAGE for module in added_modules()),
)


def field_of(role: Role) -> tuple[str, str]:
    """Stage and field of the value with this role. Raises LookupError if no stage declares it."""
    for stage in STAGES:
        if role in (roles := stage.roles()):
            return stage.name, roles[role]
    raise LookupError(f"no stage declares a value with the role {role}")


def key_of(role: Role) -> str:
    """The same as a summary's key: "motion.early_motion"."""
    return ".".join(field_of(role))
