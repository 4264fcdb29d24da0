"""Devices: which `tf.distribute` strategy, and how a dataset is dealt out to its replicas."""

import tensorflow as tf

from stylegan_tf.data.dataset_files import DatasetInfo
from stylegan_tf.data.pipeline import training_dataset


def create_strategy(name: str) -> tf.distribute.Strategy:
    """The strategy for --strategy.

    auto: mirrored on several GPUs, else one device. mirrored: all GPUs, or without one all logical CPUs.
    """
    gpus = tf.config.list_logical_devices("GPU")
    if name == "one" or (name == "auto" and len(gpus) < 2):
        return tf.distribute.OneDeviceStrategy("GPU:0" if gpus else "CPU:0")
    devices = gpus or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def training_batches(strategy, info: DatasetInfo, resolution: int, batch_size: int, seed: int, **options):
    """An endless iterator over global batches, each dealt out to the replicas.

    options: those of `training_dataset` that are the run's (mirror, shuffle_images, first_image).
    """

    def host_dataset(context):
        host_batch = batch_size // context.num_input_pipelines
        replicas = context.num_replicas_in_sync // context.num_input_pipelines
        dataset = training_dataset(
            info,
            resolution,
            host_batch,
            seed,
            num_replicas=replicas,
            input_pipeline_index=context.input_pipeline_id,
            num_input_pipelines=context.num_input_pipelines,
            **options,
        )
        # tf.distribute takes one element per replica: the contiguous chunks of `replica_order`.
        return dataset.rebatch(host_batch // replicas, drop_remainder=True) if replicas > 1 else dataset

    return iter(strategy.distribute_datasets_from_function(host_dataset))
