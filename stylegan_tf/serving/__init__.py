"""Exports: SavedModels that TensorFlow Serving and other readers take without this package."""
