"""What all commands have in common: flags, seeds and labels as they are written, errors as one line."""
