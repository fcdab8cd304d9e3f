"""The scatter pane: two values, or the astigmatism with the mean |CTF| beside it."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import Container

from warptui.screens.widgets.plots.astigmatism_plot import AXIS_WIDTH, AstigmatismPlot
from warptui.screens.widgets.plots.ctf_plot import CtfPlot
from warptui.screens.widgets.plots.scatter_plot import ScatterPlot

LEAST_BESIDE = 24  # least columns of the curve beside the plot
FLATTEST = 1.3  # columns per row below which the plot beside it would be too narrow
BELOW_SHARE = 4  # share of the height for the curve below the plot
LEAST_BELOW, MOST_BELOW = 5, 12  # rows


class ScatterPane(Container):
    """Shows one of the two plots, and places the mean |CTF| where there is room."""

    ALLOW_MAXIMIZE = True

    def compose(self) -> ComposeResult:
        yield ScatterPlot()
        yield AstigmatismPlot()
        yield CtfPlot()

    def on_mount(self) -> None:
        for plot in (self.values, self.astigmatism, self.ctf):
            plot.display = False  # hidden until there are data

    @property
    def values(self) -> ScatterPlot:
        """The scatter plot of two values."""
        return self.query_one(ScatterPlot)

    @property
    def astigmatism(self) -> AstigmatismPlot:
        """The plot of astigmatism."""
        return self.query_one(AstigmatismPlot)

    @property
    def ctf(self) -> CtfPlot:
        """The plot of the mean |CTF|."""
        return self.query_one(CtfPlot)

    @property
    def shown(self) -> ScatterPlot | AstigmatismPlot:
        """The visible plot, which takes the keys."""
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
