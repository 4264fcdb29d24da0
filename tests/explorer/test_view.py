"""Views of the page: the plane of seeds, and the command that makes the same picture."""

import numpy as np
import pytest

from stylegan_tf.explorer.plane import parse_position
from stylegan_tf.explorer.view import View


def test_whole_positions_are_seeds_and_others_lie_between_four():
    seeds, shares = View(seed=7, position=(2.0, 1.0)).corners()
    assert seeds[0] == 7 + 2 + 100 and shares.tolist() == [1, 0, 0, 0]
    seeds, shares = View(position=(0.25, 3.5)).corners()
    assert seeds == [300, 301, 400, 401]
    np.testing.assert_allclose(shares, [0.375, 0.125, 0.375, 0.125])
    assert View(seed=2**32 - 1, position=(1.0, 0.0)).corners()[0][0] == 0  # No seed is beyond NumPy's.


@pytest.mark.parametrize(
    "text, position", [("1.5,2", (1.5, 2)), ("-3,99", (0, 9)), ("", (0, 0)), ("a,b", (0, 0)), ("nan,1", (0, 1))]
)
def test_positions_from_the_browser_stay_on_the_plane(text, position):
    assert parse_position(text) == position


def test_the_command_of_a_seed_needs_no_file():
    view = View(seed=5, position=(1.0, 0.0), psi=0.5, cutoff=4, label=2, moves=(("my hat", 1.5), ("b", 0.0)))
    assert view.command("runs/my demo", "d.npz") == (
        "python -m stylegan_tf.generate --network 'runs/my demo' --seeds 6 --truncation_psi 0.5 --truncation_cutoff 4 "
        "--class 2 --directions d.npz --move 'my hat=1.5' --outdir out"
    )
    assert " --class 'tabby cat' " in View(label=1).command("demo", None, ("1", "tabby cat"))  # "1" would be the first.
    assert View(noise_mode="none").command("demo", None).endswith("--noise_mode none --outdir out")
    for view in (View(), View(position=(0.5, 0.0))):
        assert view.command("demo", None, crop=False).endswith(" --nocrop --outdir out")


@pytest.mark.parametrize(
    "options",
    [
        {"position": (0.5, 0.0)},
        {"found": np.zeros([2, 3])},
        {"mixed_groups": ("fine",)},
        {"noise_mode": "random"},
        {"noise_strengths": (1.0, 0.5, 1.0)},
    ],
)
def test_what_no_seed_says_is_in_a_file_of_dlatents(options):
    assert "--dlatents dlatents.npz" in View(**options).command("demo", None)
