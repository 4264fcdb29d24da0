"""Finds directions in the latent space of a network along which its images change in one respect.

    python -m stylegan_tf.directions --network runs/demo --method pca,sefa --output directions.npz
    python -m stylegan_tf.directions --network runs/demo --method attributes --classifiers classifiers/demo
    python -m stylegan_tf.generate --network runs/demo --directions directions.npz --move pca1=2,sefa3=-1 --outdir out

pca         principal components of w
sefa        what changes the styles most, by their weights alone, each scaled to unit length as published
attributes  normals of planes that separate images with an attribute from those without, by classifiers or by labels

Amounts are in standard deviations of w along the direction; for attributes, in standard deviations of the attribute's
score. A picture of the same name is written next to the file, which shows the images of --seeds moved along each
direction.
"""

from stylegan_tf.cli import command_line, flags, sampling_flags
from stylegan_tf.cli.seeds import parse_seeds
from stylegan_tf.config import DirectionOptions

FLAGS = flags.FLAGS
flags.define_options(DirectionOptions)
with flags.group("Directions"):
    flags.define("output", "directions.npz", "The file to write, ending in .npz.")
with flags.group("Picture"):
    flags.define("picture", True, "Draw a picture of the directions.")
    flags.define("seeds", "0", "Seeds of the images that are moved.")
    flags.define_list("amounts", "-3,-2,-1,0,1,2,3", "Distances to move along each direction, one per column.", float)
    flags.define_scale()
sampling_flags.define_pictures(["const", "none"])


def main():
    flags.require_suffix("output", ".npz")
    flags.only_with(FLAGS.picture, "--picture", "seeds", "amounts", "scale")
    options, seeds, amounts = flags.read_options(DirectionOptions), parse_seeds(FLAGS.seeds), FLAGS.amounts
    network = sampling_flags.network_path()
    painter = sampling_flags.painter(network, noise_mode=FLAGS.noise_mode)
    from stylegan_tf.editing.finding_directions import write_directions

    shown = {"seeds": seeds if FLAGS.picture else (), "amounts": amounts, "scale": FLAGS.scale}
    write_directions(network, painter, FLAGS.output, options, **shown, note=command_line.show, warn=command_line.warn)


if __name__ == "__main__":
    command_line.run(main)
