"""Trains a StyleGAN on a folder of TFRecords.

    python -m stylegan_tf.create_tfrecords --source demo --dest datasets/demo
    python -m stylegan_tf.train --flagfile configs/demo.cfg

All output is written to --run_dir: checkpoints, network files, pictures and logs. The same command resumes an
interrupted run. --run_dir may be a folder in a bucket, like gs://bucket/run or s3://bucket/run, in which the same files
appear as in a local folder.
"""

import os
import sys

import stylegan_tf
from stylegan_tf.cli import command_line, flags, training_flags
from stylegan_tf.cli.progress import ProgressBar
from stylegan_tf.metrics.kinds import parse_metrics

_COMMON = ("data_dir", "run_dir", "resolution", "total_kimg", "mirror_augment", "conditional", "init_from", "augment")
_COMMON += ("batch_sizes", "precision", "strategy", "metrics", "seed")


def main():
    config = training_flags.train_config_from_flags()
    if config.metrics and any("extractor" in metric.needs for metric in parse_metrics(config.metrics)):
        flags.require_extractor()
    outputs = {"note": _print, "warn": command_line.warn, "on_stop": _print_at_stop}
    stylegan_tf.train(config, progress=ProgressBar, **outputs)


def _print(line: str) -> None:
    """When stdout is gone (its reader ended, the disk of its file is full) the run continues without."""
    try:
        command_line.show(line)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_at_stop(line: str) -> None:
    os.write(sys.stderr.fileno(), f"\n{line}\n".encode())  # In a signal handler: no buffers.


if __name__ == "__main__":
    command_line.run(main, common=_COMMON, addresses=["run_dir"])
