"""What the item screen shows of each stage: a file a stage, and this list."""

from warptui.screens.stages import average, ctf, motion, particles, picking
from warptui.screens.stages.view import StageView

VIEWS: tuple[StageView, ...] = (
    average.VIEW,
    motion.VIEW,
    ctf.VIEW,
    picking.VIEW,
    particles.VIEW,
)
