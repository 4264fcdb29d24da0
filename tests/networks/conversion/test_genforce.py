"""Generators in GenForce's layout: compared with a network in NumPy that knows nothing but the exported file."""

import numpy as np
import pytest

from stylegan_tf.config import GeneratorConfig
from stylegan_tf.config.errors import UserError
from stylegan_tf.networks.conversion import genforce
from stylegan_tf.networks.generator import Generator
from stylegan_tf.networks.growth import Growth
from stylegan_tf.networks.network_file import Networks, load_networks, save_networks
from tests.helpers import numpy_networks as plain
from tests.helpers import tiny_networks as tiny

safetensors = pytest.importorskip("safetensors.numpy")
SQRT_2 = np.sqrt(2)
METADATA = {"licence": "not for sale", "content_box": [0.0, 0.25, 1.0, 0.75]}


def dense(x, tensors, name, gain=SQRT_2, lr=1.0):
    weight = tensors[f"{name}.weight"]  # [out, in]
    return x @ weight.T * (gain / np.sqrt(weight.shape[1]) * lr) + tensors[f"{name}.bias"] * lr


def convolution(x, weight, pad):
    """x [N, C, H, W], weight [O, I, k, k]."""
    size, k = x.shape[2], weight.shape[2]
    x = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)])
    return sum(
        np.einsum("nihw,oi->nohw", x[:, :, i : i + size, j : j + size], weight[:, :, i, j])
        for i in range(k)
        for j in range(k)
    )


def fused_upscale(x, weight):
    """A transposed convolution with stride 2, its kernel the sum of four shifts, as in the authors' files."""
    padded = np.pad(weight, [(0, 0), (0, 0), (1, 1), (1, 1)])
    kernel = padded[..., 1:, 1:] + padded[..., :-1, 1:] + padded[..., 1:, :-1] + padded[..., :-1, :-1]  # 4 x 4
    n, _, size, _ = x.shape
    y = np.zeros([n, weight.shape[0], 2 * size + 2, 2 * size + 2])
    for i in range(4):
        for j in range(4):
            y[:, :, i : i + 2 * size : 2, j : j + 2 * size : 2] += np.einsum("nihw,oi->nohw", x, kernel[:, :, i, j])
    return y[:, :, 1:-1, 1:-1]


def epilogue(x, w, tensors, name):
    x = x + tensors[f"{name}.apply_noise.noise"] * tensors[f"{name}.apply_noise.weight"][:, None, None]
    x = x + tensors[f"{name}.bias"][:, None, None]
    x = np.where(x > 0, x, 0.2 * x)
    x = x - x.mean(axis=(2, 3), keepdims=True)
    x = x / np.sqrt((x**2).mean(axis=(2, 3), keepdims=True) + 1e-8)
    style = dense(w, tensors, f"{name}.style", gain=1.0)
    scale, offset = np.split(style, 2, axis=1)
    return x * (scale + 1)[..., None, None] + offset[..., None, None]


