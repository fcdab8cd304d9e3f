"""warptui: real-time cryo-EM pre-processing in a terminal."""

__version__ = "0.1.0"
