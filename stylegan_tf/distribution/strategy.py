"""Devices and machines: which `tf.distribute` strategy, how datasets and functions are sharded over its replicas."""

import os
from types import MappingProxyType
from typing import Callable, Optional

import numpy as np
import tensorflow as tf

from stylegan_tf.config.callbacks import Note, ignore
from stylegan_tf.config.option import OptionError
from stylegan_tf.data.dataset_files import DatasetInfo
from stylegan_tf.data.pipeline import training_dataset
from stylegan_tf.distribution.processes import (
    Cluster,
    cluster_from_environment,
    default_signal_handlers,
    exit_on_timeout,
    translate_lost_processes,
)
from stylegan_tf.distribution.rendezvous import Facts, rendezvous
from stylegan_tf.ops.forms import compiled_chains, with_current_modes


class ReplicatedFunction:
    """Arrays of n rows in, a structure of arrays of n rows out, in the same order.

    Every replica gets `rows` rows in each call, so that shapes do not depend on the number of replicas and the
    function is traced once. The last call is padded with copies of the last row, which are dropped again.
    """

    def __init__(self, strategy: tf.distribute.Strategy, function: Callable, rows: int):
        """function: tensors [rows, ...] -> tensor, or dictionary of tensors, [rows, ...]."""
        self.total_rows = rows * strategy.num_replicas_in_sync
        self._strategy = strategy
        self._rows = rows

        @tf.function(autograph=False)
        def run(arguments):
            with compiled_chains():
                return strategy.run(with_current_modes(function), arguments)

        self._run = run

    def __call__(self, *arrays: np.ndarray):
        """arrays: each [n, ...] with 1 <= n <= total_rows. Returns NumPy arrays [n, ...]."""
        count = len(arrays[0])
        if not 1 <= count <= self.total_rows:
            raise ValueError(f"expected 1 to {self.total_rows} rows, got {count}.")
        filled = [np.concatenate([array, np.repeat(array[-1:], self.total_rows - count, axis=0)]) for array in arrays]
        outputs = self._run(tuple(self._sharded(array) for array in filled))
        return tf.nest.map_structure(lambda value: self._in_order(value)[:count], outputs)

    def _in_order(self, value):
        """The replicas' results as one array; their order is that of the shards."""
        return np.concatenate([part.numpy() for part in self._strategy.experimental_local_results(value)])

    def _sharded(self, array):
        def shard(context):
            first = context.replica_id_in_sync_group * self._rows
            return tf.constant(array[first : first + self._rows])

        return self._strategy.experimental_distribute_values_from_function(shard)


_CONNECT_TIMEOUT = 300.0  # Seconds for what takes a few, after the rendezvous.


def create_strategy(
    name: str, tpu: Optional[str] = None, facts: Facts = MappingProxyType({}), note: Note = ignore
) -> tf.distribute.Strategy:
    """The strategy of that option. Call it before anything else of TensorFlow runs: a cluster cannot be joined later.

    auto: multi_worker if TF_CONFIG names several processes, else mirrored on several GPUs, else one device.
    mirrored: all GPUs, or without one all logical CPUs. multi_worker: all GPUs (or the CPU) of every process of
    TF_CONFIG; returns when all of them are there and have the same `facts` (of the run, as JSON has them).
    tpu: all cores of the TPU `tpu`, or of the environment's TPU_NAME.

    note: takes lines about a rendezvous that lasts.

    Raises UserError for a TF_CONFIG that is invalid or does not fit, and for a TPU that cannot be reached.
    """
    cluster = cluster_from_environment()
    several = cluster is not None and len(cluster.addresses) > 1
    if name == "multi_worker" or (name == "auto" and several):
        return _multi_worker_strategy(cluster, facts, note)
    if several:
        raise OptionError(
            f"strategy {name} is for one process, but TF_CONFIG names {len(cluster.addresses)}, which would all write "
            "to the same run folder: use `strategy=multi_worker`, or unset TF_CONFIG."
        )
    if name == "tpu":
        return _tpu_strategy(tpu)
    gpus = tf.config.list_logical_devices("GPU")
    if name == "one" or (name == "auto" and len(gpus) < 2):
        return tf.distribute.OneDeviceStrategy("GPU:0" if gpus else "CPU:0")
    devices = gpus or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def _multi_worker_strategy(cluster: Optional[Cluster], facts: Facts, note: Note) -> tf.distribute.Strategy:
    if cluster is None:
        raise OptionError("strategy multi_worker needs the environment variable TF_CONFIG, which names all processes.")
    mine, count = cluster.addresses[cluster.index], len(cluster.addresses)
    if count > 1:
        note(f"process {cluster.index} of {count} at {mine}: waiting for the others")
        with default_signal_handlers():
            rendezvous(cluster, {**_versions(), **facts}, note)
        note(f"all are there; if one fails to connect, this process exits after {_CONNECT_TIMEOUT:.0f} s")
    try:
        # TensorFlow waits for an hour, keeps Python from running, and replaces the handler of SIGTERM.
        with translate_lost_processes(), default_signal_handlers(), exit_on_timeout(_CONNECT_TIMEOUT):
            return tf.distribute.MultiWorkerMirroredStrategy()
    except tf.errors.OpError as error:
        reason = " ".join(str(error).split())[:200]
        raise OptionError(
            f"strategy multi_worker: process {cluster.index} cannot start at {mine} ({reason}): is that port free?"
        ) from None


def _versions() -> dict[str, str]:
    return {"TensorFlow": tf.__version__, "Keras": str(getattr(tf.keras, "__version__", ""))}


def _tpu_strategy(tpu: Optional[str]) -> tf.distribute.Strategy:
    name = tpu or os.environ.get("TPU_NAME")
    if not name:
        raise OptionError("strategy tpu needs a name or an address: give `tpu=NAME`, or `tpu=local` on its own host.")
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=name)
        if name != "local":
            tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    except (tf.errors.OpError, ValueError, RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise OptionError(f"strategy tpu: cannot use the TPU {name!r} ({reason}).") from None


def training_batches(strategy, info: DatasetInfo, resolution: int, batch_size: int, seed: int, **options):
    """An endless iterator over global batches, each sharded over the replicas.

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
        dataset = dataset.rebatch(host_batch // replicas, drop_remainder=True) if replicas > 1 else dataset
        # It cannot see that there is no end, and would ask all processes before every batch whether they have one.
        return dataset.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))

    return iter(strategy.distribute_datasets_from_function(host_dataset))
