"""Requests the images of seeds from a served model, saves them as PNG files, and reports the response times.

    python -m stylegan_tf.serving_client --url http://localhost:8501/v1/models/demo --seeds 0-7 --outdir out
    python -m stylegan_tf.serving_client --grpc localhost:8500 --model demo --seeds 0-7 --requests 200 --concurrency 4

--url needs no TensorFlow; --grpc needs tensorflow-serving-api (`pip install "stylegan-tf[grpc]"`).
The same seed gives the same image as `python -m stylegan_tf.generate`.
"""

from stylegan_tf.cli import command_line, flags
from stylegan_tf.cli.seeds import parse_seeds
from stylegan_tf.serving.clients import RequestOptions, over_grpc, over_rest, request_images

FLAGS = flags.FLAGS
flags.define("url", None, "Address of the model for REST, http://HOST:8501/v1/models/NAME[/versions/N].")
flags.define("grpc", None, "Address of the server for gRPC, HOST:8500; it requires --model.")
flags.define("model", None, "Name of the model, for --grpc.")
flags.define("seeds", "0-7", "Seeds and ranges of seeds, like 0-7,12.")
flags.define_psi("Truncation psi: 1 for the full variety, 0 for the mean image.")
flags.define_list("labels", None, "Label of all images, for a network with labels, like 0,1,0.", float)
flags.define("outdir", None, "Folder for seed0000.png, .... Default: images are not saved.")
flags.define("batch_size", 1, "Number of images per request.", lower_bound=1)
flags.define("requests", None, "Requests to send, repeating seeds. Default: each seed once.", int, lower_bound=1)
flags.define("concurrency", 1, "Number of requests sent at the same time.", lower_bound=1)
flags.define("timeout", 60.0, "Maximum duration of a request in seconds.", lower_bound=0.001)


def main() -> None:
    if bool(FLAGS.url) == bool(FLAGS.grpc):
        flags.fail("give either --url=http://HOST:8501/v1/models/NAME or --grpc=HOST:8500, and not both.")
    flags.only_with(FLAGS.grpc, "--grpc", "model")
    seeds = parse_seeds(FLAGS.seeds, limit=2**20)
    options = RequestOptions(FLAGS.truncation_psi, FLAGS.labels, FLAGS.timeout)
    batches = [seeds[start : start + FLAGS.batch_size] for start in range(0, len(seeds), FLAGS.batch_size)]
    if FLAGS.requests:
        batches = [batches[index % len(batches)] for index in range(FLAGS.requests)]
    fetch = over_rest(FLAGS.url, options) if FLAGS.url else over_grpc(FLAGS.grpc, FLAGS.model, options)
    print(request_images(fetch, batches, FLAGS.outdir, FLAGS.concurrency))


if __name__ == "__main__":
    command_line.run(main)
