"""Views: the plane of seeds, JSON and its bounds, and the command that makes the same picture."""

import json

import numpy as np
import pytest

from stylegan_tf.config.errors import UserError
from stylegan_tf.explorer.view import Blend, NetworkInfo, View

INFO = NetworkInfo(
    num_layers=8, num_noise_layers=8, groups=("coarse", "fine"), label_names=("cat", "dog"), directions=("my hat", "b"),
    resolutions=(4, 8, 16, 32),
)  # fmt: skip


def test_a_whole_position_is_a_seed_and_others_lie_between_four():
    seeds, shares = View(seed=107).corners()
    assert seeds[0] == 107 and shares.tolist() == [1, 0, 0, 0]
    seeds, shares = View(seed=300, offset=(0.25, 0.5)).corners()
    assert seeds == [300, 301, 400, 401]
    np.testing.assert_allclose(shares, [0.375, 0.125, 0.375, 0.125])
    seeds, shares = View(seed=300, offset=(-0.25, 0.0)).corners()
    assert seeds[:2] == [299, 300]
    np.testing.assert_allclose(shares, [0.25, 0.75, 0, 0])
    assert View(seed=2**32 - 1, offset=(0.5, 0.0)).corners()[0][1] == 0  # No seed is beyond NumPy's.


def test_views_pass_through_json_unchanged():
    view = View(
        network="n", seed=5, offset=(0.5, -0.25), psi=-1.0, cutoff=3, centre="class", classes={1: 0.5}, found="name",
        mixing={"fine": 9}, noise_mode="random", noise_seed=7, strengths={2: 0.0}, moves={"b": -2.5},
        blend=Blend("m", 0.25, 16),
    )  # fmt: skip
    assert View.from_json(json.loads(json.dumps(view.to_json())), INFO) == view
    assert View.from_json({"network": "n"}, INFO) == View.first("n", INFO) == View("n", classes={0: 1.0})


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"seed": -5}, "seed must be a whole number from 0 to 4294967295, got -5."),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"psi": 9}, "psi must be a number from -2 to 2, got 9."),
        ({"psi": float("nan")}, "psi must be a number from -2 to 2, got nan."),
        ({"psi": True}, "psi must be a number"),
        ({"cutoff": 9}, "cutoff must be a whole number from 0 to 8"),
        ({"offset": [0, 0, 0]}, "offset must be two numbers"),
        ({"offset": [0, "a"]}, "offset must be a number from -1 to 1, got 'a'."),
        ({"classes": {"2": 1}}, "classes: the network has no 2, only 0, 1."),
        ({"classes": {"1": 7}}, "classes of 1 must be a number from 0 to 1"),
        ({"mixing": {"middle": 1}}, "mixing: the network has no middle, only coarse, fine."),
        ({"mixing": 5}, "mixing must be a JSON object"),
        ({"noise_mode": "loud"}, "noise_mode must be one of const, random, none"),
        ({"noise_seed": 2**31}, "noise_seed must be a whole number"),
        ({"strengths": {"8": 1}}, "strengths: the network has no 8"),
        ({"moves": {"b": "x" * 9999}}, "moves of b must be a number from -10 to 10, got 'xxx"),
        ({"found": 5}, "found must be text"),
        ({"blend": "m"}, "blend must be a JSON object with a network, got 'm'."),
        ({"blend": {"network": "m", "share": 2}}, "blend: share must be a number from 0 to 1, got 2."),
        ({"blend": {"network": "m", "swap": 12}}, "blend: swap must be one of 0, 4, 8, 16, 32, got 12."),
        ({"colour": 1}, "a view has no field 'colour'."),
    ],
)
def test_what_is_no_view_is_said_in_one_short_sentence(fields, message):
    with pytest.raises(UserError, match="^" + message.replace(".", "\\.").replace("(", "\\(")) as caught:
        View.from_json(fields, INFO)
    assert len(str(caught.value)) < 200


def test_the_command_of_a_seed_needs_no_file():
    view = View(seed=6, psi=0.5, cutoff=4, classes={2: 1.0}, moves={"my hat": 1.5, "b": 0.0})
    assert view.command("runs/my demo", "d.npz") == (
        "python -m stylegan_tf.generate --network 'runs/my demo' --seeds 6 --truncation_psi 0.5 --truncation_cutoff 4 "
        "--truncation_centre all --class 2 --directions d.npz --move 'my hat=1.5' --outdir out"
    )
    names = ("1", "tabby cat", "a,b")
    assert " --class 'tabby cat' " in View(classes={1: 1.0}).command("demo", None, names)  # "1" would be the first.
    assert " --class '1=0.25,tabby cat=0.5' " in View(classes={0: 0.25, 1: 0.5}).command("demo", None, names)
    assert " --dlatents " in View(classes={0: 0.25, 2: 0.5}).command("demo", None, names)  # It would be read otherwise.
    zero = View.from_json({"classes": {}}, INFO)  # The last class of a blend is removed.
    assert " --class cat=0 " in zero.command("demo", None, INFO.label_names)
    assert View(noise_mode="none").command("demo").endswith("--noise_mode none --outdir out")
    for view in (View(), View(offset=(0.5, 0.0))):
        assert view.command("demo", crop=False).endswith(" --nocrop --outdir out")


@pytest.mark.parametrize("options, flags", [((0.25,), "--weights 0.75,0.25"), ((0.25, 16), "--swap 16")])
def test_the_command_of_a_blend_makes_the_network_first(options, flags):
    command = View(network="a", seed=6, blend=Blend("b", *options)).command("runs/a", blended_with="runs/b")
    assert command == (
        f"python -m stylegan_tf.blend --networks runs/a,runs/b {flags} --nopicture --output blend.npz && "
        "python -m stylegan_tf.generate --network blend.npz --seeds 6 --truncation_psi 0.7 --truncation_cutoff 8 "
        "--outdir out"
    )


@pytest.mark.parametrize(
    "options",
    [
        {"offset": (0.5, 0.0)},
        {"found": "name"},
        {"mixing": {"fine": 1}},
        {"noise_mode": "random"},
        {"strengths": {1: 0.5}},
    ],
)
def test_what_no_flag_says_is_in_a_file_of_dlatents(options):
    assert View(**options).needs_file() and "--dlatents dlatents.npz" in View(**options).command("demo")
