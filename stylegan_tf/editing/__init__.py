"""What is done to a picture in the latent space: finding it, and moving it."""
