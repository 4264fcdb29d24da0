"""Draws the curves of a training run: losses, scores, speed, and every metric that was measured.

    python -m stylegan_tf.training_curves --run_dir runs/demo --output curves.png

Reads stats.jsonl and metric-NAME.jsonl in the run folder, also while the run is still training. Requires matplotlib.
"""

from stylegan_tf.cli import command_line, flags

FLAGS = flags.FLAGS
flags.define("run_dir", None, "The folder of the run.")
flags.must_exist("run_dir")
flags.define("output", None, "The picture to write, a .png file. Default: curves.png in the folder of the run.")


def main():
    flags.require("run_dir")
    flags.require_suffix("output", ".png")
    flags.require_packages("plots", "matplotlib")
    output = FLAGS.output or f"{FLAGS.run_dir}/curves.png"
    from stylegan_tf.visualize.training_plots import save_training_plots

    save_training_plots(FLAGS.run_dir, output)
    print(output)


if __name__ == "__main__":
    command_line.run(main)
