"""Images, scores, penalties and gradients of the authors' implementation, where its numbers are beside the checkout."""

import numpy as np
import pytest
import reference_networks
import tensorflow as tf

from stylegan_tf.ops import compiling

# In config_a.npz, what was recorded for gradients at a level of detail above 0 does not belong to the recorded
# scores: the file contradicts itself there (the last test), so these rows tell nothing about us.
CONTRADICTORY = {f"d_grad_lod{lod}" for lod in ("0.4", "1", "1.25", "2")}
CONTRADICTORY |= {f"{what}_lod{lod}" for what in ("r1_penalty", "d_real_loss") for lod in ("1.25", "2")}


@pytest.mark.parametrize("name", reference_networks.NETWORKS)
def test_a_network_computes_what_the_authors_one_does(reference, name):
    rows = reference_networks.compare(reference, name)
    compared = {what for what, _, _ in rows}
    assert {"images_lod0", "images_lod1", "scores_lod1", "r1_penalty_lod0", "d_grad_lod0"} <= compared
    if name == "config_a":
        assert CONTRADICTORY <= compared
        rows = [row for row in rows if row[0] not in CONTRADICTORY]
    outside = [f"{what}: {difference:.1e} > {limit:.0e}" for what, difference, limit in rows if not difference <= limit]
    assert not outside


def test_the_compiled_form_computes_what_the_authors_network_does(reference, monkeypatch):
    monkeypatch.setattr(compiling, "_LEAST_ELEMENTS", 1)  # Compile what is small, too.
    data, generator, _ = reference_networks.load(reference, "config_f")
    generate = tf.function(lambda z: generator(z, noise_mode="const"))
    z = tf.constant(data["latents"])
    library = generate.get_concrete_function(z).graph.as_graph_def().library
    assert any(function.attr["_XlaMustCompile"].b for function in library.function)
    expected = data["images_lod0"].transpose(0, 2, 3, 1)
    assert reference_networks.relative(generate(z), expected) <= reference_networks.bound("config_f", "images_lod0")


def _bias_gradient_differs(data, lod):
    """Whether the gradient of mean softplus(-score) by the last bias, -mean sigmoid(-score), is not on file.

    The gradient penalty does not depend on that bias.
    """
    scores = data[f"scores_lod{lod}"].astype(np.float64)
    expected = -np.mean(1 / (1 + np.exp(scores)))
    return abs(data[f"d_grad_lod{lod}/4x4/Dense1/bias"][0] - expected) > 1e-4


def test_the_excluded_gradients_contradict_the_scores_in_their_own_file(reference):
    with np.load(reference / "config_a.npz", allow_pickle=False) as data:
        differing = [lod for lod in ("0", "0.4", "1", "1.25", "2") if _bias_gradient_differs(data, lod)]
    assert differing == ["0.4", "1", "1.25", "2"]
    for name in ("config_b", "config_f", "traditional_8"):
        with np.load(reference / f"{name}.npz", allow_pickle=False) as data:
            assert not any(_bias_gradient_differs(data, lod) for lod in ("0", "0.4", "1", "1.25", "2"))


def test_the_excluded_loss_contradicts_the_scores_in_its_own_file(reference):
    with np.load(reference / "config_a.npz", allow_pickle=False) as data:
        without_penalty = np.mean(np.logaddexp(0, -data["scores_lod2"].astype(np.float64)))
        assert data["d_real_loss_lod2"] < without_penalty  # The penalty is a sum of squares.
