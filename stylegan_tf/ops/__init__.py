"""Functions on tensors: resampling and normalisation."""
