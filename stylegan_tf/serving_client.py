"""Requests images of seeds from a served model, saves them as PNGs, and reports how long the answers took.

    python -m stylegan_tf.serving_client --url http://localhost:8501/v1/models/demo --seeds 0-7 --outdir out
    python -m stylegan_tf.serving_client --grpc localhost:8500 --model demo --seeds 0-7 --requests 200 --concurrency 4

--url needs no TensorFlow; --grpc needs tensorflow-serving-api (`pip install -e ".[grpc]"`).
The same seed is the same image as from `python -m stylegan_tf.generate`.
"""

import concurrent.futures
import math
import pathlib
import time
from typing import Optional

from stylegan_tf.cli import command_line, flags
from stylegan_tf.cli.seeds import parse_seeds
from stylegan_tf.errors import UserError
from stylegan_tf.files.atomic_write import atomic_write
from stylegan_tf.serving.clients import FetchImages, RequestOptions, over_grpc, over_rest

FLAGS = flags.FLAGS
flags.define("url", None, "REST: address of the model, http://HOST:8501/v1/models/NAME[/versions/N].")
flags.define("grpc", None, "gRPC: address of the server, HOST:8500; then give --model, too.")
flags.define("model", None, "Name of the model, for --grpc.")
flags.define("seeds", "0-7", "Seeds and ranges of seeds, like 0-7,12.")
flags.define("truncation_psi", 0.7, "Truncation: 1 is the full variety, 0 the mean image.")
flags.define("labels", None, "For a network with labels: the label of all images, like 0,1,0.", list)
flags.define("outdir", None, "Folder for seed0000.png, ...; left out: nothing is saved.")
flags.define("batch_size", 1, "Images per request.", lower_bound=1)
flags.define(
    "requests", None, "Send that many requests, the seeds again and again; left out: once.", int, lower_bound=1
)
flags.define("concurrency", 1, "Requests under way at the same time.", lower_bound=1)
flags.define("timeout", 60.0, "Seconds that a request may take, as a whole.", lower_bound=0.001)


def main() -> None:
    if bool(FLAGS.url) == bool(FLAGS.grpc):
        raise UserError("give either --url=http://HOST:8501/v1/models/NAME or --grpc=HOST:8500, and not both.")
    seeds = parse_seeds(FLAGS.seeds, most=2**20)
    options = RequestOptions(FLAGS.truncation_psi, parse_labels(FLAGS.labels), FLAGS.timeout)
    batches = [seeds[start : start + FLAGS.batch_size] for start in range(0, len(seeds), FLAGS.batch_size)]
    if FLAGS.requests:
        batches = [batches[index % len(batches)] for index in range(FLAGS.requests)]
    fetch = over_rest(FLAGS.url, options) if FLAGS.url else over_grpc(FLAGS.grpc, FLAGS.model, options)
    folder = pathlib.Path(FLAGS.outdir) if FLAGS.outdir else None
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    seconds = [taken for taken in answered(fetch, batches, folder)]
    print(summary(seconds, sum(map(len, batches)), time.perf_counter() - started))


def parse_labels(texts: Optional[list]) -> Optional[list]:
    try:
        return None if texts is None else [float(text) for text in texts]
    except ValueError:
        raise UserError(f"--labels takes numbers like 0,1,0; got {','.join(texts)}.") from None


def answered(fetch: FetchImages, batches: list, folder: Optional[pathlib.Path]):
    """Sends the requests, saves the images; yields the seconds that each answer took."""

    def send(seeds):
        start = time.perf_counter()
        pngs = fetch(seeds)
        return seeds, pngs, time.perf_counter() - start

    with concurrent.futures.ThreadPoolExecutor(FLAGS.concurrency) as pool:
        for seeds, pngs, seconds in pool.map(send, batches):
            for seed, png in zip(seeds, pngs):
                if folder:
                    with atomic_write(folder / f"seed{seed:04d}.png") as temporary:
                        temporary.write_bytes(png)
            yield seconds


def summary(seconds: list, images: int, elapsed: float) -> str:
    """`8 images in 8 requests, 31.2 images/s; seconds per request: p50 0.031  p90 0.040  p99 0.050  first 0.050`."""
    ordered = sorted(seconds)
    # The nearest-rank percentile: the smallest time that this share of the requests did not exceed.
    ranks = {share: ordered[math.ceil(share / 100 * len(ordered)) - 1] for share in (50, 90, 99)}
    times = "  ".join(f"p{share} {value:.4f}" for share, value in ranks.items())
    rate = f"{images} images in {len(seconds)} requests, {images / elapsed:.1f} images/s"
    return f"{rate}; seconds per request: {times}  first {seconds[0]:.4f}"


if __name__ == "__main__":
    command_line.run(main)
