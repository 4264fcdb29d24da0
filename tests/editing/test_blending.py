"""Averages and swaps of networks, variable by variable, and what `blend` writes."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from stylegan_tf.config import BlendOptions
from stylegan_tf.config.errors import UserError
from stylegan_tf.editing.blending import blended
from stylegan_tf.networks.growth import Growth
from stylegan_tf.networks.keras_model import named_variables
from stylegan_tf.networks.network_file import Networks, load_networks, save_networks
from tests.helpers import tiny_networks as tiny


@pytest.fixture(scope="module")
def networks():
    return {name: tiny.generator(seed)[0] for seed, name in enumerate("ab")}


def _values(generator):
    return {name: variable.numpy() for name, variable in named_variables(generator).items()}


def test_an_average_is_that_of_every_variable_also_w_avg_and_noise(networks):
    found = _values(blended(networks, BlendOptions(weights="0.25,0.75")))
    a, b = (_values(network) for network in networks.values())
    assert {"truncation/w_avg", "synthesis/8x8/conv1/noise/map"} <= set(found)
    for name, value in found.items():
        np.testing.assert_allclose(value, 0.25 * a[name] + 0.75 * b[name], rtol=1e-5, atol=1e-5)


def test_a_swap_takes_mapping_and_coarse_layers_from_the_first(networks):
    found = _values(blended(networks, BlendOptions(swap=8)))
    a, b = (_values(network) for network in networks.values())
    for name, value in found.items():
        np.testing.assert_array_equal(value, (b if name.startswith("synthesis/8x8") else a)[name], err_msg=name)


@pytest.mark.parametrize(
    "width, expected", [(0, [0, 0, 1, 1]), (2, [0, 0.25, 0.75, 1]), (4, [0.125, 0.375, 0.625, 0.875])]
)
def test_a_swap_fades_over_levels(width, expected):
    options = BlendOptions(swap=16, blend_width=width)
    assert [options.shares(2, resolution)[1] for resolution in (4, 8, 16, 32)] == expected


@pytest.mark.parametrize(
    "options, message",
    [
        ({"weights": "0.5,0.6"}, "2 numbers that add up to 1"),
        ({"weights": "0.5,x"}, "2 numbers that add up to 1"),
        ({"swap": 8, "weights": "0.5,0.5"}, "joins two networks"),
        ({"swap": 12}, "swap must be a power of two of at least 4, got 12"),
        ({"swap": 16}, "takes no layer from the second network: both end at 8"),
        ({"blend_width": 1}, "give both"),
    ],
)
def test_wrong_options_are_refused(networks, options, message):
    with pytest.raises(UserError, match=message):
        blended(networks, BlendOptions(**options))


@pytest.mark.parametrize(
    "other, message",
    [
        ({"latent_size": 6}, "a and c cannot be blended: latent_size is 5 in the first and 6 in the second"),
        ({"growth": Growth(4, 1.0)}, "resolution reached is 8 in the first and 4"),
    ],
)
def test_networks_must_be_alike(networks, other, message):
    with pytest.raises(UserError, match=message):
        blended({"a": networks["a"], "c": tiny.generator(**other)[0]}, BlendOptions())


@pytest.mark.end_to_end
def test_the_last_networks_of_a_run_become_one_that_says_so(tmp_path, networks):
    (tmp_path / "run").mkdir()
    for kimg, name in ((1, "a"), (2, "a"), (3, "b")):
        save_networks(
            tmp_path / f"run/network-{kimg:06d}.npz",
            Networks(None, None, networks[name], {"kimg": kimg, "dataset": "set"}),
        )
    command = [
        sys.executable,
        "-m",
        "stylegan_tf.blend",
        "--networks=run",
        "--last=2",
        "--output=out/c.npz",
        "--seeds=0,1",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = load_networks(tmp_path / "out" / "c.npz")
    a, b = (_values(network) for network in networks.values())
    np.testing.assert_allclose(
        _values(found.generator_ema)["truncation/w_avg"], (a["truncation/w_avg"] + b["truncation/w_avg"]) / 2, rtol=1e-5
    )
    made_of = found.metadata["blended_from"]
    assert [(source["network"], source["kimg"]) for source in made_of] == [
        ("run/network-000002.npz", 2),
        ("run/network-000003.npz", 3),
    ]
    assert found.metadata["dataset"] == "set" and "kimg" not in found.metadata and json.dumps(found.metadata)
    with Image.open(tmp_path / "out" / "c.png") as picture:
        assert picture.width > 2 * 128 and picture.height > 3 * 128  # Two seeds of both networks and of the result.
