"""Opens a page in the browser to play with a network: sliders, directions, projection, key frames, feature maps.

    python -m stylegan_tf.explore --network runs/demo
    python -m stylegan_tf.explore --network runs/demo --directions directions.npz

Needs pip install -e ".[explore]". The page is served on this machine, to this machine, and loads nothing from
elsewhere. Ctrl-C ends it.
"""

import importlib.util
import tempfile
from pathlib import Path

from absl import flags

from stylegan_tf.cli import command_line, common_flags
from stylegan_tf.cli.option_flags import define_flags_of
from stylegan_tf.config import TrainConfig
from stylegan_tf.errors import UserError

FLAGS = flags.FLAGS
common_flags.define_network()
flags.DEFINE_string("directions", None, "A file of stylegan_tf.directions: each gets a slider.")
flags.DEFINE_bool("crop", True, "If the training pictures were letterboxed or stretched: undo it.")
flags.DEFINE_string(
    "host", "127.0.0.1", "Address to listen on. Others than this machine's own let others in: there is no password."
)
flags.DEFINE_integer("port", 7860, "Port to listen on; 0: any that is free.", lower_bound=0, upper_bound=65535)
flags.DEFINE_bool("browser", True, "Open the page in the browser.")
flags.DEFINE_string(
    "image_distance", "pixels", "For projection: `pixels`, a file of stylegan_tf.build_lpips, or `features`."
)
define_flags_of(TrainConfig, "feature_extractor")


def main():
    command_line.require("network")
    if importlib.util.find_spec("gradio") is None:
        raise UserError('the page needs the package gradio: pip install -e ".[explore]".')
    from stylegan_tf.editing.directions import load_directions
    from stylegan_tf.explorer.renderer import Renderer
    from stylegan_tf.networks.network_file import load_networks
    from stylegan_tf.networks.truncation import Truncation
    from stylegan_tf.visualize.painter import Painter

    networks = load_networks(FLAGS.network)
    box, ratio = (networks.content_box, networks.aspect_ratio) if FLAGS.crop else (None, None)
    painter = Painter(
        networks.best_generator, None, box, Truncation(centre=networks.truncation_centre), aspect_ratio=ratio
    )
    directions = load_directions(FLAGS.directions, *painter.dlatent_shape) if FLAGS.directions else None
    _serve(Renderer(painter, directions), networks.label_names)


def _serve(renderer, label_names):
    from stylegan_tf.explorer.page import Page
    from stylegan_tf.explorer.projecting import ProjectionDesk
    from stylegan_tf.explorer.server import serve
    from stylegan_tf.metrics.features.extractors import load_extractor
    from stylegan_tf.metrics.features.lpips import load_distance

    extractor = load_extractor(FLAGS.feature_extractor) if FLAGS.image_distance == "features" else None
    desk = ProjectionDesk(renderer.painter, load_distance(FLAGS.image_distance, extractor))
    with tempfile.TemporaryDirectory(prefix="stylegan-explore-") as folder:
        page = Page(renderer, FLAGS.network, desk, Path(folder), FLAGS.directions, label_names, FLAGS.crop).build()
        try:
            serve(page, FLAGS.host, FLAGS.port, folder, FLAGS.browser)
        except OSError as error:
            raise UserError(f"cannot listen on {FLAGS.host}:{FLAGS.port} ({error}): choose another --port.") from None


if __name__ == "__main__":
    command_line.run(main)