def images_of(tensors, z):
    """[N, H, W, C] by the equations of the paper."""
    tensors = {name: value.astype(np.float64) for name, value in tensors.items()}
    w = z / np.sqrt((z**2).mean(axis=1, keepdims=True) + 1e-8)
    for index in range(sum("dense" in name for name in tensors) // 2):
        w = dense(w, tensors, f"mapping.dense{index}", lr=0.01)
        w = np.where(w > 0, w, 0.2 * w)
    x = np.tile(tensors["synthesis.layer0.const"], [len(z), 1, 1, 1])
    levels = sum(".output" in name for name in tensors) // 2
    for index in range(2 * levels):
        name = f"synthesis.layer{index}"
        if index:
            weight = tensors[f"{name}.weight"]
            weight = weight * SQRT_2 / np.sqrt(weight[0].size)
            if index % 2:
                x = convolution(x, weight, 1)
            elif 2 * x.shape[2] >= 128:
                x = fused_upscale(x, weight)
            else:
                x = convolution(x.repeat(2, axis=2).repeat(2, axis=3), weight, 1)
            if index % 2 == 0:
                blur = np.outer([1, 2, 1], [1, 2, 1]) / 16
                x = convolution(x, np.eye(x.shape[1])[:, :, None, None] * blur, 1)
        x = epilogue(x, w, tensors, name)
    weight = tensors[f"synthesis.output{levels - 1}.weight"]
    rgb = convolution(x, weight / np.sqrt(weight.shape[1]), 0)
    return (rgb + tensors[f"synthesis.output{levels - 1}.bias"][:, None, None]).transpose(0, 2, 3, 1)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A 128x128 network, whose last upscaling is fused, as a network file and as exported."""
    folder = tmp_path_factory.mktemp("genforce")
    options = {**tiny.GENERATOR, "resolution": 128, "fmap_base": 256, "num_channels": 1}
    generator = Generator(GeneratorConfig(**options))
    plain.randomize(generator, 0)
    save_networks(folder / "network.npz", Networks(generator, None, None, METADATA))
    genforce.export_genforce(folder / "network.npz", folder / "network.safetensors")
    return folder, generator


def test_the_exported_file_alone_describes_the_same_function(files):
    folder, generator = files
    z = tiny.normal(2, 5)
    expected = images_of(safetensors.load_file(folder / "network.safetensors"), z)
    images = generator(z, noise_mode="const").numpy()
    assert expected.shape == (2, 128, 128, 1) and expected.std() > 0.05
    assert np.abs(images - expected).max() < 1e-3 * np.abs(expected).max()


def test_reading_it_gives_every_weight_back(files):
    folder, generator = files
    genforce.import_genforce(folder / "network.safetensors", folder / "back.npz")
    networks = load_networks(folder / "back.npz")
    found = networks.best_generator
    assert found.config == generator.config and METADATA.items() <= networks.metadata.items()
    for ours, theirs in zip(generator.get_weights(), found.get_weights()):
        np.testing.assert_array_equal(ours, theirs)


def test_the_level_of_growth_is_the_files(files, tmp_path):
    tensors = safetensors.load_file(files[0] / "network.safetensors")
    safetensors.save_file({**tensors, "synthesis.lod": np.float32([1.5])}, tmp_path / "grows.safetensors")
    genforce.import_genforce(tmp_path / "grows.safetensors", tmp_path / "x.npz")
    assert load_networks(tmp_path / "x.npz").best_generator.growth == Growth(64, 0.5)


def test_a_file_that_is_not_what_was_read_gets_no_name(files, tmp_path, monkeypatch):
    def save(path, networks):
        networks.best_generator.truncation.w_avg.assign_add(np.ones([7]))
        save_networks(path, networks)

    monkeypatch.setattr(genforce, "save_networks", save)
    with pytest.raises(RuntimeError, match="x.npz: truncation.w_avg was not written as it is in the source"):
        genforce.import_genforce(files[0] / "network.safetensors", tmp_path / "x.npz")
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_fit_is_named(files, tmp_path):
    folder, _ = files
    tensors = safetensors.load_file(folder / "network.safetensors")
    cases = {
        "tensor synthesis.layer3.extra is not part": {**tensors, "synthesis.layer3.extra": np.zeros(1, np.float32)},
        "tensor synthesis.layer2.weight is missing": {
            k: v for k, v in tensors.items() if k != "synthesis.layer2.weight"
        },
        "truncation.w_avg holds NaN": {**tensors, "truncation.w_avg": np.full([7], np.nan, np.float32)},
        "tensor truncation.w_avg is missing": {k: v for k, v in tensors.items() if k != "truncation.w_avg"},
        "'lod' .* is .*9.*, expected a number from 0 to 5": {**tensors, "synthesis.lod": np.float32([9])},
        "expected tensors synthesis.output0.weight": {"a": np.zeros(1, np.float32)},
    }
    for message, wrong in cases.items():
        safetensors.save_file(wrong, tmp_path / "wrong.safetensors")
        with pytest.raises(UserError, match=message):
            genforce.import_genforce(tmp_path / "wrong.safetensors", tmp_path / "x.npz")
    (tmp_path / "text.safetensors").write_text("no tensors")
    with pytest.raises(UserError, match="not a readable .safetensors file"):
        genforce.import_genforce(tmp_path / "text.safetensors", tmp_path / "x.npz")
    labels, _ = tiny.generator(label_size=2)
    save_networks(tmp_path / "labels.npz", Networks(labels, None, None, {}))
    with pytest.raises(UserError, match="has labels, no styles, or still grows"):
        genforce.export_genforce(tmp_path / "labels.npz", tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    "options, message",
    [
        ({"blur": False}, "blur=False"),
        ({"normalize_latents": False}, "normalize_latents=False"),
        ({"const_input": False}, "const_input=False"),
        ({"use_pixel_norm": True}, "use_pixel_norm=True"),
        ({"use_instance_norm": False}, "use_instance_norm=False"),
        ({"mapping_layers": 0}, "mapping.dense0"),
        ({"fmap_base": 27, "fmap_max": 99}, "shape"),  # 13 channels at 4x4; 12 would follow from the 6 at 8x8.
    ],
)
def test_an_option_that_the_layout_cannot_describe_is_refused(options, message, tmp_path):
    generator, _ = tiny.generator(**options)
    save_networks(tmp_path / "network.npz", Networks(generator, None, None, {}))
    with pytest.raises(UserError, match=message):
        genforce.export_genforce(tmp_path / "network.npz", tmp_path / "x.safetensors")
    assert not (tmp_path / "x.safetensors").exists()


def test_another_learning_rate_multiplier_of_the_mapping_network_is_scaled_into_its_tensors(tmp_path):
    generator, _ = tiny.generator(mapping_lrmul=0.1)
    save_networks(tmp_path / "network.npz", Networks(generator, None, None, {}))
    genforce.export_genforce(tmp_path / "network.npz", tmp_path / "x.safetensors")
    back = genforce.import_genforce(tmp_path / "x.safetensors", tmp_path / "back.npz").generator_ema
    assert back.config.mapping_lrmul == 0.01
    z = tiny.normal(3, 5)
    expected = generator(z, noise_mode="const").numpy()
    np.testing.assert_allclose(back(z, noise_mode="const"), expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_an_option_without_effect_is_accepted(tmp_path):
    generator, _ = tiny.generator(fmap_max=512, mapping_layers=1, mapping_fmaps=3, embed_labels=False)
    save_networks(tmp_path / "network.npz", Networks(generator, None, None, {}))
    genforce.export_genforce(tmp_path / "network.npz", tmp_path / "x.safetensors")
    genforce.import_genforce(tmp_path / "x.safetensors", tmp_path / "back.npz")
    z = tiny.normal(2, 5)
    back = load_networks(tmp_path / "back.npz").best_generator
    images = [network(z, noise_mode="const").numpy() for network in (back, generator)]
    np.testing.assert_allclose(*images, atol=1e-5)
