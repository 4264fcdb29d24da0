"""Builds the file of weights for LPIPS, the distance of perceptual path length, from two files that you have.

The same as `python -m stylegan_tf.build_lpips`, from a checkout, installed or not.
"""

from checkout import run_command

if __name__ == "__main__":
    run_command("build_lpips")
