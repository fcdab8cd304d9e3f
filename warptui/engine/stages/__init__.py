"""One processing step per file. Registration is this explicit tuple, in processing order."""

from warptui.engine.stages import average, ctf, motion, particles, picking
from warptui.engine.stages.stage import Bench, Stage, StageResult, StageSettings

STAGES: tuple[Stage, ...] = (
    motion.STAGE,
    average.STAGE,
    ctf.STAGE,
    picking.STAGE,
    particles.STAGE,
)

__all__ = ["STAGES", "Bench", "Stage", "StageResult", "StageSettings"]
