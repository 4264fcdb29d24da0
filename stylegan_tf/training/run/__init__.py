"""A run: its setup, initial networks, loop, checkpoints and record, and how it resumes."""
