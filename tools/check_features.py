"""Shows what FID, KID, precision and recall say about a dataset that is blurred, noisy or incomplete.

The same as `python -m stylegan_tf.check_features`, from a checkout, installed or not.
"""

from checkout import run_command

if __name__ == "__main__":
    run_command("check_features")
