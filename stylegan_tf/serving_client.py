"""Asks a served model for images of seeds, saves them as PNGs, and says how long the answers took.

    python -m stylegan_tf.serving_client --url http://localhost:8501/v1/models/demo --seeds 0-7 --outdir out
    python -m stylegan_tf.serving_client --grpc localhost:8500 --model demo --seeds 0-7 --requests 200 --concurrency 4

--url needs no TensorFlow; --grpc needs tensorflow-serving-api (`pip install -e ".[grpc]"`).
The same seed is the same image as from `python -m stylegan_tf.generate`.
"""

import base64
import concurrent.futures
import http.client
import json
import math
import pathlib
import time
import urllib.error
import urllib.request
from typing import Callable, Optional

from absl import flags

from stylegan_tf.cli import command_line
from stylegan_tf.cli.seeds_and_labels import parse_seeds
from stylegan_tf.errors import UserError
from stylegan_tf.files.written_aside import written_aside

FLAGS = flags.FLAGS
flags.DEFINE_string("url", None, "REST: address of the model, http://HOST:8501/v1/models/NAME[/versions/N].")
flags.DEFINE_string("grpc", None, "gRPC: address of the server, HOST:8500; then give --model, too.")
flags.DEFINE_string("model", None, "Name of the model, for --grpc.")
flags.DEFINE_string("seeds", "0-7", "Seeds and ranges of seeds, like 0-7,12.")
flags.DEFINE_float("truncation_psi", 0.7, "Truncation: 1 is the full variety, 0 the mean image.")
flags.DEFINE_list("labels", None, "For a network with labels: the label of all images, like 0,1,0.")
flags.DEFINE_string("outdir", None, "Folder for seed0000.png, ...; left out: nothing is saved.")
flags.DEFINE_integer("batch_size", 1, "Images per request.", lower_bound=1)
flags.DEFINE_integer(
    "requests", None, "Send that many requests, the seeds again and again; left out: once.", lower_bound=1
)
flags.DEFINE_integer("concurrency", 1, "Requests under way at the same time.", lower_bound=1)
flags.DEFINE_float("timeout", 60.0, "Seconds that an answer may take.")

SIGNATURE = "seed_png"
Ask = Callable[[list], list]  # Seeds -> their PNG files.


def main() -> None:
    if bool(FLAGS.url) == bool(FLAGS.grpc):
        raise UserError("give either --url=http://HOST:8501/v1/models/NAME or --grpc=HOST:8500, and not both.")
    seeds, labels = parse_seeds(FLAGS.seeds, most=2**20), parse_labels(FLAGS.labels)
    batches = [seeds[start : start + FLAGS.batch_size] for start in range(0, len(seeds), FLAGS.batch_size)]
    if FLAGS.requests:
        batches = [batches[index % len(batches)] for index in range(FLAGS.requests)]
    ask = over_rest(FLAGS.url, labels) if FLAGS.url else over_grpc(FLAGS.grpc, FLAGS.model, labels)
    folder = pathlib.Path(FLAGS.outdir) if FLAGS.outdir else None
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    seconds = [taken for taken in answered(ask, batches, folder)]
    print(summary(seconds, sum(map(len, batches)), time.perf_counter() - started))


def parse_labels(texts: Optional[list]) -> Optional[list]:
    try:
        return None if texts is None else [float(text) for text in texts]
    except ValueError:
        raise UserError(f"--labels takes numbers like 0,1,0; got {','.join(texts)}.") from None


def answered(ask: Ask, batches: list, folder: Optional[pathlib.Path]):
    """Sends the requests, saves the images; yields the seconds that each answer took."""

    def send(seeds):
        start = time.perf_counter()
        pngs = ask(seeds)
        return seeds, pngs, time.perf_counter() - start

    with concurrent.futures.ThreadPoolExecutor(FLAGS.concurrency) as pool:
        for seeds, pngs, seconds in pool.map(send, batches):
            for seed, png in zip(seeds, pngs):
                if folder:
                    with written_aside(folder / f"seed{seed:04d}.png") as temporary:
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


