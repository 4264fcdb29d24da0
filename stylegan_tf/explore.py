"""Opens a page in the browser to play with a network: sliders, style mixing, directions, projection, videos, layers.

    python -m stylegan_tf.explore --network runs/demo
    python -m stylegan_tf.explore --network runs/demo --directions directions.npz

The page switches among the networks of a run, or of any other folder of network files.
Needs pip install -e ".[explore]". The page is served on this machine, to this machine, and loads nothing from
elsewhere. Ctrl-C ends it.
"""

import threading
import webbrowser

from stylegan_tf.cli import command_line, flags
from stylegan_tf.config import PageServerConfig, TrainConfig

FLAGS = flags.FLAGS
flags.define_network()
flags.define("directions", None, "A file of stylegan_tf.directions: each gets a slider.")
flags.define("crop", True, "If the training pictures were letterboxed or stretched: undo it.")
flags.define("browser", True, "Open the page in the browser.")
flags.define("image_distance", "pixels", "For projection: `pixels`, a file of stylegan_tf.build_lpips, or `features`.")
flags.define_options(TrainConfig, "feature_extractor")
flags.define_options(PageServerConfig)


def main():
    flags.require("network")
    flags.require_packages("explore", "starlette", "uvicorn")
    config = flags.read_options(PageServerConfig)
    if FLAGS.image_distance == "features":
        flags.require_extractor()
    from stylegan_tf.explorer.server import PageServer

    distance = {"image_distance": FLAGS.image_distance, "feature_extractor": FLAGS.feature_extractor}
    server = PageServer(FLAGS.network, config, FLAGS.directions, FLAGS.crop, **distance)
    print(server.address, flush=True)
    if FLAGS.browser:
        threading.Thread(target=webbrowser.open, args=[server.address], daemon=True).start()
    server.run()


if __name__ == "__main__":
    command_line.run(main)
