"""Simulated movies and micrographs with known truth, for the demo, the tests and training."""
