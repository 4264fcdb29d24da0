"""What each signature answers, against the networks in NumPy."""

import copy
import dataclasses
import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from stylegan_tf.config import ServingOptions
from stylegan_tf.config.errors import UserError
from stylegan_tf.networks.conversion.authors_networks import import_pickle
from stylegan_tf.networks.growth import Growth
from stylegan_tf.serving.signatures import ServedGenerator
from tests.helpers import numpy_networks as plain
from tests.helpers import tiny_networks as tiny

BOX = [0.0, 0.25, 1.0, 0.75]
NETWORKS = {
    "unconditional": ({}, ServingOptions(truncation_cutoff=2)),
    "conditional": ({"label_size": 3}, ServingOptions(truncation_cutoff=None)),
    "gray": ({"num_channels": 1, "resolution": 16}, ServingOptions(noise_mode="none")),
    "letterboxed": ({}, ServingOptions(content_box=BOX)),
    "traditional": (tiny.ROWS["b"], ServingOptions()),
    "growing": ({"resolution": 16, "growth": Growth(8, 0.25)}, ServingOptions()),
}
PSI = np.array([0.7, -0.5, 1.0], np.float32)


class Case:
    def __init__(self, name):
        options, self.options = NETWORKS[name]
        self.generator, self.weights = tiny.generator(**options)
        self.config = self.generator.config
        self.served = ServedGenerator(self.generator, self.options)
        self.signatures = self.served.signatures()
        self.labels = np.eye(3, dtype=np.float32) if self.config.label_size else None

    def ask(self, signature, **inputs):
        names = self.served.inputs()[signature]
        known = {"labels": self.labels, "other_labels": self.labels, "truncation_psi": PSI, **inputs}
        values = [tf.constant(known[name]) for name in names]
        return {name: value.numpy() for name, value in self.signatures[signature](*values).items()}

    def w(self, z):
        """[N, L, W] in float64, without truncation."""
        w = plain.mapping(self.config, self.weights, z.astype(np.float64), self.labels)
        resolution = self.generator.growth.resolution
        layers = 2 * (int(np.log2(resolution)) - 1) if self.config.use_styles else 1
        return np.tile(w[:, None], [1, layers, 1])

    def truncated(self, ws):
        if not self.config.use_styles:
            return ws
        average, cutoff = self.weights["truncation/w_avg"], self.options.truncation_cutoff
        moved = average + PSI[:, None, None] * (ws - average)
        return np.concatenate([moved[:, :cutoff], ws[:, cutoff:] if cutoff is not None else moved[:, :0]], axis=1)

    def assert_shows(self, images, ws):
        grown = dataclasses.asdict(self.generator.growth)
        use_noise = self.options.noise_mode == "const"
        expected = plain.synthesis(self.config, self.weights, ws, use_noise=use_noise, **grown)
        if self.options.content_box:
            expected = expected[:, 2:6]
        expected = np.clip(np.floor(expected * 127.5 + 128), 0, 255)
        assert images.dtype == np.uint8 and images.shape == expected.shape
        assert list(images.shape[1:]) == self.served.image_shape
        assert np.abs(images - expected).max() <= 1
        assert np.mean((expected > 0) & (expected < 255)) > 0.05  # Not all black and white.


@pytest.fixture(scope="module", params=NETWORKS)
def case(request):
    return Case(request.param)


@pytest.fixture(scope="module")
def simple():
    return Case("unconditional")


def test_default_png_and_seed_signatures_show_the_network_of_the_paper(case):
    z = np.stack([np.random.RandomState(s).randn(5) for s in (7, 8, 2**32 - 1)]).astype(np.float32)
    images = case.ask("serving_default", latents=z)["images"]
    case.assert_shows(images, case.truncated(case.w(z)))
    seeds = np.array([7, 8, 2**32 - 1])
    np.testing.assert_array_equal(case.ask("seed", seeds=seeds)["images"], images)
    for signature, inputs in (("png", {"latents": z}), ("seed_png", {"seeds": seeds})):
        pngs = case.ask(signature, **inputs)["png_bytes"]
        assert pngs.shape == (3,)
        pictures = [np.asarray(Image.open(io.BytesIO(png))) for png in pngs]
        np.testing.assert_array_equal(np.reshape(pictures, images.shape), images)


def test_mapping_and_synthesis_are_the_two_halves(case):
    z = tiny.normal(3, 5)
    ws = case.ask("mapping", latents=z)["dlatents"]
    tiny.assert_close(ws, case.w(z))
    case.assert_shows(case.ask("synthesis", dlatents=ws)["images"], ws.astype(np.float64))


