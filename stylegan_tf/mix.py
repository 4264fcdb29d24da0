"""Mixes styles: shows the images of --rows with the styles of some layers taken from the images of --cols.

    python -m stylegan_tf.mix --network runs/demo --rows 0-3 --cols 10-14 --styles coarse --output mix.png
    python -m stylegan_tf.mix --network runs/demo --rows projected/dlatents.npz --cols 10-14@1 --styles fine

Images are given by seeds, or by files of dlatents (used unchanged) or single images of them, each optionally with a psi
of its own, like 0-3,7@1,w.npz:2,w.npz:0@0.5.
"""

import functools

from stylegan_tf.cli import command_line, flags, sampling_flags
from stylegan_tf.cli.progress import ProgressBar
from stylegan_tf.cli.seeds import parse_keys, styles_of

FLAGS = flags.FLAGS
with flags.group("Mixing"):
    flags.define("rows", "0-3", "Images of the sources A, one per row.")
    flags.define("cols", "10-14", "Images of the sources B, one per column.")
    flags.define(
        "styles",
        "middle",
        "Layers whose styles are taken from B: coarse (4x4 and 8x8), middle (16x16 and 32x32), fine (the rest; fewer "
        "of them in networks below 64x64), or layers by number, like 0-3,6, two for each resolution.",
    )
    flags.define("output", "mix.png", "The picture to write: .png, .jpg or .webp.")
    flags.define_scale()
sampling_flags.define_pictures()


def main():
    rows, columns = (parse_keys(FLAGS[name].value, name) for name in ("rows", "cols"))
    labeled = sampling_flags.check_keys(rows + columns)
    from stylegan_tf.visualize.picture_files import check_picture_path, save_image
    from stylegan_tf.visualize.style_mixing import mixing_picture, parse_layers

    check_picture_path(FLAGS.output)
    painter = sampling_flags.painter(labeled=labeled, noise_mode=FLAGS.noise_mode)
    layers = parse_layers(FLAGS.styles, painter.resolutions)
    caption = f"Styles from B: {FLAGS.styles.replace(',', ', ')}"
    warn_once = functools.cache(command_line.warn)
    ws_a, ws_b = (styles_of(painter, keys, warn_once) for keys in (rows, columns))
    picture = mixing_picture(painter, ws_a, ws_b, layers, caption, FLAGS.scale, ProgressBar)
    save_image(picture, FLAGS.output)
    print(FLAGS.output)


if __name__ == "__main__":
    command_line.run(main)
