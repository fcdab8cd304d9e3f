"""One processing step per file. Registration is this explicit tuple, in processing order."""

from warptui.engine.stages.base import Bench, Stage, StageResult, StageSettings
from warptui.engine.stages.movie import average, ctf, motion, particles, picking

STAGES: tuple[Stage, ...] = (
    motion.STAGE,
    average.STAGE,
    ctf.STAGE,
    picking.STAGE,
    particles.STAGE,
)

__all__ = ["STAGES", "Bench", "Stage", "StageResult", "StageSettings"]
