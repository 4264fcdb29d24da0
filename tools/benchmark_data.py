"""Measures the input pipeline of training: images per second for each level of one or more datasets.

The same as `python -m stylegan_tf.benchmark_data`, from a checkout, installed or not.
"""

from checkout import run_command

if __name__ == "__main__":
    run_command("benchmark_data")
