"""Trains a StyleGAN on a folder of TFRecords.

    python -m stylegan_tf.create_tfrecords --source demo --dest datasets/demo
    python -m stylegan_tf.train --flagfile configs/demo.cfg

Everything goes to --run_dir: checkpoints, network files, pictures, logs. The same command resumes where it stopped.
"""

import os
import sys

from stylegan_tf.cli import command_line, training_flags
from stylegan_tf.progress import ProgressBar

_COMMON = ("data_dir", "run_dir", "resolution", "total_kimg", "mirror_augment", "conditional", "init_from", "augment")
_COMMON += ("batch_sizes", "precision", "strategy", "metrics", "seed")


def main():
    config = training_flags.train_config_from_flags()
    from stylegan_tf.training.run.loop import train  # Imports TensorFlow, after the flags have been checked.

    prepare_metrics = None
    if config.metrics:
        from stylegan_tf.metrics.during_training import TrainingMetrics

        prepare_metrics = TrainingMetrics(config)
    train(config, prepare_metrics, note=_print, progress=ProgressBar, on_stop=_print_at_stop)


def _print(line: str) -> None:
    """When stdout is gone (its reader ended, the disk of its file is full) the run continues without."""
    try:
        print(command_line.with_flags(line), flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_at_stop(line: str) -> None:
    os.write(sys.stderr.fileno(), f"\n{line}\n".encode())  # In a signal handler: no buffers.


if __name__ == "__main__":
    command_line.run(main, common=_COMMON)
