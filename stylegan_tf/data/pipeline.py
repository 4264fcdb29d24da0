"""From TFRecords to what the networks are fed: shuffled batches of uint8, then range and cross-fade on the device."""

import functools
import os
from typing import Optional

import numpy as np
import tensorflow as tf

from stylegan_tf.config.errors import UserError
from stylegan_tf.config.option import OptionError
from stylegan_tf.data import records, tfrecord_files
from stylegan_tf.data.dataset_files import DatasetInfo, load_labels

SHUFFLE_BYTES = 2**29  # Bound of the default shuffle buffer: all of FFHQ up to 32x32, 170 images at 1024x1024.
_PARALLEL_SHARDS = 4
_PARALLEL_REQUESTS = 16
_READ_BY_ALL_BYTES = 2**29  # Each of several hosts reads all of a level up to this size.


def default_shuffle_images(info: DatasetInfo, resolution: int) -> int:
    """Size of the shuffle buffer in images: the complete set if it fits into SHUFFLE_BYTES, else what does."""
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
    balance_classes: bool = False,
) -> tf.data.Dataset:
    """An endless dataset of {"images": uint8 [B, r, r, C], "labels": float32 [B, label_size]}.

    Every epoch shows each image once, in an order that depends on `seed` and on the epoch alone: the same arguments
    give the same batches. B = `batch_size` is what this input pipeline (host) yields per step for its
    `num_replicas`; see `replica_order` for the order within a batch. Batches run across the end of an epoch.
    Several hosts shard every global batch (`host_share`): together they see what one host would see, and of a large
    set each reads its own records only.

    Args:
      info: from `find_dataset`.
      resolution: level to read; one of `info.levels`.
      shuffle_images: shuffle buffer in images; None: `default_shuffle_images`; 0 or 1: the order of the files.
      mirror: flip every second image left-right, at random.
      input_pipeline_index, num_input_pipelines: which host this is, out of how many.
      first_image: start at this image of the endless sequence (over all hosts), to resume a run. The images of that
        epoch before it are read and dropped.
      balance_classes: an epoch shows images of small classes more often, so that it has as many of every class as of
        the largest. UserError unless the labels give every image one class.
    """
    if batch_size < 1 or batch_size % num_replicas:
        raise UserError(f"batch size {batch_size} must be a positive multiple of the {num_replicas} replica(s).")
    if not 0 <= input_pipeline_index < num_input_pipelines:
        raise UserError(f"host {input_pipeline_index} of {num_input_pipelines} cannot get a share of the images.")
    shuffle_images = default_shuffle_images(info, resolution) if shuffle_images is None else shuffle_images
    repeats = _balancing_repeats(info) if balance_classes else None
    epochs_done, images_done = divmod(first_image, info.count if repeats is None else int(repeats.sum()))
    if info.remote is not None:
        info.remote.keep(info.shards(resolution))
    dataset = tf.data.Dataset.range(epochs_done, 2**62)
    # For a large level, every host computes the order alone, and then reads its own records only.
    by_number = num_input_pipelines > 1 and info.count * resolution**2 * info.num_channels > _READ_BY_ALL_BYTES
    elements = _record_numbers if by_number else functools.partial(_numbered_records, info)
    dataset = dataset.flat_map(lambda epoch: _epoch(info, resolution, elements, epoch, seed, shuffle_images, repeats))
    dataset = dataset.skip(images_done)
    share = host_share(batch_size * num_input_pipelines, num_replicas, input_pipeline_index, num_input_pipelines)
    if num_input_pipelines > 1:
        dataset = _select(dataset, share, batch_size * num_input_pipelines)
    if by_number:
        dataset = _records_by_number(info, resolution, dataset)
    dataset = _files_decoded(dataset, info, resolution).batch(batch_size, drop_remainder=True)
    # Position of a batch in the sequence: it seeds the mirroring, which a resumed run repeats.
    positions = tf.data.Dataset.range(first_image, 2**62, batch_size * num_input_pipelines)
    dataset = tf.data.Dataset.zip((positions, dataset))
    assemble = _batch_assembler(info, resolution, share, batch_size * num_input_pipelines, seed, mirror, num_replicas)
    dataset = dataset.map(assemble, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return dataset.with_options(_options()).prefetch(tf.data.AUTOTUNE)


def decoded_batches(
    dataset: tf.data.Dataset, info: DatasetInfo, resolution: int, batch_size: int, drop_remainder: bool = False
) -> tf.data.Dataset:
    """Batches (uint8 [n, r, r, C], ...) of elements (record, ...), in order; further components pass through."""
    size = (resolution, info.num_channels)
    dataset = _files_decoded(dataset, info, resolution).batch(batch_size, drop_remainder=drop_remainder)
    if info.encoding == "raw":
        dataset = dataset.map(lambda batch, *rest: (records.parse_examples(batch, *size), *rest))
    return dataset.prefetch(2)


def replica_order(batch_size: int, num_replicas: int) -> np.ndarray:
    """Where the images of a batch come from: int64 [B]; chunk r of B / R is r, r + R, r + 2R, ...

    `tf.distribute` gives replica r the r-th contiguous chunk of a batch. The minibatch standard deviation (ProGAN,
    Sec. 3) forms its N / 4 groups from images that are N / 4 apart. With strided shards, each group of a
    replica is one that a single device with the whole batch would have formed, and training on R devices computes
    the same numbers as on one.
    """
    return np.arange(batch_size).reshape(batch_size // num_replicas, num_replicas).T.reshape(-1)


def host_share(global_batch: int, num_replicas: int, index: int, num_hosts: int) -> np.ndarray:
    """Which images of a global batch host `index` reads: int64 [global_batch / num_hosts], ascending.

    Replica r of all R takes images r, r + R, ...; a host those of its own `num_replicas`, which are neighbours:
    replicas index * num_replicas and following. So hosts change nothing in what a replica gets.
    """
    images = np.arange(global_batch)
    return images[images % (num_replicas * num_hosts) // num_replicas == index]


def process_reals(images, alpha) -> tf.Tensor:
    """uint8 [N, r, r, C] -> float32 [N, r, r, C] in [-1, 1], faded in with `alpha` (scalar in [0, 1], may be a tensor).

    While a new level fades in, the real images lose their finest detail to the same degree as the generated ones:
    lerp(image at half the resolution, image, alpha).
    """
    images = tf.cast(images, tf.float32) / 127.5 - 1.0
    resolution, channels = images.shape[1], images.shape[3]
    quads = tf.reshape(images, [-1, resolution // 2, 2, resolution // 2, 2, channels])
    means = tf.reduce_mean(quads, axis=[2, 4], keepdims=True)  # [N, r/2, 1, r/2, 1, C]: broadcasts to r x r.
    faded = quads + (means - quads) * (1.0 - tf.cast(alpha, tf.float32))  # Exactly the image where alpha is 1.
    return tf.reshape(faded, [-1, resolution, resolution, channels])


def _options() -> tf.data.Options:
    options = tf.data.Options()
    options.deterministic = True
    # `host_share` has sharded the images already.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return options


def _balancing_repeats(info: DatasetInfo) -> np.ndarray:
    """int64 [count]: how often an epoch shows each image."""
    labels = load_labels(info)
    if not info.label_size or not (np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all()):
        raise OptionError(f"balance_classes needs one class for every image, unlike {info.folder}.")
    classes, sizes = labels.argmax(axis=1), labels.sum(axis=0).astype(np.int64)
    within = np.zeros(info.count, np.int64)  # Which image of its class it is.
    for number, size in enumerate(sizes):
        within[classes == number] = np.arange(size)
    return sizes.max() // sizes[classes] + (within < sizes.max() % sizes[classes])


def _epoch(
    info: DatasetInfo, resolution: int, elements, epoch, seed: int, shuffle_images: int, repeats: Optional[np.ndarray]
) -> tf.data.Dataset:
    """Each record once (or as often as `repeats` says), as `elements(path, number of its first record, count)`."""
    seeds = tf.random.stateless_uniform([2], [seed, epoch], maxval=2**31 - 1, dtype=tf.int64)
    paths = info.shards(resolution)
    first_records = np.cumsum((0, *info.shard_counts[:-1])).astype(np.int64)
    shards = tf.data.Dataset.from_tensor_slices((list(paths), first_records, np.int64(info.shard_counts)))
    parallel = 1  # The order of the files, one after the other.
    if shuffle_images > 1:
        parallel = min(_PARALLEL_SHARDS, len(paths))
        shards = shards.shuffle(len(paths), seed=seeds[0], reshuffle_each_iteration=False)
    dataset = shards.interleave(
        elements, cycle_length=parallel, block_length=1, num_parallel_calls=parallel, deterministic=True
    )
    if repeats is not None:
        dataset = dataset.flat_map(lambda *element: _repeated(element, tf.constant(repeats)[element[-1]]))
    if shuffle_images > 1:
        dataset = dataset.shuffle(shuffle_images, seed=seeds[1], reshuffle_each_iteration=False)
    return dataset


def _repeated(element: tuple, count) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensors(element if len(element) > 1 else element[0]).repeat(count)


def _select(dataset: tf.data.Dataset, share: np.ndarray, global_batch: int) -> tf.data.Dataset:
    """Keeps, of every `global_batch` elements, those at the positions `share`."""
    mine = np.zeros([global_batch], bool)
    mine[share] = True
    dataset = dataset.enumerate().filter(lambda place, _: tf.constant(mine)[place % global_batch])
    return dataset.map(lambda _place, element: element)


def level_records(info: DatasetInfo, resolution: int) -> tf.data.Dataset:
    """Serialised Examples, in the order of the files."""
    return tf.data.Dataset.from_tensor_slices(list(info.shards(resolution))).flat_map(lambda path: _records(info, path))


def _records(info: DatasetInfo, path) -> tf.data.Dataset:
    if info.remote is None:
        return tf.data.TFRecordDataset(path)
    # A generator knows which piece is being read, and that the reader is gone: then TensorFlow closes it.
    pieces = tf.data.Dataset.from_generator(
        lambda path: info.remote.pieces(path.decode()), output_signature=tf.TensorSpec([], tf.string), args=[path]
    )
    return pieces.flat_map(tf.data.TFRecordDataset)


def _numbered_records(info: DatasetInfo, path, first_record, count) -> tf.data.Dataset:
    """The `count` records of a file and their numbers; an error if it has become shorter since `find_dataset`."""
    # Without it an epoch would be shorter than the set, and every later position wrong.
    too_short = tf.data.Dataset.from_tensors(path).map(_fail_as_too_short)
    found = _records(info, path).concatenate(too_short).take(count)
    return tf.data.Dataset.zip((found, tf.data.Dataset.range(first_record, first_record + count)))


def _fail_as_too_short(path) -> tf.Tensor:
    with tf.control_dependencies([tf.debugging.Assert(False, [path, "has lost records"])]):
        return tf.identity(path)


def _record_numbers(_path, first_record, count) -> tf.data.Dataset:
    return tf.data.Dataset.range(first_record, first_record + count)


def _records_by_number(info: DatasetInfo, resolution: int, numbers: tf.data.Dataset) -> tf.data.Dataset:
    """(serialised Example, number) for a dataset of record numbers (int64), for a host that reads a part of the set.

    Unlike `TFRecordDataset` it compares no checksums: TensorFlow has no operation for that, and in Python it would
    stall the pipeline. A file that has become shorter is an InvalidArgumentError. Of a bucket, only these are fetched.
    """
    paths = info.shards(resolution)
    if info.remote is not None:
        return numbers.map(_remote_reader(info, paths), num_parallel_calls=_PARALLEL_REQUESTS, deterministic=True)
    places = [_offsets_and_lengths(path, count, info.encoding) for path, count in zip(paths, info.shard_counts)]
    with tf.device("CPU"):
        shards = tf.constant(np.repeat(np.arange(len(paths)), info.shard_counts))
        offsets, lengths = (tf.constant(np.concatenate(values), tf.int64) for values in zip(*places))
        sizes = tf.constant([os.path.getsize(path) for path in paths], tf.int64)
        names = tf.constant(paths)

    def read(number):
        shard, offset, length = shards[number], offsets[number], lengths[number]
        # A file of one record of this length, between a header and a footer that are skipped.
        one = tf.data.FixedLengthRecordDataset(
            names[shard], record_bytes=length, header_bytes=offset, footer_bytes=sizes[shard] - offset - length
        )
        return one.get_single_element(), number

    return numbers.map(read, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _remote_reader(info: DatasetInfo, paths):
    ends = np.cumsum(info.shard_counts)

    def of_number(number: np.int64) -> bytes:
        shard = int(np.searchsorted(ends, number, "right"))
        return info.remote.record(paths[shard], int(number - ends[shard] + info.shard_counts[shard]))

    return lambda number: (tf.ensure_shape(tf.numpy_function(of_number, [number], tf.string), []), number)


def _offsets_and_lengths(path: str, count: int, encoding: str) -> tuple[np.ndarray, np.ndarray]:
    """Offsets and lengths of the data of each record of a file: int64 [count] twice."""
    if encoding == "raw":  # All have one length.
        step = os.path.getsize(path) // count
        return np.arange(count) * step + tfrecord_files.HEADER.size, np.full(count, step - tfrecord_files.OVERHEAD)
    found = [(record.offset, record.length) for record in tfrecord_files.scan(path)]
    return tuple(np.array(found, np.int64).T)


def _batch_assembler(info, resolution: int, share, global_batch: int, seed: int, mirror: bool, num_replicas: int):
    """-> function of a batch of records or decoded images: parse, look up labels, mirror, order for the replicas.

    share: the places of these images in the global batch, for which the mirroring is drawn.
    """
    with tf.device("CPU"):
        labels = tf.constant(load_labels(info))
    order = replica_order(len(share), num_replicas)

    def assemble(position, batch):
        images, numbers = batch
        mirrored = tf.gather(tf.random.stateless_uniform([global_batch], [seed, position]) < 0.5, share)
        if num_replicas > 1:
            images, numbers, mirrored = (tf.gather(x, order) for x in (images, numbers, mirrored))
        if images.dtype == tf.string:
            images = records.parse_examples(images, resolution, info.num_channels)
        if mirror:
            images = _mirror_uint8(images, mirrored)
        return {"images": images, "labels": tf.gather(labels, numbers)}

    return assemble


def _files_decoded(dataset: tf.data.Dataset, info: DatasetInfo, resolution: int) -> tf.data.Dataset:
    """Decodes PNG and JPEG records one by one, in parallel; raw ones are left: they are parsed by the batch."""
    if info.encoding == "raw":
        return dataset

    encoding = records.level_encoding(info.encoding, largest=resolution == info.resolution)

    def decode(serialized, *rest):
        return records.parse_picture_example(serialized, resolution, info.num_channels, encoding), *rest

    return dataset.map(decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _mirror_uint8(images, mirrored):
    """Flips the images [N, r, r, C] for which `mirrored` [N] is true.

    The differences wrap around and so do the sums: the result is exact, and six times as fast as `tf.where`.
    """
    chosen = tf.cast(mirrored, tf.uint8)[:, tf.newaxis, tf.newaxis, tf.newaxis]
    return images + chosen * (tf.reverse(images, axis=[2]) - images)
