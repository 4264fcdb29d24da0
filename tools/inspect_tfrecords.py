"""Looks into a dataset of TFRecords, ours or the authors': says what is in it and checks every record.

The same as `python -m stylegan_tf.inspect_tfrecords`, from a checkout, installed or not.
"""

from checkout import run_command

if __name__ == "__main__":
    run_command("inspect_tfrecords")
