"""Feature extractors and distances, and statistics of features."""
