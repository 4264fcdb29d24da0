"""The networks of the authors' code <-> ours: files, options, variable names and layouts."""