def over_rest(url: str, labels: Optional[list]) -> Ask:
    """One row per image: {"instances": [{"seeds": 3, "truncation_psi": 0.7}, ...]}."""

    def ask(seeds: list) -> list:
        rows = [{"seeds": seed, "truncation_psi": FLAGS.truncation_psi} for seed in seeds]
        if labels is not None:
            rows = [{**row, "labels": labels} for row in rows]
        body = json.dumps({"signature_name": SIGNATURE, "instances": rows}).encode()
        request = urllib.request.Request(f"{url.rstrip('/')}:predict", body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=FLAGS.timeout) as response:
                rows = json.load(response)["predictions"]
            pngs = [base64.b64decode(row.get("png_bytes", row)["b64"]) for row in rows]  # By name beside `ok`.
            ok = [row.get("ok", True) for row in rows]
        except urllib.error.HTTPError as error:
            raise UserError(f"{url} answers {error.code}: {_message(error)}") from None
        except (OSError, http.client.HTTPException) as error:
            raise UserError(f"cannot reach {url} ({getattr(error, 'reason', error)}): is the server running?") from None
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{url} gave no answer of TensorFlow Serving ({error!r}): is it a model's address?"
            ) from None
        return checked(url, seeds, pngs, ok)

    return ask


def checked(where: str, seeds: list, pngs: list, ok: list) -> list:
    """The PNGs. UserError if some are missing, or gray because their inputs were refused (--bad_rows=mark)."""
    if len(pngs) != len(seeds):
        raise UserError(f"{where} answers {len(seeds)} seeds with {len(pngs)} images: is it a model of this program?")
    bad = [str(seed) for seed, is_good in zip(seeds, ok) if not is_good]
    if bad:
        more = f" and {len(bad) - 10} more" if len(bad) > 10 else ""
        raise UserError(
            f"{where} refuses the inputs of the seeds {', '.join(bad[:10])}{more}: check --truncation_psi and --labels."
        )
    return pngs


def _message(error: urllib.error.HTTPError) -> str:
    text = error.read().decode("utf-8", "replace")
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return text[:500]


def flags_of(tensor, count: int) -> list:
    """bool [count] in any of the ways in which a TensorProto may hold it."""
    values = list(tensor.bool_val) or [bool(byte) for byte in tensor.tensor_content]
    return values + values[-1:] * (count - len(values))  # Equal values at the end may stand there once.


def over_grpc(address: str, model: Optional[str], labels: Optional[list]) -> Ask:
    if not model:
        raise UserError("--model is missing: give the name of the model that the server knows.")
    try:
        import grpc
        from tensorflow.core.framework import tensor_pb2, types_pb2
        from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
    except ImportError as error:
        raise UserError(f'--grpc needs tensorflow-serving-api ({error}): pip install -e ".[grpc]".') from None
    limits = [(f"grpc.max_{way}_message_length", -1) for way in ("send", "receive")]
    service = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(address, options=limits))

    def tensor(dtype, field, values, *sizes):
        result = tensor_pb2.TensorProto(dtype=dtype, **{field: values})
        for size in sizes:
            result.tensor_shape.dim.add().size = size
        return result

    def ask(seeds: list) -> list:
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = model, SIGNATURE
        count = len(seeds)
        inputs = {"seeds": tensor(types_pb2.DT_INT64, "int64_val", seeds, count)}
        inputs["truncation_psi"] = tensor(types_pb2.DT_FLOAT, "float_val", [FLAGS.truncation_psi] * count, count)
        if labels is not None:
            inputs["labels"] = tensor(types_pb2.DT_FLOAT, "float_val", labels * count, count, len(labels))
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(value)
        try:
            outputs = service.Predict(request, FLAGS.timeout).outputs
        except grpc.RpcError as error:
            raise UserError(f"{address} answers {error.code().name}: {error.details()}") from None
        ok = flags_of(outputs["ok"], count) if "ok" in outputs else [True] * count
        return checked(address, seeds, list(outputs["png_bytes"].string_val), ok)

    return ask


if __name__ == "__main__":
    command_line.run(main)
