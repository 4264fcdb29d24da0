"""Trains a StyleGAN on a folder of TFRecords.

    python -m stylegan_tf.create_tfrecords --source demo --dest datasets/demo
    python -m stylegan_tf.train --flagfile configs/demo.cfg

Everything goes to --run_dir: checkpoints, network files, pictures, logs. The same command resumes where it stopped. It
may be a folder in a bucket, like gs://bucket/run or s3://bucket/run, where files then appear as in a local one.
"""

import dataclasses
import os
import sys

from stylegan_tf.cli import command_line, training_flags
from stylegan_tf.cli.progress import ProgressBar
from stylegan_tf.distribution.cluster import cluster_from_environment
from stylegan_tf.files.working_copy import working_copy

_COMMON = ("data_dir", "run_dir", "resolution", "total_kimg", "mirror_augment", "conditional", "init_from", "augment")
_COMMON += ("batch_sizes", "precision", "strategy", "metrics", "seed")


def main():
    config = training_flags.train_config_from_flags()
    cluster = cluster_from_environment()
    is_chief = cluster is None or cluster.index == 0
    from stylegan_tf.training.run.folder import files_to_resume  # Imports TensorFlow, after the flags are checked.
    from stylegan_tf.training.run.loop import train

    with working_copy(config.run_dir, files_to_resume(config), is_chief, command_line.warn) as copy:
        if str(copy.folder) != config.run_dir:
            _print(f"run folder {config.run_dir}, uploaded from {copy.folder}")
            config = dataclasses.replace(config, run_dir=str(copy.folder))
        prepare_metrics = None
        if config.metrics:
            from stylegan_tf.metrics.during_training import TrainingMetrics

            prepare_metrics = TrainingMetrics(config)
        outputs = {"note": _print, "progress": ProgressBar, "on_stop": _print_at_stop}
        train(config, prepare_metrics, **outputs, check=copy.check)


def _print(line: str) -> None:
    """When stdout is gone (its reader ended, the disk of its file is full) the run continues without."""
    try:
        print(command_line.with_flags(line), flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_at_stop(line: str) -> None:
    os.write(sys.stderr.fileno(), f"\n{line}\n".encode())  # In a signal handler: no buffers.


if __name__ == "__main__":
    command_line.run(main, common=_COMMON, addresses=["run_dir"])
