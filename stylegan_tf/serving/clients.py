"""Requests images of seeds from TensorFlow Serving, over REST or gRPC. No TensorFlow here."""

import base64
import concurrent.futures
import contextlib
import dataclasses
import http.client
import io
import json
import math
import socket
import threading
import time
import urllib.parse
from collections.abc import Sequence
from typing import Callable, Optional

from PIL import Image

from stylegan_tf.config.errors import UserError
from stylegan_tf.files.atomic_write import atomic_write, make_folder
from stylegan_tf.files.file_errors import parse_json, reason_of, short

SIGNATURE = "seed_png"
FetchImages = Callable[[list], list]  # Seeds -> their PNG files.
_LARGEST_IMAGE = 2**24  # Bytes of an image in an answer.
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"  # Which Pillow does not verify.
_MAX_DEFLATED = 1032  # Bytes that one byte of zlib can stand for.


@dataclasses.dataclass(frozen=True)
class RequestOptions:
    """What all requests of a client have in common."""

    truncation_psi: float = 0.7
    labels: Optional[list] = None  # The label of each image, as numbers.
    timeout: float = 60.0  # Seconds that a request may take in total.


def over_rest(url: str, options: RequestOptions) -> FetchImages:
    """One row per image: {"instances": [{"seeds": 3, "truncation_psi": 0.7}, ...]}."""

    def fetch(seeds: list) -> list:
        rows = [{"seeds": seed, "truncation_psi": options.truncation_psi} for seed in seeds]
        if options.labels is not None:
            rows = [{**row, "labels": options.labels} for row in rows]
        body = json.dumps({"signature_name": SIGNATURE, "instances": rows}).encode()
        content = _posted(url, body, options.timeout, largest=2**20 + len(seeds) * _LARGEST_IMAGE)
        try:
            rows = parse_json(content.decode())["predictions"]
            pngs = [base64.b64decode(row.get("png_bytes", row)["b64"]) for row in rows]  # By name if there is `ok`.
            ok = [row.get("ok", True) for row in rows]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = short(reason_of(error), 100)
            raise UserError(
                f"{url} did not answer like TensorFlow Serving ({reason}): is it the address of a model?"
            ) from None
        return checked(url, seeds, pngs, ok)

    return fetch


