"""bytes <-> arrays and plain records. No torch."""
