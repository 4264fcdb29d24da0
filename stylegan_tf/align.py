"""Crops faces from photos and aligns them upright, as in FFHQ, for training and for projection.

    python -m stylegan_tf.align --source photos --landmarks landmarks.csv --outdir faces

--landmarks is a table with the columns file, face, x0, y0, ... x67, y67: 68 points of each face, found by dlib or
another detector, in the order of iBUG 300-W and in pixels of the upright photo. docs/data.md shows code that writes
it. A photo may contain several faces; each is written to PHOTO-FACE.png. Faces that are skipped are listed in
left_out.txt.
"""

from stylegan_tf.cli import command_line, flags
from stylegan_tf.cli.progress import ProgressBar
from stylegan_tf.config import PictureOptions

FLAGS = flags.FLAGS
flags.define("source", None, "Photos: a folder, an archive, or another source of pictures.")
flags.define("landmarks", None, "A .csv file with the landmarks of the faces.")
flags.define("outdir", None, "The new folder to which the faces are written.")
flags.define("size", 1024, "Width and height of the face images in pixels.", lower_bound=4, upper_bound=4096)
flags.define_options(PictureOptions, "white", "black")


def main() -> None:
    flags.require("source", "landmarks", "outdir")
    from stylegan_tf.data.alignment import align_faces

    where, options = (FLAGS.source, FLAGS.landmarks, FLAGS.outdir), flags.read_options(PictureOptions)
    count = align_faces(*where, FLAGS.size, command_line.warn, ProgressBar, options)
    print(f"{count} faces of {FLAGS.size}x{FLAGS.size} pixels are in {FLAGS.outdir}")


if __name__ == "__main__":
    command_line.run(main)
