"""records -> files for other programs."""
