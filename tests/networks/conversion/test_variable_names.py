"""Names and layouts of the authors' variables against tables written by hand, and the mirrored kernels."""

import numpy as np
import pytest

from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig
from stylegan_tf.config.errors import UserError
from stylegan_tf.networks.conversion.layouts import authors_names, from_authors, to_authors
from stylegan_tf.ops.resampling import upscale_conv_2d
from tests.helpers import authors_layout as authors
from tests.helpers import numpy_networks as plain

SIZES = {"resolution": 16, "fmap_base": 32, "fmap_max": 6}
VECTORS = {"latent_size": 5, "dlatent_size": 7, "mapping_layers": 2, "mapping_fmaps": 9}
STYLE = GeneratorConfig(**SIZES, **VECTORS)
PROGAN = GeneratorConfig(
    **SIZES,
    latent_size=6,
    mapping_layers=0,
    use_styles=False,
    const_input=False,
    use_noise=False,
    use_pixel_norm=True,
    use_instance_norm=False,
    embed_labels=False,
    blur=False,
)
NEVER = 2**20


def test_names_of_a_style_based_generator():
    names = authors_names(GeneratorConfig(**SIZES, **VECTORS, label_size=3))
    expected = {
        "mapping/label_embedding/weight": "G_mapping/LabelConcat/weight",
        "mapping/dense1/bias": "G_mapping/Dense1/bias",
        "truncation/w_avg": "dlatent_avg",
        "synthesis/4x4/const/const": "G_synthesis/4x4/Const/const",
        "synthesis/4x4/const/noise/map": "G_synthesis/noise0",
        "synthesis/4x4/conv/noise/map": "G_synthesis/noise1",
        "synthesis/8x8/conv0_up/noise/map": "G_synthesis/noise2",
        "synthesis/16x16/conv1/noise/map": "G_synthesis/noise5",
        "synthesis/8x8/conv0_up/noise/strength": "G_synthesis/8x8/Conv0_up/Noise/weight",
        "synthesis/8x8/conv1/style/bias": "G_synthesis/8x8/Conv1/StyleMod/bias",
        "synthesis/4x4/to_rgb/weight": "G_synthesis/ToRGB_lod2/weight",
        "synthesis/16x16/to_rgb/bias": "G_synthesis/ToRGB_lod0/bias",
    }
    assert {name: names[name] for name in expected} == expected


def test_progan_and_discriminators_have_no_prefix():
    names = authors_names(PROGAN)
    assert names["synthesis/4x4/dense/weight"] == "4x4/Dense/weight"
    assert names["synthesis/8x8/conv0_up/bias"] == "8x8/Conv0_up/bias"
    assert names["synthesis/8x8/to_rgb/weight"] == "ToRGB_lod1/weight"
    names = authors_names(DiscriminatorConfig(**SIZES))
    assert names["16x16/conv1_down/weight"] == "16x16/Conv1_down/weight"
    assert (names["4x4/from_rgb/bias"], names["4x4/dense0/weight"]) == ("FromRGB_lod2/bias", "4x4/Dense0/weight")


def test_image_axes_move_and_everything_else_stays():
    source = authors.full_names(authors.style_generator())
    arrays = from_authors(source, STYLE, fused_from=NEVER)
    const, noise = source["G_synthesis/4x4/Const/const"], source["G_synthesis/noise5"]
    assert arrays["synthesis/4x4/const/const"][0, 1, 2, 3] == const[0, 3, 1, 2]
    assert arrays["synthesis/16x16/conv1/noise/map"][0, 7, 8, 0] == noise[0, 0, 7, 8]
    for ours, theirs in authors_names(STYLE).items():
        if not ours.endswith(("const/const", "noise/map")):
            np.testing.assert_array_equal(arrays[ours], source[theirs], err_msg=theirs)


def fused_upscale_conv(x, stored):
    """What the authors' fused layer computes: stride-2 transposed convolution with the summed, unflipped kernel."""
    padded = np.pad(stored, [(1, 1), (1, 1), (0, 0), (0, 0)])
    kernel = padded[1:, 1:] + padded[:-1, 1:] + padded[1:, :-1] + padded[:-1, :-1]  # [4, 4, I, O]
    count, height, width, _ = x.shape
    out = np.zeros([count, 2 * height + 2, 2 * width + 2, stored.shape[-1]])
    for row in range(height):
        for column in range(width):
            spread = np.einsum("ni,abio->nabo", x[:, row, column], kernel)
            out[:, 2 * row : 2 * row + 4, 2 * column : 2 * column + 4] += spread
    return out[:, 1:-1, 1:-1]


@pytest.mark.parametrize("size, fused", [(8, False), (16, True)])
def test_our_upscaling_with_a_converted_kernel_is_the_authors_layer(size, fused):
    source = authors.full_names(authors.style_generator())
    stored = source[f"G_synthesis/{size}x{size}/Conv0_up/weight"]
    converted = from_authors(source, STYLE, fused_from=16)[f"synthesis/{size}x{size}/conv0_up/weight"]
    x = np.random.RandomState(3).randn(2, 4, 5, stored.shape[2]).astype(np.float32)
    plain_layer = plain.conv(plain.upscale(x.astype(np.float64)), stored, gain=np.sqrt(9 * stored.shape[2]))
    theirs = fused_upscale_conv(x.astype(np.float64), stored) if fused else plain_layer
    ours = upscale_conv_2d(x, np.ascontiguousarray(converted)).numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("fused_from", [8, 16, NEVER])
@pytest.mark.parametrize(
    "config, network",
    [
        (STYLE, authors.style_generator()),
        (PROGAN, authors.progan_generator()),
        (DiscriminatorConfig(**SIZES), authors.discriminator()),
    ],
    ids=["style", "progan", "discriminator"],
)
def test_there_and_back_changes_nothing(config, network, fused_from):
    source = authors.full_names(network)
    back = to_authors(from_authors(source, config, fused_from), config, fused_from)
    assert set(source) - set(back) <= {"lod", "G_synthesis/lod"} and set(back) <= set(source)
    for name, value in back.items():
        np.testing.assert_array_equal(value, source[name], err_msg=name)


def test_what_does_not_fit_is_named():
    source = authors.full_names(authors.style_generator())
    with pytest.raises(UserError, match="variable 'G_synthesis/8x8/Conv2/weight' is not part of"):
        from_authors({**source, "G_synthesis/8x8/Conv2/weight": np.zeros(3)}, STYLE, NEVER)
    missing = {name: value for name, value in source.items() if name != "G_mapping/Dense1/bias"}
    with pytest.raises(UserError, match="variable 'G_mapping/Dense1/bias' is missing"):
        from_authors(missing, STYLE, NEVER)
    wrong = {**source, "G_synthesis/4x4/Const/const": np.zeros([1, 4, 4, 6], np.float32)}
    with pytest.raises(UserError, match=r"Const/const' has shape \(1, 4, 4, 6\); .* should be \(1, 6, 4, 4\)"):
        from_authors(wrong, STYLE, NEVER)
    without = {name: value for name, value in source.items() if name != "dlatent_avg"}
    with pytest.raises(UserError, match="variable 'dlatent_avg' is missing"):
        from_authors(without, STYLE, NEVER)


def test_progan_has_no_average_of_w():
    arrays = from_authors(authors.full_names(authors.progan_generator()), PROGAN, 8)
    np.testing.assert_array_equal(arrays["truncation/w_avg"], np.zeros(6))
