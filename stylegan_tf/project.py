"""Projects pictures into the latent space of a network: finds the styles whose images are nearest to them.

    python -m stylegan_tf.project --network runs/demo --target photo.jpg --outdir projected
    python -m stylegan_tf.project --network runs/demo --target FOLDER --outdir projected --space w+ --video

Writes projected.png, target.png, both side by side in compared.png, and dlatents.npz, which generate, mix, interpolate
and explore accept. For a folder, or any other --source of create_tfrecords, every picture gets a folder of its own, and
--outdir holds the dlatents.npz and compared.png of all of them. The same command resumes an interrupted projection.
"""

from stylegan_tf.cli import command_line, flags
from stylegan_tf.cli.progress import ProgressBar
from stylegan_tf.config import NearestOptions, ProjectionConfig, SourceOptions

FLAGS = flags.FLAGS
with flags.group("Network and pictures"):
    flags.define_network()
    flags.define("target", None, "A picture, a folder of pictures, or another source that create_tfrecords accepts.")
    flags.define("outdir", None, "A folder for the results.")
    flags.define_options(
        SourceOptions,
        "white",
        "black",
        max_images="Maximum number of pictures of a folder to take, from the first.",
        fit="How pictures of other sizes are fitted: crop (take the central square), pad (letterbox) or stretch "
        "(distort). Default: as the training pictures of the network were, or crop if they were square.",
        background="Background colour of transparent and letterboxed pictures.",
    )
    flags.define("crop", True, "Crop the bars from the results of a network that was trained on letterboxed pictures.")
    flags.define("class", None, "Classes for a network with labels, by name or number: cat, 3, or 0=0.3,2=1.")
    flags.define("video", False, "Also write projection.webp, the picture next to the images of the search.")
with flags.group("Search"):
    flags.define_options(ProjectionConfig)
    flags.define(
        "batch_size", None, "Pictures searched for at once. Default: chosen by resolution.", int, lower_bound=1
    )
    flags.define_options(NearestOptions, "image_distance", "feature_extractor")


def main():
    flags.require("network", "target", "outdir")
    options = {"config": flags.read_options(ProjectionConfig), "pictures": flags.read_options(SourceOptions)}
    names = ("image_distance", "feature_extractor", "crop", "video", "batch_size")
    options.update({name: FLAGS[name].value for name in names}, classes=FLAGS["class"].value)
    if FLAGS.image_distance == "features":
        flags.require_extractor()
    from stylegan_tf.editing.projecting import project_files

    outputs = {"note": command_line.show, "warn": command_line.warn, "progress": ProgressBar}
    project_files(FLAGS.network, FLAGS.target, FLAGS.outdir, **options, **outputs)
    print(FLAGS.outdir)


if __name__ == "__main__":
    command_line.run(main, renamed={"source": "target"})
