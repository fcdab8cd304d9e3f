"""Honest movies with known truth: for the demo, the tests and training."""
