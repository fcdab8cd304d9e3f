"""The panes, layers and values that each stage adds to the item screen: one file a stage."""

from types import ModuleType

from warptui.engine.stages.added import added_modules
from warptui.screens.stages import average, ctf, motion, particles, picking
from warptui.screens.stages.view import StageView


def view_of(module: ModuleType) -> StageView:
    """The view of a stage's module: what its ``view()`` makes, else the default view."""
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
