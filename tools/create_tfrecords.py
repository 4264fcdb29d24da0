"""Converts pictures of nearly any kind to TFRecords for training.

The same as `python -m stylegan_tf.create_tfrecords`, from a checkout, installed or not.
"""

from checkout import run_command

if __name__ == "__main__":
    run_command("create_tfrecords")
