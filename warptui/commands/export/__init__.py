"""Lists for other programs and pages to read: `export`, `report`."""
