"""Asks a server of TensorFlow Serving for images of seeds, over REST or gRPC. No TensorFlow here."""

import base64
import dataclasses
import http.client
import json
import urllib.error
import urllib.request
from typing import Callable, Optional

from stylegan_tf.errors import UserError

SIGNATURE = "seed_png"
Ask = Callable[[list], list]  # Seeds -> their PNG files.


@dataclasses.dataclass(frozen=True)
class Wish:
    """What all images of a client have in common."""

    truncation_psi: float = 0.7
    labels: Optional[list] = None  # The label of each, as numbers.
    timeout: float = 60.0  # Seconds that an answer may take.


def over_rest(url: str, wish: Wish) -> Ask:
    """One row per image: {"instances": [{"seeds": 3, "truncation_psi": 0.7}, ...]}."""

    def ask(seeds: list) -> list:
        rows = [{"seeds": seed, "truncation_psi": wish.truncation_psi} for seed in seeds]
        if wish.labels is not None:
            rows = [{**row, "labels": wish.labels} for row in rows]
        body = json.dumps({"signature_name": SIGNATURE, "instances": rows}).encode()
        request = urllib.request.Request(f"{url.rstrip('/')}:predict", body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=wish.timeout) as response:
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


def over_grpc(address: str, model: Optional[str], wish: Wish) -> Ask:
    labels = wish.labels
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
        inputs["truncation_psi"] = tensor(types_pb2.DT_FLOAT, "float_val", [wish.truncation_psi] * count, count)
        if labels is not None:
            inputs["labels"] = tensor(types_pb2.DT_FLOAT, "float_val", labels * count, count, len(labels))
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(value)
        try:
            outputs = service.Predict(request, wish.timeout).outputs
        except grpc.RpcError as error:
            raise UserError(f"{address} answers {error.code().name}: {error.details()}") from None
        ok = flags_of(outputs["ok"], count) if "ok" in outputs else [True] * count
        return checked(address, seeds, list(outputs["png_bytes"].string_val), ok)

    return ask
