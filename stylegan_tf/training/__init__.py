"""Training: state, steps, the loop around them, and what is written as it goes."""
