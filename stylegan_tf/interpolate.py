"""Makes a looping animation that walks through the images of some seeds.

    python -m stylegan_tf.interpolate --network runs/demo --seeds 0-5 --output walk.webp
    python -m stylegan_tf.interpolate --network runs/demo --seeds 0-23 --grid 4x2 --seconds 6 --output walks.mp4

After the last frame comes the first. The noise stays the same in all frames.
"""

import re

from absl import flags

from stylegan_tf.cli import command_line, sampling_flags
from stylegan_tf.cli.seeds_and_labels import parse_seeds
from stylegan_tf.errors import UserError
from stylegan_tf.progress import ProgressBar

FLAGS = flags.FLAGS
with command_line.flag_group("Interpolation"):
    flags.DEFINE_string("seeds", "0-5", "Seeds to walk through, like 0-5,12; with --grid shared out among the loops.")
    flags.DEFINE_enum("space", "w", ["z", "w"], "Interpolate in z, on the sphere of the latents, or in w.")
    flags.DEFINE_enum(
        "path",
        "smooth",
        ["smooth", "straight"],
        "smooth: a spline through the seeds. straight: from seed to seed in a line (w) or an arc (z), as the paper's "
        "perceptual path length has it.",
    )
    flags.DEFINE_string("grid", "1x1", "Columns x rows of loops side by side.")
    flags.DEFINE_float("seconds", None, "Length of the loop; left out: one second for each seed of a loop.")
    flags.DEFINE_float("fps", 25.0, "Frames a second. The times of a GIF are whole hundredths of a second.")
    flags.DEFINE_string("output", "interpolation.webp", "The animation: .webp, .gif, or .mp4 (needs imageio-ffmpeg).")
    flags.DEFINE_integer(
        "scale", None, "Enlarge by repeating pixels; left out: as much as small images need.", lower_bound=1
    )
sampling_flags.define_noise_mode(["const", "none"])


def main():
    seeds = parse_seeds(FLAGS.seeds)
    columns, rows = _grid(FLAGS.grid)
    for name in ("seconds", "fps"):
        if FLAGS[name].value is not None and not 0 < FLAGS[name].value < 10_000:
            raise UserError(f"--{name} must be above 0 and below 10,000, got {FLAGS[name].value:g}.")
    from stylegan_tf.visualize.animation import check_animation_path, write_animation

    check_animation_path(FLAGS.output)
    source = sampling_flags.picture_source(noise_mode=FLAGS.noise_mode)
    from stylegan_tf.visualize.interpolation import Interpolation, frame_count
    from stylegan_tf.visualize.tile_table import scale_for

    size = source.resolutions[-1]
    count = frame_count(FLAGS.seconds or len(seeds) / (columns * rows), FLAGS.fps)
    options = {"columns": columns, "rows": rows, "scale": scale_for((size, size), FLAGS.scale)}
    walk = Interpolation(source, seeds, count, FLAGS.space, FLAGS.path == "smooth", **options)
    with ProgressBar(count, "Generating", "frames") as bar:
        write_animation(_counted(walk.frames(), bar), count, FLAGS.output, FLAGS.fps)
    print(FLAGS.output)


def _counted(frames, bar):
    for done, frame in enumerate(frames, start=1):
        bar.update(done)  # Before it goes: nobody asks for a frame after the last.
        yield frame


def _grid(text):
    match = re.fullmatch(r"([1-9]\d{0,2})x([1-9]\d{0,2})", text)
    if not match:
        raise UserError(f"--grid takes columns x rows like 3x2, got {text!r}.")
    return int(match[1]), int(match[2])


if __name__ == "__main__":
    command_line.run(main)
