"""Trains a StyleGAN on a folder of TFRecords.

    python -m stylegan_tf.create_tfrecords --source demo --dest datasets/demo
    python -m stylegan_tf.train --flagfile configs/demo.cfg

Everything goes to --run_dir: checkpoints, network files, pictures, logs. The same command resumes a run.
"""

from stylegan_tf.cli import command_line, training_flags
from stylegan_tf.progress import ProgressBar


def main():
    config = training_flags.train_config_from_flags()
    from stylegan_tf.training.run.loop import train  # TensorFlow is loaded only when there is something to train.

    prepare_metrics = None
    if config.metrics:
        from stylegan_tf.metrics.during_training import TrainingMetrics

        prepare_metrics = TrainingMetrics(config, ProgressBar)
    train(config, prepare_metrics)


if __name__ == "__main__":
    command_line.run(main)
