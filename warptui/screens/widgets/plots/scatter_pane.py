"""The place of the scatter plot: two values, or the astigmatism with the mean |CTF| beside it."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import Container

from warptui.screens.widgets.plots.astigmatism_plot import AXIS_WIDTH, AstigmatismPlot
from warptui.screens.widgets.plots.ctf_plot import CtfPlot
from warptui.screens.widgets.plots.scatter_plot import ScatterPlot

LEAST_BESIDE = 24  # columns of the curve where it stands beside the plot
FLATTEST = 1.3  # columns a row below which the plot beside it would be too narrow
BELOW_SHARE = 4  # of the height is the curve's where it stands below
LEAST_BELOW, MOST_BELOW = 5, 12  # rows


class ScatterPane(Container):
    """Shows one of the two; arranges the second by the room that there is."""

    ALLOW_MAXIMIZE = True

    def compose(self) -> ComposeResult:
        yield ScatterPlot()
        yield AstigmatismPlot()
        yield CtfPlot()

    def on_mount(self) -> None:
        for plot in (self.values, self.astigmatism, self.ctf):
            plot.display = False  # until there is something to show

    @property
    def values(self) -> ScatterPlot:
        """One value over another."""
        return self.query_one(ScatterPlot)

    @property
    def astigmatism(self) -> AstigmatismPlot:
        """The astigmatism of all items."""
        return self.query_one(AstigmatismPlot)

    @property
    def ctf(self) -> CtfPlot:
        """The mean |CTF|."""
        return self.query_one(CtfPlot)

    @property
    def shown(self) -> ScatterPlot | AstigmatismPlot:
        """The plot that takes keys."""
        return self.astigmatism if self.astigmatism.display else self.values

    def choose(self, *, astigmatism: bool) -> None:
        """Show the astigmatism, or two values."""
        self.astigmatism.display = self.ctf.display = astigmatism
        self.values.display = not astigmatism

    def on_resize(self, event: events.Resize) -> None:
        width, height = event.size
        beside = width - LEAST_BESIDE >= FLATTEST * height + AXIS_WIDTH
        self.styles.layout = "horizontal" if beside else "vertical"
        plot, curve = self.astigmatism.styles, self.ctf.styles
        if beside:
            square = 2 * max(height - 2, 1) + AXIS_WIDTH
            plot.width, plot.height = min(square, width - LEAST_BESIDE), "100%"
            curve.width, curve.height = "1fr", "100%"
        else:
            plot.width, plot.height = "100%", "1fr"
            curve.width = "100%"
            curve.height = min(max(height // BELOW_SHARE, LEAST_BELOW), MOST_BELOW)