def test_mixing_takes_the_first_layers_from_one_and_the_others_from_the_other(case):
    if not case.config.use_styles:
        assert "mix" not in case.signatures
        return
    z, other = tiny.normal(3, 5), tiny.normal(3, 5, seed=2)
    crossover = np.array([0, 1, case.w(z).shape[1]], np.int32)
    images = case.ask("mix", latents=z, other_latents=other, crossover=crossover)["images"]
    ws, others = case.w(z), case.w(other)
    mixed = np.stack([np.concatenate([a[:n], b[n:]]) for a, b, n in zip(ws, others, crossover)])
    case.assert_shows(images, case.truncated(mixed))


def test_any_number_of_rows_runs_the_same_graph(simple):
    signature = simple.signatures["serving_default"]
    for count in (1, 2, 5, 33):
        z = tiny.normal(count, 5)
        images = signature(tf.constant(z), tf.ones([count]))["images"]
        alone = signature(tf.constant(z[-1:]), tf.ones([1]))["images"]
        assert np.abs(images[-1].numpy().astype(int) - alone[0].numpy()).max() <= 1
    assert signature.experimental_get_tracing_count() == 1


def test_only_weights_of_the_served_resolution_are_kept(simple):
    sizes = sorted(np.prod(variable.shape) for variable in simple.served.weights)
    v = simple.weights
    unused = {"synthesis/4x4/to_rgb/weight", "synthesis/4x4/to_rgb/bias"}
    expected = sum(value.size for name, value in v.items() if name not in unused)
    assert sum(sizes) == expected


@pytest.fixture(scope="module", params=["unconditional", "conditional"])
def marking(request):
    """Served by options that fail and by options that mark."""
    case = Case(request.param)
    other = copy.copy(case)
    other.served = ServedGenerator(case.generator, dataclasses.replace(case.options, bad_rows="mark"))
    other.signatures = other.served.signatures()
    return case, other


def changed(array, row, value):
    array = array.copy()
    array[row] = value
    return array


def test_a_bad_row_is_gray_and_marked_and_the_others_are_as_without_it(marking):
    failing, marking = marking
    z = tiny.normal(3, 5)
    expected = failing.ask("serving_default", latents=z)["images"]
    whole = marking.ask("serving_default", latents=z)
    assert whole["ok"].dtype == bool and whole["ok"].tolist() == [True] * 3
    np.testing.assert_array_equal(whole["images"], expected)
    wrong = [{"latents": changed(z, 1, np.nan)}, {"latents": z, "truncation_psi": changed(PSI, 1, np.inf)}]
    if failing.labels is not None:
        wrong.append({"latents": z, "labels": changed(failing.labels, 1, np.nan)})
    for inputs in wrong:
        with pytest.raises(tf.errors.InvalidArgumentError, match="must be finite"):
            failing.ask("serving_default", **inputs)
        answer = marking.ask("serving_default", **inputs)
        assert answer["ok"].tolist() == [True, False, True]
        np.testing.assert_array_equal(answer["images"][1], np.full_like(expected[1], 128))
        assert np.abs(answer["images"].astype(int) - expected)[[0, 2]].max() <= 1
        png = marking.ask("png", **inputs)
        assert png["ok"].tolist() == [True, False, True]
        assert (np.asarray(Image.open(io.BytesIO(png["png_bytes"][1]))) == 128).all()


def test_every_signature_marks_what_it_cannot_answer(marking):
    failing, marking = marking
    z, third = tiny.normal(3, 5), [True, True, False]
    ws = failing.ask("mapping", latents=z)["dlatents"]
    answer = marking.ask("mapping", latents=changed(z, 2, np.nan))
    assert answer["ok"].tolist() == third and not answer["dlatents"][2].any()
    tiny.assert_close(answer["dlatents"][:2], ws[:2])
    bad = {
        "synthesis": [{"dlatents": changed(ws, 2, -np.inf)}, {"dlatents": changed(ws, 2, 3e38)}],  # It overflows.
        "seed": [{"seeds": np.array([0, 1, 2**32])}, {"seeds": np.array([0, 1, -1])}],
        "seed_png": [{"seeds": np.array([0, 1, 2**32])}],
        "mix": [{"latents": z, "other_latents": z, "crossover": np.array([0, 1, 99], np.int32)}],
    }
    for signature, requests in bad.items():
        for inputs in requests:
            assert marking.ask(signature, **inputs)["ok"].tolist() == third, signature
    with pytest.raises(tf.errors.InvalidArgumentError, match="as many rows as latents"):
        marking.ask("serving_default", latents=z, truncation_psi=PSI[:1])
    with pytest.raises(tf.errors.InvalidArgumentError, match="must be finite"):  # It has no output for a flag.
        values = {"latents": changed(z, 2, np.nan), "labels": marking.labels, "truncation_psi": PSI}
        marking.served({name: tf.constant(values[name]) for name in marking.served.inputs()["serving_default"]})


