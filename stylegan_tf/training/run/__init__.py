"""A run: its loop, state, checkpoints and how it resumes."""
