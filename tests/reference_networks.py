"""Compares every network of the reference folder with ours and prints a table.

    python tests/reference_networks.py [--reference ../shared/reference]

The folder holds inputs, weights and results of the authors' implementation; it is not part of this repository.
"""

import argparse
import json
import pathlib

import numpy as np
import tensorflow as tf

from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig
from stylegan_tf.networks.conversion import layouts
from stylegan_tf.networks.discriminator import Discriminator
from stylegan_tf.networks.generator import Generator
from stylegan_tf.networks.keras_model import named_variables
from stylegan_tf.networks.network_file import assign_arrays
from stylegan_tf.networks.truncation import Truncation

NETWORKS = [f"config_{row}" for row in "abcdef"]
NETWORKS += ["traditional_8", "style_based_0", "style_based_2", "conditional", "gray", "fused_256"]


def generator_config(options, progan):
    renamed = {"const_input_layer": "const_input"}
    ignored = {"truncation_psi", "style_mixing_prob"}
    options = {renamed.get(name, name): value for name, value in options.items() if name not in ignored}
    if progan:
        traditional = {"use_styles": False, "const_input": False, "use_noise": False, "use_instance_norm": False}
        options.update(traditional, use_pixel_norm=True, mapping_layers=0, embed_labels=False, blur=False)
    return GeneratorConfig(**options)


def load(reference, name):
    """(data, generator, discriminator) with the weights of one reference file."""
    data = np.load(pathlib.Path(reference) / f"{name}.npz", allow_pickle=False)
    options = json.loads(str(data["config"]))
    progan = options["build"].endswith("G_paper")
    g_config = generator_config({**options["generator"], **options["common"]}, progan)
    d_options = {"blur": not progan, "use_labels": not progan}
    d_config = DiscriminatorConfig(**{**options["discriminator"], **options["common"], **d_options})
    networks = Generator(g_config), Discriminator(d_config)
    for prefix, network in zip(("var/G/", "var/D/"), networks):
        values = {key[len(prefix) :]: data[key] for key in data.files if key.startswith(prefix)}
        arrays = layouts.from_authors(values, network.config, fused_from=4 if progan else 128)
        assign_arrays(network, arrays, source=name)
    return data, *networks


def nhwc(images):
    return tf.constant(images.transpose(0, 2, 3, 1))


def relative(ours, theirs):
    """Largest absolute difference over the largest absolute reference value."""
    return float(np.abs(np.asarray(ours) - theirs).max() / max(np.abs(theirs).max(), 1e-30))


def generated(data, generator):
    """{what: relative difference} of mapping and images."""
    z, labels = data["latents"], data["labels"]
    full = generator.config.resolution
    differences = {}
    w = generator.mapping_network(z, labels=labels)
    if "dlatents" in data.files:
        differences["dlatents"] = relative(generator.broadcast(w), data["dlatents"])
    for key in data.files:
        options = {"noise_mode": "const", "labels": labels}
        if key.startswith("images_psi"):
            psi, cutoff = key[len("images_psi") :].split("_cutoff")
            options.update(truncation=Truncation(float(psi), int(cutoff)))
        elif key.startswith("images_lod"):
            lod = float(key[len("images_lod") :])
            options.update(resolution=full >> int(lod), alpha=1 - lod % 1)
        else:
            continue
        images = generator(z, **options)
        theirs = data[key].transpose(0, 2, 3, 1)
        step = full // images.shape[1]
        differences[key] = relative(images, theirs[:, ::step, ::step])
    return differences


def judged(data, discriminator):
    """{what: relative difference} of scores, R1 penalties, the loss, and its gradient (worst variable) by lod."""
    labels = data["labels"]
    variables = {name: v for name, v in named_variables(discriminator).items()}
    differences = {}
    for lod in [key[len("reals_lod") :] for key in data.files if key.startswith("reals_lod")]:
        reals = nhwc(data[f"reals_lod{lod}"])
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                inner.watch(reals)
                scores = discriminator(reals, labels=labels, alpha=1 - float(lod) % 1)
                total = tf.reduce_sum(scores)
            penalty = tf.reduce_sum(tf.square(inner.gradient(total, reals)), axis=[1, 2, 3])
            # The authors feed images at full size: each of the 4^lod copies of a pixel has 1/4^lod of its gradient.
            penalty *= (reals.shape[1] / discriminator.config.resolution) ** 2
            loss = tf.reduce_mean(tf.nn.softplus(-scores) + 5 * penalty)
        gradients = outer.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        differences[f"scores_lod{lod}"] = relative(scores[:, None], data[f"scores_lod{lod}"])
        differences[f"r1_penalty_lod{lod}"] = relative(penalty, data[f"r1_penalty_lod{lod}"])
        differences[f"d_real_loss_lod{lod}"] = relative(loss, data[f"d_real_loss_lod{lod}"])
        differences[f"d_grad_lod{lod}"] = worst_gradient(data, f"d_grad_lod{lod}/", gradients, discriminator.config)
    return differences


def worst_gradient(data, prefix, gradients, config):
    worst = 0.0
    our_names = {theirs: ours for ours, theirs in layouts.authors_names(config).items()}
    for key in data.files:
        if key.startswith(prefix):
            theirs = data[key]
            ours = gradients[our_names[key[len(prefix) :]]].numpy()
            if theirs.shape == ():  # Only the norm is on file.
                ours = np.sqrt(np.sum(np.square(ours)))
            worst = max(worst, relative(ours, theirs))
    return worst


def bound(name, what):
    return 1e-3 if name == "fused_256" or what.startswith("d_grad") else 1e-4


def compare(reference, name):
    """[(what, relative difference, bound)] for one reference file."""
    data, generator, discriminator = load(reference, name)
    differences = {**generated(data, generator), **judged(data, discriminator)}
    return [(what, difference, bound(name, what)) for what, difference in differences.items()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reference", default=pathlib.Path(__file__).parents[2] / "shared" / "reference")
    failed = 0
    for name in NETWORKS:
        for what, difference, limit in compare(parser.parse_args().reference, name):
            failed += difference > limit
            verdict = "ok" if difference <= limit else "DIFFERS"
            print(f"{name:15} {what:24} {difference:9.2e} <= {limit:.0e} {verdict}")
    print(f"{failed} outside their bounds")
    raise SystemExit(bool(failed))


if __name__ == "__main__":
    main()
