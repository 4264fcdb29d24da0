"""Asks a served model for images of seeds, saves them as PNGs, and says how long the answers took.

The same as `python -m stylegan_tf.serving_client`, from a checkout, installed or not.
"""

from checkout import run_command

if __name__ == "__main__":
    run_command("serving_client")
