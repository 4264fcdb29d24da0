"""Editing in the latent space: projection of pictures, and directions."""
