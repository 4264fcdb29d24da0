"""Measures training: steps, whole iterations, generation, input pipeline, memory, start, and the machine's ceiling.

The same as `python -m stylegan_tf.benchmark`, from a checkout, installed or not.
"""

from checkout import run_command

if __name__ == "__main__":
    run_command("benchmark")
