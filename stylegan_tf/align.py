"""Cuts faces out of photos and turns them upright, as FFHQ's were, for training and for projecting.

    python -m stylegan_tf.align --source photos --landmarks landmarks.csv --outdir faces

--landmarks is a table with the columns file, face, x0, y0, ... x67, y67: 68 points of each face (iBUG 300-W's order, in
pixels of the upright photo) that dlib or another detector has found; docs/data.md shows the lines that write it. A
photo may have several faces; each becomes PHOTO-FACE.png. What is left out is listed in left_out.txt.
"""

from stylegan_tf.cli import command_line, flags
from stylegan_tf.cli.progress import ProgressBar
from stylegan_tf.config.data import AlignOptions

FLAGS = flags.FLAGS
flags.define("source", None, "The photos: a folder, an archive, or the like.")
flags.define("landmarks", None, "A .csv file with the landmarks of the faces.")
flags.define("outdir", None, "The new folder to write the faces to.")
flags.define_options(AlignOptions)


def main() -> None:
    flags.require("source", "landmarks", "outdir")
    options = flags.read_options(AlignOptions)
    from stylegan_tf.data.alignment import align_faces

    count = align_faces(FLAGS.source, FLAGS.landmarks, FLAGS.outdir, options.size, command_line.warn, ProgressBar)
    print(f"{count} faces of {options.size}x{options.size} pixels are in {FLAGS.outdir}")


if __name__ == "__main__":
    command_line.run(main)
