"""Make a project, try the program, look whether all is well: `init`, `demo`, `doctor`."""
