"""Opens an interactive page for a network: sliders, style mixing, directions, projection, videos, layers.

    python -m stylegan_tf.explore --network runs/demo
    python -m stylegan_tf.explore --network runs/demo --directions directions.npz

The page can switch between the networks of a run, or of any other folder of network files. It requires
pip install "stylegan-tf[explore]". By default the page is served only to this machine; it loads nothing from other
hosts. Ctrl-C stops the server.
"""

import threading
import webbrowser

from stylegan_tf.cli import command_line, flags
from stylegan_tf.config import NearestOptions, PageServerConfig

FLAGS = flags.FLAGS
flags.define_network()
flags.define("directions", None, "File written by stylegan_tf.directions; each direction gets a slider.")
flags.define("crop", True, "Undo the letterboxing or stretching of the training pictures.")
flags.define("browser", True, "Open the page in the default browser.")
flags.define_options(NearestOptions, "image_distance", "feature_extractor")
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
