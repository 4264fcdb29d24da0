"""Images, scores, penalties and gradients of the authors' implementation, where its numbers are beside the checkout."""

import pytest
import tensorflow as tf

from stylegan_tf.ops import forms
from tests import reference_networks


@pytest.mark.parametrize("name", reference_networks.NETWORKS)
def test_a_network_computes_what_the_authors_one_does(reference, name):
    rows = reference_networks.compare(reference, name)
    compared = {what for what, _, _ in rows}
    assert {"images_lod0", "images_lod1", "scores_lod1", "r1_penalty_lod0", "d_grad_lod0"} <= compared
    outside = [f"{what}: {difference:.1e} > {limit:.0e}" for what, difference, limit in rows if not difference <= limit]
    assert not outside


def test_the_compiled_form_computes_what_the_authors_network_does(reference, monkeypatch):
    monkeypatch.setattr(forms, "_MIN_ELEMENTS", 1)  # Compile what is small, too.
    data, generator, _ = reference_networks.load(reference, "config_f")
    generate = tf.function(lambda z: generator(z, noise_mode="const"))
    z = tf.constant(data["latents"])
    with forms.compiled_chains():
        library = generate.get_concrete_function(z).graph.as_graph_def().library
    assert any(function.attr["_XlaMustCompile"].b for function in library.function)
    expected = data["images_lod0"].transpose(0, 2, 3, 1)
    assert reference_networks.relative(generate(z), expected) <= reference_networks.bound("config_f", "images_lod0")
