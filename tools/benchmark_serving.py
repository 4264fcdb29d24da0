"""Measures exports of a network against calling it in Keras: size, latency, images per second, memory.

The same as `python -m stylegan_tf.benchmark_serving`, from a checkout, installed or not.
"""

from checkout import run_command

if __name__ == "__main__":
    run_command("benchmark_serving")
