"""What training is fed."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.config.errors import UserError
from stylegan_tf.data import pipeline, records
from stylegan_tf.data.dataset_files import find_dataset
from stylegan_tf.data.pipeline import default_shuffle_images, process_reals, replica_order, training_dataset
from tests.helpers.array_source import write_numbered

COUNT = 24


@pytest.fixture(scope="module")
def info(tmp_path_factory):
    return find_dataset(write_numbered(tmp_path_factory.mktemp("data") / "set", COUNT, shards=4))


@pytest.fixture(scope="module")
def pngs(tmp_path_factory):
    """Records of many lengths."""
    folder = tmp_path_factory.mktemp("data") / "pngs"
    return find_dataset(write_numbered(folder, COUNT, shards=5, encoding="png"))


def batches(info, count, resolution=8, batch_size=6, **options):
    return list(training_dataset(info, resolution, batch_size, **options).take(count).as_numpy_iterator())


def shown(info, count, **options):
    """The numbers of the images in `count` batches, from their labels, which must agree with the pixels."""
    numbers = []
    for batch in batches(info, count, **options):
        assert batch["images"].dtype == np.uint8 and batch["labels"].dtype == np.float32
        lefts, rights = batch["images"][:, 0, 0, 0].astype(int), batch["images"][:, 0, -1, 0].astype(int)
        np.testing.assert_array_equal(lefts + rights, 255)
        numbers.append(batch["labels"][:, 0].astype(int))
        np.testing.assert_array_equal(np.minimum(lefts, rights), numbers[-1])
    return np.concatenate(numbers).tolist()


def test_batches_are_uint8_nhwc_at_the_level_asked_for(info):
    for resolution in (4, 8):
        [batch] = batches(info, 1, resolution, batch_size=5)
        assert batch["images"].shape == (5, resolution, resolution, 3)
    spec = training_dataset(info, 8, 5).element_spec
    assert spec["images"].shape == (5, 8, 8, 3) and spec["labels"].shape == (5, 1)


def test_records_become_batches_of_images_with_what_is_beside_them(info, pngs):
    for dataset in (info, pngs):
        files = tf.data.TFRecordDataset(list(dataset.shards(8)))
        expected = np.stack([records.decode_example(record) for record in files.as_numpy_iterator()])
        (first, numbers), *_ = pipeline.decoded_batches(
            tf.data.Dataset.zip((files, tf.data.Dataset.range(COUNT))), dataset, 8, batch_size=7
        ).as_numpy_iterator()
        np.testing.assert_array_equal(first, expected[:7])
        assert numbers.tolist() == list(range(7))
        alone = [images for (images,) in pipeline.decoded_batches(files, dataset, 8, 7).as_numpy_iterator()]
        assert [len(images) for images in alone] == [7, 7, 7, 3]
        np.testing.assert_array_equal(np.concatenate(alone), expected)
        assert len(list(pipeline.decoded_batches(files, dataset, 8, 7, drop_remainder=True))) == 3


@pytest.mark.parametrize("shuffle_images", [None, 5])
def test_every_epoch_shows_each_image_once_in_another_order(info, shuffle_images):
    numbers = shown(info, 8, shuffle_images=shuffle_images)  # Two epochs.
    assert sorted(numbers[:COUNT]) == sorted(numbers[COUNT:]) == list(range(COUNT))
    assert numbers[:COUNT] != numbers[COUNT:]


def test_batches_run_across_the_end_of_an_epoch(info):
    numbers = shown(info, 5, batch_size=10)
    assert sorted(numbers[:COUNT]) == sorted(numbers[COUNT : 2 * COUNT]) == list(range(COUNT))


def test_the_seed_decides_the_order(info):
    assert shown(info, 8, seed=1) == shown(info, 8, seed=1)
    assert shown(info, 4, seed=1) != shown(info, 4, seed=2)


def test_without_shuffling_the_order_is_that_of_the_files(info):
    from_files = [int(label) for label in np.load(info.labels_path)[:, 0]]
    assert shown(info, 8, shuffle_images=0) == from_files * 2


@pytest.mark.parametrize("first_image", [0, 6, 30, 60])
def test_a_sequence_goes_on_where_it_was_stopped(info, first_image):
    options = {"seed": 3, "mirror": True}
    whole, rest = batches(info, 14, **options), batches(info, 14 - first_image // 6, first_image=first_image, **options)
    for expected, batch in zip(whole[first_image // 6 :], rest):
        np.testing.assert_array_equal(batch["images"], expected["images"])
        np.testing.assert_array_equal(batch["labels"], expected["labels"])


def test_half_of_the_images_are_mirrored(info):
    lefts = np.concatenate([batch["images"][:, 0, 0, 0] for batch in batches(info, 80, mirror=True)])
    mirrored = lefts > 127
    assert 0.4 < mirrored.mean() < 0.6  # 480 draws: four standard deviations are 0.09.
    shown(info, 4, mirror=True)  # Whole images are flipped: left and right still belong together.
    unmirrored = np.concatenate([batch["images"][:, 0, 0, 0] for batch in batches(info, 8)])
    assert unmirrored.max() < COUNT


def test_mirroring_is_drawn_per_image_and_anew_in_each_epoch(info):
    epochs = []
    for start in (0, COUNT):
        epoch = batches(info, 4, mirror=True, first_image=start)
        images, numbers = (np.concatenate([batch[key] for batch in epoch]) for key in ("images", "labels"))
        epochs.append(images[np.argsort(numbers[:, 0]), 0, 0, 0] > 127)
    assert 0 < (epochs[0] != epochs[1]).sum() < COUNT
    assert any(0 < (batch["images"][:, 0, 0, 0] > 127).sum() < 6 for batch in epoch)


def test_each_replica_gets_every_rth_image():
    assert replica_order(8, 2).tolist() == [0, 2, 4, 6, 1, 3, 5, 7]
    assert replica_order(6, 3).tolist() == [0, 3, 1, 4, 2, 5]
    assert replica_order(4, 1).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("batch_size, num_replicas", [(8, 2), (16, 2), (32, 4)])
def test_groups_of_a_replica_are_groups_of_one_device(batch_size, num_replicas):
    def groups(images):  # Minibatch stddev: reshape to [4, N / 4], members of a group along the first axis.
        return {frozenset(group) for group in np.reshape(images, [4, -1]).T.tolist()}

    replicas = np.split(replica_order(batch_size, num_replicas), num_replicas)
    assert set.union(*(groups(replica) for replica in replicas)) == groups(np.arange(batch_size))


def test_batches_for_replicas_are_those_of_one_device_reordered(info):
    ones, twos = batches(info, 6, mirror=True), batches(info, 6, mirror=True, num_replicas=2)
    for one, two in zip(ones, twos):
        for key in ("images", "labels"):
            np.testing.assert_array_equal(two[key], np.concatenate([one[key][0::2], one[key][1::2]]))


@pytest.mark.parametrize("replicas, hosts", [(1, 2), (2, 2), (1, 3), (2, 3), (1, 6)])
@pytest.mark.parametrize("large", [False, True])
def test_hosts_divide_the_batches_of_one_host_by_replicas(info, pngs, monkeypatch, replicas, hosts, large):
    """Replica r of R gets images r, r + R, ... of the batch of 12 that a single device would have seen."""
    options = {"seed": 3, "mirror": True, "shuffle_images": 7, "first_image": 36}
    if large:  # Then a host reads its own records only, wherever they are.
        monkeypatch.setattr(pipeline, "_READ_BY_ALL_BYTES", 0)
    info = pngs if hosts == 3 else info
    whole = batches(info, 4, batch_size=12, **options)  # Two epochs.
    for host in range(hosts):
        options.update(num_replicas=replicas, input_pipeline_index=host, num_input_pipelines=hosts)
        for one, batch in zip(whole, batches(info, 4, batch_size=12 // hosts, **options)):
            for key in ("images", "labels"):
                mine = [one[key][host * replicas + local :: hosts * replicas] for local in range(replicas)]
                np.testing.assert_array_equal(batch[key], np.concatenate(mine))


def test_the_shuffle_buffer_is_bounded_in_bytes(info):
    assert default_shuffle_images(info, 8) == COUNT
    assert default_shuffle_images(info, 4096) == 10  # 2^29 / (3 * 2^24) = 10.67.


def test_impossible_arguments_are_refused(info):
    with pytest.raises(UserError, match="batch size 7 must be a positive multiple.*2"):
        training_dataset(info, 8, 7, num_replicas=2)
    with pytest.raises(UserError, match="no level of resolution 64"):
        training_dataset(info, 64, 4)
    with pytest.raises(UserError, match="host 2 of 2"):
        training_dataset(info, 8, 4, input_pipeline_index=2, num_input_pipelines=2)


def reals_in_numpy(images, alpha):
    faded = np.empty(images.shape)
    images = images / 127.5 - 1
    for y in range(0, images.shape[1], 2):
        for x in range(0, images.shape[2], 2):
            block = images[:, y : y + 2, x : x + 2]
            mean = block.mean(axis=(1, 2), keepdims=True)
            faded[:, y : y + 2, x : x + 2] = alpha * block + (1 - alpha) * mean
    return faded


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_reals_are_scaled_and_faded_in(alpha):
    images = np.random.RandomState(0).randint(0, 256, [3, 8, 8, 2]).astype(np.uint8)
    eager = process_reals(images, alpha)
    in_graph = tf.function(process_reals)(tf.constant(images), tf.constant(alpha))
    assert eager.dtype == tf.float32
    np.testing.assert_allclose(eager, reals_in_numpy(images, alpha), atol=1e-6)
    np.testing.assert_allclose(in_graph, eager, atol=1e-6)


def test_reals_reach_both_ends_of_the_range():
    images = np.array([0, 255], np.uint8).reshape(2, 1, 1, 1) * np.ones([1, 4, 4, 3], np.uint8)
    np.testing.assert_array_equal(process_reals(images, 1.0)[:, 0, 0, 0], [-1.0, 1.0])


@pytest.mark.parametrize("lod", ["0", "0.25", "0.75", "1", "1.5", "2"])
def test_reals_are_those_of_the_authors(reference, lod):
    with np.load(reference / "process_reals.npz", allow_pickle=False) as data:
        images, expected = data[f"input_lod{lod}"], data[f"output_lod{lod}"]
    reals = process_reals(images.transpose(0, 2, 3, 1), 1 - float(lod) % 1).numpy().transpose(0, 3, 1, 2)
    scale = 2 ** int(float(lod))  # Theirs are enlarged to full resolution.
    np.testing.assert_allclose(reals.repeat(scale, axis=2).repeat(scale, axis=3), expected, atol=1e-6)
