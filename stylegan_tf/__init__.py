"""StyleGAN (Karras, Laine, Aila; CVPR 2019) for TensorFlow 2."""
