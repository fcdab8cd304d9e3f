"""Lists and pages for others: `export`, `report`."""
