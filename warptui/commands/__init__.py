"""The verbs of the command line, one file each: `add_parser` declares options, `run` acts."""
