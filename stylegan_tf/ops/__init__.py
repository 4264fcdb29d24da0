"""Functions on tensors: resampling, normalisation, activation, pixels; which form of them runs, compiled or not."""
