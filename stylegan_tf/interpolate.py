"""Renders an animation that interpolates between images, which are given by seeds or by files of dlatents.

    python -m stylegan_tf.interpolate --network runs/demo --seeds 0-5 --output walk.webp
    python -m stylegan_tf.interpolate --network runs/demo --seeds 0-23 --grid 4x2 --seconds 6 --output walks.mp4
    python -m stylegan_tf.interpolate --network runs/demo --keys 5,7@1,projected/dlatents.npz:0 --noloop
    python -m stylegan_tf.interpolate --network runs/pets --seeds 3 --class cat,dog,owl

With several classes each image in turn has the label of the next class, and w is interpolated. The animation ends where
it began, unless --noloop is given. The noise is the same in all frames.
"""

import functools
import re

from stylegan_tf.cli import command_line, flags, sampling_flags
from stylegan_tf.cli.progress import ProgressBar
from stylegan_tf.cli.seeds import parse_keys, style_of

FLAGS = flags.FLAGS
with flags.group("Interpolation"):
    flags.define("seeds", "0-5", "Seeds of the images to pass through, like 0-5,12; --grid divides them among walks.")
    flags.define("dlatents", None, "File of dlatents whose images are passed through, in place of seeds.")
    flags.define(
        "keys",
        None,
        "Images to pass through, in place of --seeds: seeds, and files of dlatents or single images of them, each "
        "optionally with a psi of its own, like 0-3,7@1,w.npz:2,w.npz:0@0.5. Dlatents without a psi are used "
        "unchanged.",
    )
    flags.define("loop", True, "Continue from the last image back to the first.")
    flags.define(
        "space", "w", "Space in which to interpolate: z (on the sphere of the latents) or w.", choices=["z", "w"]
    )
    flags.define(
        "path",
        "smooth",
        "Shape of the path. smooth: a spline through the images. straight: from image to image along a line (in w) "
        "or an arc (in z), as in the paper's perceptual path length.",
        choices=["smooth", "straight"],
    )
    flags.define("grid", "1x1", "Number of walks shown side by side, as columns x rows.")
    flags.define("seconds", None, "Length in seconds. Default: one second from image to image.", float)
    flags.define("fps", 25.0, "Frames per second. In a GIF a frame takes a whole number of hundredths of a second.")
    flags.define("output", "interpolation.webp", "The animation: .webp, .gif, or .mp4 (requires imageio-ffmpeg).")
    flags.define_scale()
sampling_flags.define_pictures(["const", "none"])
sampling_flags.define_moves()


def main():
    keys = _keys()
    labeled = sampling_flags.check_keys(keys)
    columns, rows = _grid(FLAGS.grid)
    for name in ("seconds", "fps"):
        if FLAGS[name].value is not None and not 0 < FLAGS[name].value < 10_000:
            flags.fail(f"--{name} must be above 0 and below 10,000, got {FLAGS[name].value:g}.")
    from stylegan_tf.visualize.animation import check_animation_path, write_animation

    check_animation_path(FLAGS.output)
    named = sampling_flags.painters(labeled=labeled, noise_mode=FLAGS.noise_mode)
    painters = [painter for _, painter in named]
    if FLAGS.space == "z" and len(painters) > 1:
        flags.fail("interpolation between classes uses w: --space=z takes one class.")
    from stylegan_tf.visualize.interpolation import frame_count, walk_frames
    from stylegan_tf.visualize.picture_files import check_picture_size
    from stylegan_tf.visualize.tile_table import scale_for

    size, (height, width) = painters[0].resolutions[-1], painters[0].picture_shape
    scale = scale_for((size, size), FLAGS.scale)
    check_picture_size(FLAGS.output, rows * height * scale, columns * width * scale)
    walks = _walks(painters, keys, columns * rows)
    count = frame_count(FLAGS.seconds or walks[0].length, FLAGS.fps)
    options = {"columns": columns, "scale": scale, "closed": FLAGS.loop}
    offset = sampling_flags.style_offset(painters[0])
    frames = walk_frames(painters[0], walks, count, offset=offset, **options)
    with ProgressBar(count, "Generating", "frames") as bar:
        write_animation(_counted(frames, bar), count, FLAGS.output, FLAGS.fps)
    print(FLAGS.output)


def _keys():
    given = [name for name in ("seeds", "dlatents", "keys") if FLAGS[name].present]
    if len(given) > 1:
        flags.fail(f"--{given[0]} and --{given[1]} are mutually exclusive: give one of them.")
    keys = parse_keys(FLAGS[given[0] if given else "seeds"].value, given[0] if given else "seeds")
    if FLAGS.space == "z" and any(key.seed is None for key in keys):
        flags.fail("files of dlatents are in w: --space=z walks through seeds only.")
    return keys


def _walks(painters, keys, count):
    """Keys and classes take turns: the shorter list starts over until the longer one ends."""
    import numpy as np

    from stylegan_tf.visualize.interpolation import LatentPath, LatentWalk, split_keys

    options = {"smooth": FLAGS.path == "smooth", "closed": FLAGS.loop}
    if FLAGS.space == "w":
        turns = [(painters[i % len(painters)], keys[i % len(keys)]) for i in range(max(len(keys), len(painters)))]
        warn_once = functools.cache(command_line.warn)
        ws = np.concatenate([style_of(painter, key, warn_once) for painter, key in turns])
        return [LatentPath(part, **options) for part in split_keys(ws, count)]
    psi = np.float32([FLAGS.truncation_psi if key.psi is None else key.psi for key in keys])
    z = painters[0].latents(key.seed for key in keys)
    parts = zip(split_keys(z, count), split_keys(psi, count))
    return [LatentWalk(painters[0], *part, **options) for part in parts]


def _counted(frames, bar):
    for done, frame in enumerate(frames, start=1):
        bar.update(done)  # Before the yield: after the last frame nothing is asked for any more.
        yield frame


def _grid(text):
    match = re.fullmatch(r"([1-9]\d{0,2})x([1-9]\d{0,2})", text)
    if not match:
        flags.fail(f"--grid takes columns x rows like 3x2, got {text!r}.")
    return int(match[1]), int(match[2])


if __name__ == "__main__":
    command_line.run(main)
