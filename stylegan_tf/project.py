"""Finds pictures in the latent space of a network: the styles whose images are nearest to them.

    python -m stylegan_tf.project --network runs/demo --target photo.jpg --outdir projected
    python -m stylegan_tf.project --network runs/demo --target FOLDER --outdir projected --space w+ --video

Writes projected.png, target.png, both side by side in compared.png, and dlatents.npz, which generate, mix, interpolate
and explore take. Of a folder (or any other --source of create_tfrecords) every picture gets a folder of its own, and
--outdir the dlatents.npz and compared.png of all; the same command resumes when interrupted.
"""

import dataclasses
import functools
import sys
from pathlib import Path

from stylegan_tf.cli import command_line, flags
from stylegan_tf.cli.progress import ProgressBar
from stylegan_tf.cli.seeds_and_labels import class_label
from stylegan_tf.config import PictureOptions, ProjectionConfig, SourceOptions, TrainConfig

FLAGS = flags.FLAGS
with flags.group("Network and pictures"):
    flags.define_network()
    flags.define("target", None, "A picture, a folder of pictures, or another source of create_tfrecords.")
    flags.define("outdir", None, "A folder for the results.")
    flags.define_options(
        SourceOptions,
        max_images="The first pictures of a folder only.",
        fit="Pictures of other sizes: crop: the central square; pad: letterbox; stretch: distort. Left out: as the "
        "network's pictures were, crop if they were square.",
        background="Of transparent and letterboxed pictures.",
    )
    flags.define("crop", True, "If the network was trained on letterboxed pictures: leave the bars out.")
    flags.define("class", None, "For a network with labels: classes by name or number: cat, 3, or 0=0.3,2=1.")
    flags.define("video", False, "Also write projection.webp: the picture beside the images of the search.")
with flags.group("Search"):
    flags.define_options(ProjectionConfig)
    flags.define("batch_size", None, "Pictures at a time; left out: by resolution.", int, lower_bound=1)
    flags.define(
        "image_distance",
        "pixels",
        "What is minimised: `pixels`, their mean squared difference; a file of stylegan_tf.build_lpips (LPIPS, best "
        "for photos); or `features`, the squared distance of the features of --feature_extractor.",
    )
    flags.define_options(TrainConfig, "feature_extractor")

_VIDEO_FRAMES = 100


def main():
    flags.require("network", "target", "outdir")
    from stylegan_tf.editing.projection_results import ResultFolder, write_overview
    from stylegan_tf.files.digests import file_sha256
    from stylegan_tf.networks.network_file import find_network

    network = find_network(FLAGS.network)
    projector, targets, options = _prepared(network)
    options.update(network_sha256=file_sha256(network))
    outdir = Path(FLAGS.outdir)
    folders = []
    for index, name in enumerate(targets.names):
        place = outdir if targets.is_one_picture else outdir / name
        folders.append(ResultFolder(place, targets.image(index), options))
    todo = [index for index, folder in enumerate(folders) if not folder.has_result(FLAGS.video)]
    with ProgressBar(len(folders) * FLAGS.steps, "Projecting", "steps") as bar:
        done = (len(folders) - len(todo)) * FLAGS.steps
        bar.start_at(done)
        size = FLAGS.batch_size or projector.batch_size
        for first in range(0, len(todo), size):
            chosen = todo[first : first + size]
            images = [targets.image(index) for index in chosen]
            _project(projector, images, [folders[index] for index in chosen], bar, done)
            done += len(chosen) * FLAGS.steps
    if not targets.is_one_picture:
        write_overview(outdir, folders, projector.dlatent_shape)
    print(outdir)


def _prepared(network):
    """-> projector, targets, and what results depend on."""
    from stylegan_tf.data.sources.opening import parse_background
    from stylegan_tf.editing.projection import Projector
    from stylegan_tf.editing.projection_results import Targets, fit_as_trained
    from stylegan_tf.networks.network_file import load_networks

    networks = load_networks(network)
    generator = networks.best_generator
    config = flags.read_options(ProjectionConfig)
    label = None  # Results in z depend on it; in w only the start does.
    if FLAGS["class"].value is not None:
        label = class_label(FLAGS["class"].value, generator.config.label_size, networks.label_names)
    box = networks.content_box if FLAGS.crop else None
    distance = _distance()
    projector = Projector(generator, distance, config, label, box)
    fit = FLAGS.fit or fit_as_trained(box, networks.aspect_ratio)
    pictures = PictureOptions(projector.resolution, generator.config.num_channels, fit, background=FLAGS.background)
    fitted = {"fit": fit, "background": parse_background(FLAGS.background)}
    targets = Targets(FLAGS.target, pictures, box, FLAGS.max_images, functools.partial(print, file=sys.stderr))
    made_with = {"class": FLAGS["class"].value, "content_box": box, **fitted}
    return projector, targets, {**dataclasses.asdict(config), **distance.protocol(), **made_with}


def _distance():
    from stylegan_tf.metrics.features.extractors import load_extractor
    from stylegan_tf.metrics.features.lpips import load_distance

    extractor = load_extractor(FLAGS.feature_extractor) if FLAGS.image_distance == "features" else None
    return load_distance(FLAGS.image_distance, extractor)


def _project(projector, images, folders, bar, done):
    """Projects some pictures and writes their results."""
    import numpy as np

    from stylegan_tf.editing.projection_results import Result

    targets, path = np.stack(images), []
    every = -(-FLAGS.steps // _VIDEO_FRAMES)
    for state in projector.find(targets):
        if FLAGS.video and state.step % every == FLAGS.steps % every:
            path.append(state.ws.numpy())
        bar.update(done + state.step * len(images))
    noise = [maps.numpy() for maps in state.noise]
    distances, pictures = projector.distances(state, targets), projector.pictures(state.ws, noise)
    for index, folder in enumerate(folders):
        maps = [layer[index : index + 1] for layer in noise]
        ws = state.ws[index : index + 1].numpy()
        result = Result(targets[index], pictures[index], ws, maps, float(distances[index]))
        # All frames have the final noise.
        frames = [projector.pictures(step[index : index + 1], maps)[0] for step in path]
        folder.write(result, frames)
        bar.clear()
        print(f"{folder.path}: distance {result.distance:.4g}, pixel error {result.pixel_error:.1f} of 255", flush=True)


if __name__ == "__main__":
    command_line.run(main, renamed={"source": "target"})