def test_what_bad_rows_do_is_one_of_two():
    with pytest.raises(UserError, match="bad_rows must be one of fail, mark; got 'skip'"):
        ServingOptions(bad_rows="skip")


def test_random_noise_is_fresh_for_latents_and_belongs_to_the_seed_for_seeds():
    generator, _ = tiny.generator()
    signatures = ServedGenerator(generator, ServingOptions(noise_mode="random")).signatures()
    z, psi = tf.constant(tiny.normal(1, 5)), tf.ones([1])
    first, second = (signatures["serving_default"](z, psi)["images"].numpy() for _ in range(2))
    assert (first != second).mean() > 0.1
    one, again = (signatures["seed"](tf.constant([4, 9], tf.int64), tf.ones([2]))["images"].numpy() for _ in range(2))
    alone = signatures["seed"](tf.constant([9], tf.int64), psi)["images"].numpy()
    np.testing.assert_array_equal(one, again)
    assert np.abs(one[1].astype(int) - alone[0]).max() <= 1
    ws = signatures["mapping"](z)["dlatents"]
    first, second = (signatures["synthesis"](ws)["images"].numpy() for _ in range(2))
    assert (first != second).mean() > 0.1


@pytest.mark.parametrize("name", ["config_a", "config_f", "conditional"])
def test_converted_pickles_serve_the_images_that_the_authors_code_makes(reference, name, tmp_path):
    networks = import_pickle(reference / f"{name}.pkl", tmp_path / "network.npz")
    served = ServedGenerator(networks.best_generator, ServingOptions(truncation_cutoff=8))
    data = np.load(reference / f"{name}.npz", allow_pickle=False)
    known = {"latents": data["latents"], "labels": data["labels"]}
    key, psi = ("images_lod0", 1.0) if name == "config_a" else ("images_psi0.7_cutoff8", 0.7)
    known["truncation_psi"] = np.full([len(data["latents"])], psi, np.float32)
    inputs = [tf.constant(known[name]) for name in served.inputs()["serving_default"]]
    images = served.signatures()["serving_default"](*inputs)["images"].numpy()
    expected = np.clip(np.floor(data[key].transpose(0, 2, 3, 1) * 127.5 + 128), 0, 255)
    assert np.abs(images - expected).max() <= 1 and expected.std() > 20


def test_an_export_may_truncate_towards_each_class_and_the_mean_of_mixed_ones():
    generator, _ = tiny.generator(label_size=3)
    signature = ServedGenerator(generator, ServingOptions(truncation_centre="class")).signatures()["serving_default"]
    labels = np.float32([[0, 1, 0], [1, 0, 3], [0, 0, 0]])
    images = signature(tf.constant(tiny.normal(3, 5)), tf.zeros([3]), tf.constant(labels))["images"]
    own = generator.truncation_centre("class", np.eye(3, dtype=np.float32))
    centres = np.stack([own[1], 0.25 * own[0] + 0.75 * own[2], generator.truncation.w_avg.numpy()])
    expected = generator.synthesis(np.repeat(centres[:, None], 4, axis=1), noise_mode="const").numpy()
    assert np.abs(images.numpy() - np.clip(expected * 127.5 + 127.5, 0, 255)).max() <= 0.52


def test_finite_inputs_that_overflow_fail_the_request(simple):
    z, huge = tiny.normal(3, 5), changed(PSI, 1, 3e38)
    with pytest.raises(tf.errors.InvalidArgumentError, match="images overflow: truncation_psi or another input"):
        simple.ask("serving_default", latents=z, truncation_psi=huge)
    with pytest.raises(tf.errors.InvalidArgumentError, match="dlatents overflow|images overflow"):
        simple.ask("synthesis", dlatents=changed(simple.ask("mapping", latents=z)["dlatents"], 1, 3e38))


@pytest.mark.parametrize("noise_mode, bad_rows", [("const", "fail"), ("random", "mark")])
def test_an_empty_batch_has_the_shape_of_the_others(simple, noise_mode, bad_rows):
    options = ServingOptions(noise_mode=noise_mode, bad_rows=bad_rows, content_box=BOX)
    served = ServedGenerator(simple.generator, options)
    specs = served._specs()
    for name, signature in served.signatures().items():
        inputs = [tf.zeros([0, *specs[key].shape[1:]], specs[key].dtype) for key in served.inputs()[name]]
        sizes = {"png_bytes": [], "ok": [], "dlatents": specs["dlatents"].shape[1:], "images": served.image_shape}
        shapes = {key: value.shape.as_list() for key, value in signature(*inputs).items()}
        assert shapes == {key: [0, *sizes[key]] for key in shapes}, name


def test_latents_alone_are_not_truncated(simple):
    z = tiny.normal(3, 5)
    simple.assert_shows(simple.ask("sample", latents=z)["images"], simple.w(z))
