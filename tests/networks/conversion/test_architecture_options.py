"""The authors' recorded options as ours: what maps, what is understood, and what is refused by name."""

import dataclasses
import json

import numpy as np
import pytest

from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig
from stylegan_tf.config.errors import UserError
from stylegan_tf.config.option import option
from stylegan_tf.networks.conversion.layouts import (
    default_fused_from,
    from_authors,
    read_architecture,
    write_architecture,
)
from tests.helpers import authors_layout as authors

SIZES = {"resolution": 16, "num_channels": 3, "label_size": 0, "fmap_base": 32, "fmap_max": 6}
VECTORS = {"latent_size": 5, "dlatent_size": 7, "mapping_layers": 2, "mapping_fmaps": 9}
VARIABLES = {
    "G_style": authors.full_names(authors.style_generator()),
    "G_paper": authors.full_names(authors.progan_generator()),
    "D_basic": authors.full_names(authors.discriminator()),
    "D_paper": authors.full_names(authors.discriminator(function="D_paper")),
}
PLAIN = {"use_styles": False, "const_input": False, "use_noise": False, "use_instance_norm": False}
PROGAN = {**PLAIN, "use_pixel_norm": True, "mapping_layers": 0, "embed_labels": False, "blur": False}


def read(function="G_style", options=None, **more):
    return read_architecture(function, {**(SIZES if options is None else options), **more}, VARIABLES[function])


@pytest.mark.parametrize(
    "theirs, ours",
    [
        ({}, {}),
        ({"const_input_layer": False, "use_noise": False}, {"const_input": False, "use_noise": False}),
        ({"mapping_lrmul": 1, "normalize_latents": False}, {"mapping_lrmul": 1.0, "normalize_latents": False}),
        ({"blur_filter": None}, {"blur": False}),
        ({"blur_filter": [1, 2, 1], "fmap_decay": 1, "nonlinearity": "lrelu", "use_wscale": True}, {}),
        ({"truncation_psi": None, "truncation_cutoff": 4, "style_mixing_prob": 0.5, "dlatent_avg_beta": None}, {}),
        ({"structure": "linear", "dtype": "float16", "randomize_noise": False, "is_training": True}, {}),
        ({"mbstd_group_size": 8}, {}),  # The discriminator's: the authors' generator takes no notice, either.
    ],
)
def test_options_of_a_style_based_generator(theirs, ours):
    assert read(**VECTORS, **theirs).config == GeneratorConfig(**{**SIZES, **VECTORS, **ours})


def test_what_is_not_recorded_is_the_authors_default():
    assert read(options={}).config == GeneratorConfig(resolution=16)
    assert read("D_basic", options={}).config == DiscriminatorConfig(resolution=16)


@pytest.mark.parametrize("options", [SIZES, {"fmap_base": 32, "fmap_max": 6, "latent_size": None}])
def test_progan_takes_sizes_that_are_not_recorded_from_its_variables(options):
    assert read("G_paper", options).config == GeneratorConfig(**SIZES, latent_size=6, **PROGAN)
    unlabelled = {name: value for name, value in options.items() if name != "latent_size"}
    expected = DiscriminatorConfig(**SIZES, blur=False, use_labels=False)
    assert read("D_paper", unlabelled).config == expected


def test_progan_without_pixel_norm():
    assert read("G_paper", use_pixelnorm=False, use_leakyrelu=True).config.use_pixel_norm is False


def test_a_group_of_one_has_no_minibatch_statistics():
    assert [read("D_basic", mbstd_group_size=n).config.mbstd_group_size for n in (0, 1, 2, 4)] == [0, 0, 2, 4]


@pytest.mark.parametrize("function, default", [("G_style", 128), ("G_paper", 8)])
def test_fused_scale_says_which_kernels_are_mirrored(function, default):
    assert read(function).fused_from == default
    assert read(function, fused_scale="auto").fused_from == 128
    assert read(function, fused_scale=True).fused_from == 8
    assert read(function, fused_scale=False).fused_from > 2**20


