"""The images that metrics look at: real, generated, labelled, or of a folder."""
