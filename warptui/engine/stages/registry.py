"""All stages, in processing order."""

from __future__ import annotations

from warptui.engine.stages.added import added_modules
from warptui.engine.stages.base import Stage
from warptui.engine.stages.movie import average, ctf, motion, particles, picking

STAGES: tuple[Stage, ...] = (
    motion.STAGE,
    average.STAGE,
    ctf.STAGE,
    picking.STAGE,
    particles.STAGE,
    *(module.STAGE for module in added_modules()),
)
