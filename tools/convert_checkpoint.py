"""Converts the authors' network pickles to network files, and network files to arrays under the authors' names.

The same as `python -m stylegan_tf.convert_checkpoint`, from a checkout, installed or not.
"""

from checkout import run_command

if __name__ == "__main__":
    run_command("convert_checkpoint")
