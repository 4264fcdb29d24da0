"""Keras layers of the paper: equalised dense and convolution, noise, style, minibatch standard deviation."""
