"""Two images side by side that show the same place at the same zoom."""

from __future__ import annotations

from warptui.screens.widgets.pictures.image import Image


class TwinImage(Image):
    """Shares zoom, crosshair and contrast with its twin."""

    twin: TwinImage | None = None

    def _changed(self) -> None:
        super()._changed()
        twin = self.twin
        if twin is not None and twin.looks != self.looks:
            twin.looks = self.looks

    @property
    def looks(self) -> tuple:
        """Zoom, crosshair and contrast, to copy to the twin."""
        return self._zoom, self.centre_yx, self._seen_yx, self.aiming, self._contrast

    @looks.setter
    def looks(self, looks: tuple) -> None:
        self._zoom, self.centre_yx, self._seen_yx, self.aiming, self._contrast = looks
        self._changed()
