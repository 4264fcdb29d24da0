"""Measures exports of a network against calling it in Keras: size, latency, images per second, memory.

    python -m stylegan_tf.benchmark.serving --network runs/demo --batch_sizes 1,8

Every kind of export (weights as variables in float32, float16 and bfloat16, and as constants) is written to a temporary
folder and loaded again. All of them answer the same requests in turn, round after round, so that other load on the
machine affects all of them equally: compare the ratios. "first" is the first answer of a signature, which a server
gives before it is ready (warm-up). Then a process of its own answers --requests requests of changing sizes, for its
memory.
"""

import concurrent.futures
import multiprocessing
import pathlib
import statistics
import tempfile
import time

from stylegan_tf.cli import command_line, flags
from stylegan_tf.config.errors import UserError

FLAGS = flags.FLAGS
flags.define_network()
flags.define_list("batch_sizes", "1,8", "Numbers of rows per request, separated by commas.", lower_bound=1)
flags.define_list(
    "formats", "", "Portable formats to measure as well, each in its own runtime", choices=("onnx", "tflite")
)
flags.define("rounds", 20, "Number of requests of each kind and size.", lower_bound=1)
flags.define("requests", 1000, "Number of requests for the measurement of memory. 0: none.")

# For SavedModels: name -> options.
KINDS = {
    **{weights: {"weights": weights} for weights in ("float32", "float16", "bfloat16")},
    "constants": {"constants": True},
}


def main() -> None:
    flags.require("network")
    from stylegan_tf.networks.network_file import load_networks

    generator = load_networks(FLAGS.network).best_generator
    with tempfile.TemporaryDirectory() as folder:
        callers = {"keras": keras_caller(generator)}
        for kind, options in KINDS.items():
            callers[kind] = saved_model_caller(generator, pathlib.Path(folder) / kind, options)
        for kind in FLAGS.formats:
            for weights in ("float32", "float16"):
                name = f"{kind} {weights[-2:]}"
                try:
                    callers[name] = file_caller(generator, pathlib.Path(folder) / name, kind, weights)
                except UserError as error:  # E.g. float16 is not precise enough for this network.
                    command_line.show(f"{name} skipped: {error}")
        for kind in list(callers)[1:]:
            print(f"{kind:10}{megabytes(pathlib.Path(folder) / kind):9.1f} MB", flush=True)
        for size in FLAGS.batch_sizes:
            measure(callers, generator.config, size)
        if FLAGS.requests:
            measure_memory(pathlib.Path(folder) / "float32" / "1", generator.config)


def megabytes(folder) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def keras_caller(generator):
    """The network as one function, traced once, uint8 images: what a server written around Keras would call."""
    import tensorflow as tf

    from stylegan_tf.networks.truncation import Truncation
    from stylegan_tf.ops.resampling import to_uint8

    config = generator.config
    specs = [tf.TensorSpec([None, config.latent_size]), tf.TensorSpec([None])]
    specs += [tf.TensorSpec([None, config.label_size])] if config.label_size else []

    @tf.function(input_signature=specs)
    def call(latents, psi, labels=None):
        options = {"truncation": Truncation(psi, 8), "noise_mode": "const"}
        return to_uint8(generator(latents, labels=labels, **options))

    return lambda inputs: call(*inputs.values())


def saved_model_caller(generator, folder, options):
    import tensorflow as tf

    from stylegan_tf.config import ServingOptions
    from stylegan_tf.serving.saved_model import export_generator

    model = tf.saved_model.load(str(export_generator(generator, folder, ServingOptions(**options))))
    signature = model.signatures["serving_default"]
    return lambda inputs, model=model: signature(**inputs)["images"]  # The signature alone does not keep the weights.


def file_caller(generator, folder, kind, weights):
    """The whole generator in a portable format; its file is the only one that stays in `folder`."""
    import tensorflow as tf

    from stylegan_tf.config import ServingOptions
    from stylegan_tf.serving.formats.portable import FORMATS, export_portable

    path, *others = export_portable(generator, folder, kind, ServingOptions(weights=weights))
    for other in others:
        other.unlink()
    run = FORMATS[kind][1](path)
    return lambda inputs: tf.constant(run({name: value.numpy() for name, value in inputs.items()}))


def requests_of(config, rows):
    import numpy as np
    import tensorflow as tf

    inputs = {"latents": np.random.RandomState(rows).randn(rows, config.latent_size), "truncation_psi": [0.7] * rows}
    if config.label_size:
        inputs["labels"] = np.eye(rows, config.label_size)
    return {name: tf.constant(value, tf.float32) for name, value in inputs.items()}


def measure(callers, config, rows) -> None:
    """Prints one line per kind."""
    inputs = requests_of(config, rows)
    first = {kind: seconds_of(call, inputs) for kind, call in callers.items()}
    taken = {kind: [] for kind in callers}
    for _ in range(FLAGS.rounds):
        for kind, call in callers.items():
            taken[kind].append(seconds_of(call, inputs))
    expected = callers["keras"](inputs).numpy().astype(int)
    errors = {kind: abs(call(inputs).numpy().astype(int) - expected) for kind, call in callers.items()}
    for kind, seconds in taken.items():
        ratio = statistics.median(one / keras for one, keras in zip(seconds, taken["keras"]))
        median = statistics.median(seconds)
        print(
            f"batch {rows:3}  {kind:10}{1000 * median:9.1f} ms{rows / median:9.1f} images/s  "
            f"{ratio:6.3f} of Keras' time  first {first[kind]:6.2f} s"
            f"  error {errors[kind].max()} levels",
            flush=True,
        )


def seconds_of(call, inputs) -> float:
    start = time.perf_counter()
    call(inputs).numpy()
    return time.perf_counter() - start


def measure_memory(path, config) -> None:
    """In a process that has only the SavedModel. Prints one line."""
    shapes = {"latents": [config.latent_size], "truncation_psi": []}
    shapes.update({"labels": [config.label_size]} if config.label_size else {})
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        print(pool.submit(memory_of_requests, str(path), shapes, FLAGS.requests).result())


def memory_of_requests(path: str, shapes: dict[str, list[int]], count: int) -> str:
    """One line. shapes: of a row of each input."""
    import numpy as np
    import tensorflow as tf

    from stylegan_tf.training.reports.reporting import peak_memory

    model, peaks = tf.saved_model.load(path), []
    for requests in (max(100, count // 10), count):
        for index in range(requests):
            rows = 1 + index % 8
            inputs = {name: tf.constant(np.random.randn(rows, *shape), tf.float32) for name, shape in shapes.items()}
            model.signatures["serving_default"](**inputs)["images"].numpy()
        peaks.append(1024 * peak_memory()["memory_gib"])
    return f"peak memory: {peaks[0]:.1f} MiB after a few requests, {peaks[1]:.1f} MiB after {count} more of 1 to 8 rows"


if __name__ == "__main__":
    command_line.run(main)
