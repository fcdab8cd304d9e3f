"""Training of BoxNet in a separate process: examples, curated set, loop, measurements, files."""
