"""Measures of a generator: FID and others of its kind, perceptual path length, linear separability."""
