"""What a run writes for people: log, statistics, event files, grids, networks."""
