"""What all commands share: the parsing of flags, seeds and labels, and errors reported in one line."""