def _posted(url: str, body: bytes, timeout: float, largest: int) -> bytes:
    """The answer to a POST, complete within `timeout` seconds and `largest` bytes; UserError for anything else."""
    try:
        parts = urllib.parse.urlsplit(f"{url.rstrip('/')}:predict")
        kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
        connection = kinds[parts.scheme](parts.hostname or "", parts.port, timeout=timeout)
    except (ValueError, KeyError, http.client.HTTPException):
        raise UserError(f"{short(url, 100)} is not an address like http://localhost:8501/v1/models/NAME.") from None
    expired, sockets = threading.Event(), []

    def cut() -> None:  # The socket's own timeout restarts with every byte.
        expired.set()
        for opened in sockets:
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(timeout, cut)
    timer.daemon = True
    timer.start()
    try:
        connection.connect()
        sockets.append(connection.sock)  # The connection forgets it when the answer begins.
        if expired.is_set():
            cut()
        connection.request("POST", parts.path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        content = response.read(largest + 1)
        incomplete = response.length and len(content) <= largest
    except Exception as error:  # What http.client raises for answers that are none, or on a socket that was cut.
        if expired.is_set() or isinstance(error, socket.timeout):
            raise UserError(f"{url} gave no complete answer within {timeout:g} s.") from None
        raise UserError(f"cannot reach {url} ({short(reason_of(error), 100)}): is the server running there?") from None
    finally:
        timer.cancel()
        connection.close()
    if expired.is_set() or incomplete:
        raise UserError(f"{url} gave no complete answer" + (f" within {timeout:g} s." if expired.is_set() else "."))
    if len(content) > largest:
        raise UserError(f"{url} answers with more than {largest:,} bytes: is it the address of a model?")
    if 300 <= response.status < 400:
        target = short(response.getheader("Location"), 200)
        raise UserError(f"{url} redirects to {target}: give the address of the model itself.")
    if response.status != 200:
        raise UserError(f"{url} answers {response.status}: {_message(content)}")
    return content


def checked(where: str, seeds: list, pngs: list, ok: list) -> list:
    """The PNGs. UserError if some are missing, no PNGs, or gray as their inputs were refused (bad_rows=mark)."""
    if len(pngs) != len(seeds):
        raise UserError(f"{where} answers {len(seeds)} seeds with {len(pngs)} images: is it a model of this program?")
    bad = [str(seed) for seed, is_good in zip(seeds, ok) if not is_good]
    if bad:
        more = f" and {len(bad) - 10} more" if len(bad) > 10 else ""
        raise UserError(
            f"{where} refuses the inputs of the seeds {', '.join(bad[:10])}{more}: check `truncation_psi` and `labels`."
        )
    for seed, png in zip(seeds, pngs):
        if not _is_png(png):
            raise UserError(f"{where} answers seed {seed} with {len(png)} bytes that are not a complete PNG.")
    return pngs


def _is_png(content: bytes) -> bool:
    """Whether all its checksums match, and its pixels can be in so few bytes."""
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            image.verify()
            return content.endswith(_PNG_END) and image.width * image.height <= _MAX_DEFLATED * len(content)
    except Exception:  # Damaged bytes can raise almost anything.
        return False


def _message(content: bytes) -> str:
    text = content.decode("utf-8", "replace")
    try:
        return short(parse_json(text)["error"], 500)
    except (ValueError, KeyError, TypeError):
        return short(text, 500)


def over_grpc(address: str, model: Optional[str], options: RequestOptions) -> FetchImages:
    if not model:
        raise UserError("`model` is missing: give the name of the model that the server knows.")
    try:
        import grpc
        import numpy as np
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
    except ImportError as error:
        raise UserError(f"`grpc` needs tensorflow-serving-api ({error}): pip install 'stylegan-tf[grpc]'.") from None
    limits = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", 2**30)]
    service = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(address, options=limits))

    def fetch(seeds: list) -> list:
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = model, SIGNATURE
        inputs = {"seeds": np.int64(seeds), "truncation_psi": np.full([len(seeds)], options.truncation_psi, np.float32)}
        if options.labels is not None:
            inputs["labels"] = np.tile(np.float32(options.labels), [len(seeds), 1])
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        try:
            outputs = service.Predict(request, options.timeout).outputs
            found = {name: tf.make_ndarray(tensor).tolist() for name, tensor in outputs.items()}
        except grpc.RpcError as error:
            raise UserError(f"{address} answers {error.code().name}: {error.details()}") from None
        except (ValueError, TypeError) as error:
            raise UserError(
                f"{address} did not answer like TensorFlow Serving ({short(reason_of(error), 100)})."
            ) from None
        return checked(address, seeds, found.get("png_bytes", []), found.get("ok", [True] * len(seeds)))

    return fetch


def request_images(fetch: FetchImages, batches: Sequence[list], outdir: Optional[str], concurrency: int = 1) -> str:
    """Sends a request for each batch of seeds, `concurrency` at a time; saves the images as OUTDIR/seed0000.png, ...

    -> `8 images in 8 requests, 31.2 images/s; seconds per request: p50 0.031  p90 0.040  p99 0.050  first 0.050`.
    """
    folder = make_folder(outdir) if outdir else None
    started, taken = time.perf_counter(), []

    def send(seeds):
        start = time.perf_counter()
        pngs = fetch(seeds)
        return seeds, pngs, time.perf_counter() - start

    with concurrent.futures.ThreadPoolExecutor(concurrency) as pool:
        for seeds, pngs, seconds in pool.map(send, batches):
            taken.append(seconds)
            for seed, png in zip(seeds, pngs if folder else ()):
                with atomic_write(folder / f"seed{seed:04d}.png") as temporary:
                    temporary.write_bytes(png)
    images, elapsed, ordered = sum(map(len, batches)), time.perf_counter() - started, sorted(taken)
    # The nearest-rank percentile: the smallest time that this share of the requests did not exceed.
    ranks = {share: ordered[math.ceil(share / 100 * len(ordered)) - 1] for share in (50, 90, 99)}
    times = "  ".join(f"p{share} {value:.4f}" for share, value in ranks.items())
    rate = f"{images} images in {len(taken)} requests, {images / elapsed:.1f} images/s"
    return f"{rate}; seconds per request: {times}  first {taken[0]:.4f}"