@pytest.mark.parametrize(
    "options, message",
    [
        ({"nonlinearity": "relu"}, "option nonlinearity is 'relu'; only 'lrelu' is possible"),
        ({"mapping_nonlinearity": "relu"}, "option mapping_nonlinearity is 'relu'"),
        ({"use_wscale": False}, "option use_wscale is False"),
        ({"blur_filter": [1, 3, 3, 1]}, r"option blur_filter is \[1, 3, 3, 1\]"),
        ({"fmap_decay": 0.5}, "option fmap_decay is 0.5"),
        ({"mbstd_num_features": 2}, "option mbstd_num_features is 2"),
        ({"attention": True}, "option 'attention' is unknown"),
        ({"fmap_max": "many"}, "option fmap_max is 'many', expected a whole number"),
        ({"fmap_max": 6.5}, "option fmap_max is 6.5, expected a whole number"),
        ({"latent_size": True}, "option latent_size is True, expected a whole number"),
        ({"use_noise": "no"}, "option use_noise is 'no', expected True or False"),
        ({"mapping_lrmul": [1]}, r"option mapping_lrmul is \[1\], expected a number above 0"),
        ({"mapping_lrmul": 0}, "option mapping_lrmul is 0, expected a number above 0"),
        ({"fmap_max": float("inf")}, "option fmap_max is inf, expected a whole number"),
        ({"fused_scale": "often"}, "option fused_scale is 'often'"),
        ({"resolution": 48}, "resolution must be a power of two"),
        ({"mapping_layers": 10**12}, "option mapping_layers is 1000000000000, but there are fewer variables"),
        ({"resolution": 2**20}, "leaves no channels"),
        ({"resolution": 2**61}, "resolution must be at most 2147483647"),
    ],
)
def test_what_we_do_not_have_is_refused_by_name(options, message):
    with pytest.raises(UserError, match=message):
        read(**options)


@pytest.mark.parametrize("function", ["G_mapping", "G_synthesis", "G_stylegan2", "D_stylegan2", "G"])
def test_other_functions_are_refused_by_name(function):
    with pytest.raises(UserError, match=f"build function '{function}' is unknown"):
        read_architecture(function, SIZES, {})


@pytest.mark.parametrize(
    "config",
    [
        GeneratorConfig(**SIZES, **VECTORS),
        GeneratorConfig(**{**SIZES, "label_size": 3}, **VECTORS, blur=False, use_noise=False, mapping_lrmul=0.5),
        GeneratorConfig(**SIZES, latent_size=6, **PROGAN),
        DiscriminatorConfig(**{**SIZES, "label_size": 3}, mbstd_group_size=0),
        DiscriminatorConfig(**{**SIZES, "label_size": 3}, blur=False, use_labels=False),
    ],
)
def test_written_options_are_read_as_the_same_architecture(config):
    function, options = write_architecture(config)
    assert read_architecture(function, options, VARIABLES["G_style"]) == (config, default_fused_from(config))


def test_a_label_concatenation_that_the_authors_do_not_have_is_refused():
    with pytest.raises(UserError, match="no form without a label matrix"):
        write_architecture(GeneratorConfig(**{**SIZES, "label_size": 3}, embed_labels=False))


def test_the_options_of_every_reference_network_describe_its_variables(reference):
    files = [path for path in sorted(reference.glob("*.npz")) if "config" in np.load(path, allow_pickle=False).files]
    assert len(files) == 12
    for path in files:
        data = np.load(path, allow_pickle=False)
        options = json.loads(str(data["config"]))
        g_function = options["build"].rpartition(".")[2]
        functions = {"G": g_function, "D": "D_paper" if g_function == "G_paper" else "D_basic"}
        for name, part in (("G", "generator"), ("D", "discriminator")):
            variables = {key[6:]: data[key] for key in data.files if key.startswith(f"var/{name}/")}
            architecture = read_architecture(functions[name], {**options[part], **options["common"]}, variables)
            arrays = from_authors(variables, *architecture)
            assert len(arrays) >= len(variables) - 2, path.name  # All but the two called lod.


@dataclasses.dataclass(frozen=True)
class Newer(GeneratorConfig):
    extra_gain: float = option(1.0, "Something new.", added_later=True)


def test_an_option_that_the_authors_do_not_have_is_refused_where_it_is_not_at_its_default():
    assert write_architecture(Newer()) == write_architecture(GeneratorConfig())
    with pytest.raises(UserError, match="G_style has nothing like extra_gain 2.0"):
        write_architecture(Newer(extra_gain=2.0))


def test_digests_do_not_change_with_an_option_that_a_network_does_not_use():
    assert Newer().digest_fields() == GeneratorConfig().digest_fields() == GeneratorConfig().to_dict()
    assert Newer(extra_gain=2.0).digest_fields() == {**GeneratorConfig().to_dict(), "extra_gain": 2.0}
