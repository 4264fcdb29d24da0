"""From TFRecords to what the networks are fed: shuffled batches of uint8, then range and cross-fade on the device."""

from typing import Optional

import numpy as np
import tensorflow as tf

from stylegan_tf.data import records
from stylegan_tf.data.dataset_files import DatasetInfo, load_labels
from stylegan_tf.errors import UserError

SHUFFLE_BYTES = 2**29  # Bound of the default shuffle buffer: all of FFHQ up to 32x32, 170 images at 1024x1024.
_PARALLEL_SHARDS = 4


def default_shuffle_images(info: DatasetInfo, resolution: int) -> int:
    """Size of the shuffle buffer in images: the whole set if it fits into SHUFFLE_BYTES, else what does."""
    image_bytes = resolution**2 * info.num_channels
    return max(1, min(info.count, SHUFFLE_BYTES // image_bytes))


def training_dataset(
    info: DatasetInfo,
    resolution: int,
    batch_size: int,
    seed: int = 0,
    shuffle_images: Optional[int] = None,
    mirror: bool = False,
    num_replicas: int = 1,
    input_pipeline_index: int = 0,
    num_input_pipelines: int = 1,
    first_image: int = 0,
) -> tf.data.Dataset:
    """An endless dataset of {"images": uint8 [B, r, r, C], "labels": float32 [B, label_size]}.

    Every epoch shows each image once, in an order that depends on `seed` and on the epoch alone: the same arguments
    give the same batches. B = `batch_size` is what this input pipeline (host) hands out per step to its
    `num_replicas`; see `replica_order` for the order within a batch. Batches run across the end of an epoch.

    Args:
      info: from `find_dataset`.
      resolution: level to read; one of `info.levels`.
      shuffle_images: shuffle buffer in images; None: `default_shuffle_images`; 0 or 1: the order of the files.
      mirror: flip every second image left-right, at random.
      input_pipeline_index, num_input_pipelines: which part of the set this host reads, out of how many.
      first_image: start at this image of the endless sequence (over all hosts), to go on where a run was stopped.
        The images of that epoch before it are read and dropped.
    """
    if batch_size < 1 or batch_size % num_replicas:
        raise UserError(f"batch size {batch_size} must be a positive multiple of the {num_replicas} replica(s).")
    shuffle_images = default_shuffle_images(info, resolution) if shuffle_images is None else shuffle_images
    share = _HostShare(info, resolution, input_pipeline_index, num_input_pipelines)
    epochs_done, images_done = divmod(first_image // num_input_pipelines, share.count)
    dataset = tf.data.Dataset.range(epochs_done, 2**62)
    dataset = dataset.flat_map(lambda epoch: share.epoch(epoch, seed, shuffle_images)).skip(images_done)
    dataset = _pngs_decoded(dataset, info, resolution).batch(batch_size, drop_remainder=True)
    # Position of a batch in the sequence: what the mirroring is drawn from, so that it survives a restart.
    positions = tf.data.Dataset.range(epochs_done * share.count + images_done, 2**62, batch_size)
    dataset = tf.data.Dataset.zip((positions, dataset))
    assemble = _batch_assembler(info, resolution, batch_size, seed + input_pipeline_index, mirror, num_replicas)
    dataset = dataset.map(assemble, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return dataset.with_options(_options()).prefetch(tf.data.AUTOTUNE)


def replica_order(batch_size: int, num_replicas: int) -> np.ndarray:
    """Where the images of a batch come from: int64 [B]; chunk r of B / R is r, r + R, r + 2R, ...

    `tf.distribute` gives replica r the r-th contiguous chunk of a batch. The minibatch standard deviation (ProGAN,
    Sec. 3) forms its N / 4 groups from images that are N / 4 apart. With the images dealt out like cards, each group
    of a replica is one that a single device with the whole batch would have formed, and training on R devices
    computes the same numbers as on one.
    """
    return np.arange(batch_size).reshape(batch_size // num_replicas, num_replicas).T.reshape(-1)


def process_reals(images, alpha, mirror=None) -> tf.Tensor:
    """uint8 [N, r, r, C] -> float32 [N, r, r, C] in [-1, 1], faded in with `alpha` (scalar in [0, 1], may be a tensor).

    While a new level fades in, the real images lose their finest detail to the same degree as the generated ones:
    lerp(image at half the resolution, image, alpha). `mirror`: bool [N], which images to flip left-right.
    """
    images = tf.cast(images, tf.float32) / 127.5 - 1.0
    if mirror is not None:
        images = tf.where(mirror[:, tf.newaxis, tf.newaxis, tf.newaxis], tf.reverse(images, axis=[2]), images)
    resolution, channels = images.shape[1], images.shape[3]
    quads = tf.reshape(images, [-1, resolution // 2, 2, resolution // 2, 2, channels])
    means = tf.reduce_mean(quads, axis=[2, 4], keepdims=True)  # [N, r/2, 1, r/2, 1, C]: broadcasts to r x r.
    faded = quads + (means - quads) * (1.0 - tf.cast(alpha, tf.float32))  # Exactly the image where alpha is 1.
    return tf.reshape(faded, [-1, resolution, resolution, channels])


def _options() -> tf.data.Options:
    options = tf.data.Options()
    options.deterministic = True
    # `_HostShare` has divided the images among the hosts already.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return options


class _HostShare:
    """The part of the records that one host reads."""

    def __init__(self, info: DatasetInfo, resolution: int, index: int, num_hosts: int):
        if not 0 <= index < num_hosts <= info.count:
            raise UserError(f"host {index} of {num_hosts} cannot get a share of {info.count} images.")
        paths = info.shards(resolution)
        first_records = np.cumsum((0,) + info.shard_counts[:-1])
        # Whole shards if every host gets as many of them. Otherwise some images would be seen more often than
        # others, or (fewer shards than hosts) some hosts see none: then each host takes every num_hosts-th record.
        whole_shards = len(paths) % num_hosts == 0
        mine = slice(index, None, num_hosts) if whole_shards else slice(None)
        self._paths, self._first_records = list(paths[mine]), first_records[mine].astype(np.int64)
        self._record_share = None if whole_shards else (num_hosts, index)
        self.count = sum(info.shard_counts[mine]) if whole_shards else len(range(index, info.count, num_hosts))

    def epoch(self, epoch, seed: int, shuffle_images: int) -> tf.data.Dataset:
        """Each record once -> (serialised Example, its number in the whole set)."""
        seeds = tf.random.stateless_uniform([2], [seed, epoch], maxval=2**31 - 1, dtype=tf.int64)
        shards = tf.data.Dataset.from_tensor_slices((self._paths, self._first_records))
        parallel = 1  # The order of the files, one after the other.
        if shuffle_images > 1:
            parallel = min(_PARALLEL_SHARDS, len(self._paths))
            shards = shards.shuffle(len(self._paths), seed=seeds[0], reshuffle_each_iteration=False)
        dataset = shards.interleave(
            _numbered_records, cycle_length=parallel, block_length=1, num_parallel_calls=parallel, deterministic=True
        )
        if self._record_share is not None:
            dataset = dataset.filter(self._is_mine)
        if shuffle_images > 1:
            dataset = dataset.shuffle(shuffle_images, seed=seeds[1], reshuffle_each_iteration=False)
        return dataset

    def _is_mine(self, _serialized, number):
        num_hosts, index = self._record_share
        return number % num_hosts == index


def _numbered_records(path, first_record) -> tf.data.Dataset:
    numbers = tf.data.Dataset.range(first_record, np.iinfo(np.int64).max)
    return tf.data.Dataset.zip((tf.data.TFRecordDataset(path), numbers))


def _batch_assembler(info: DatasetInfo, resolution: int, batch_size: int, seed: int, mirror: bool, num_replicas: int):
    """-> function of a batch of records or decoded images: parse, look up labels, mirror, order for the replicas."""
    with tf.device("CPU"):
        labels = tf.constant(load_labels(info))
    order = replica_order(batch_size, num_replicas)

    def assemble(position, batch):
        images, numbers = batch
        mirrored = tf.random.stateless_uniform([batch_size], [seed, position]) < 0.5
        if num_replicas > 1:
            images, numbers, mirrored = (tf.gather(x, order) for x in (images, numbers, mirrored))
        if images.dtype == tf.string:
            images = records.parse_examples(images, resolution, info.num_channels)
        if mirror:
            images = _mirror_uint8(images, mirrored)
        return {"images": images, "labels": tf.gather(labels, numbers)}

    return assemble


def _pngs_decoded(dataset: tf.data.Dataset, info: DatasetInfo, resolution: int) -> tf.data.Dataset:
    """PNG records one by one and in parallel; raw ones stay: they are cheaper to take apart by the batch."""
    if info.encoding == "raw":
        return dataset

    def decode(serialized, number):
        return records.parse_png_example(serialized, resolution, info.num_channels), number

    return dataset.map(decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _mirror_uint8(images, mirrored):
    """Flips the images [N, r, r, C] for which `mirrored` [N] is true.

    The differences wrap around and so do the sums: the result is exact, and six times as fast as `tf.where`.
    """
    chosen = tf.cast(mirrored, tf.uint8)[:, tf.newaxis, tf.newaxis, tf.newaxis]
    return images + chosen * (tf.reverse(images, axis=[2]) - images)
