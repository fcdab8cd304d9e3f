"""What the item screen shows of each stage: a file a stage, and this list."""

from types import ModuleType

from warptui.engine.stages.added import added_modules
from warptui.screens.stages import average, ctf, motion, particles, picking
from warptui.screens.stages.view import StageView


def view_of(module: ModuleType) -> StageView:
    """The view that a module with a stage brings as ``view()``; without one, the default view."""
    if hasattr(module, "view"):
        return module.view()
    from warptui.screens.stages.default import default_view

    return default_view(module.STAGE)


VIEWS: tuple[StageView, ...] = (
    average.VIEW,
    motion.VIEW,
    ctf.VIEW,
    picking.VIEW,
    particles.VIEW,
    *map(view_of, added_modules()),
)
