"""The process of one case: prepares itself, then measures one call of one part per line that it reads.

    python -c "from stylegan_tf.benchmark import worker; worker.serve()"

The first line on stdin is the case as JSON, {"ceiling": dtype} or {"slowness": dtypes}; then each line names a part.
Each is answered by one line of JSON on stdout. So the benchmark can alternate between cases and compare them under the
same load.
"""

import contextlib
import json
import os
import sys
import time

STARTED = time.perf_counter()


def serve() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Whatever libraries print goes elsewhere.
    request = json.loads(sys.stdin.readline())
    measured = _answers(request)
    print(json.dumps(next(measured)), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(measured.send(line.strip())), file=answers, flush=True)


def _answers(request):
    if "ceiling" in request:
        return _ceiling(request["ceiling"])
    return _slowness(request["slowness"]) if "slowness" in request else _training(request)


def _slowness(precisions):
    """How many times slower than float32 a convolution is in each; null: it does not run. On GPUs nothing is said."""
    import tensorflow as tf

    from stylegan_tf.distribution.fastest_precision import convolution_times

    on_cpu = not tf.config.list_physical_devices("GPU")
    times = {name: convolution_times(name) for name in precisions} if on_cpu else {}
    yield {name: None if measured.other is None else measured.factor for name, measured in times.items()}


def _ceiling(dtype):
    from stylegan_tf.benchmark.ceiling import Ceiling

    ceiling = Ceiling(dtype)
    operation = yield {}
    while True:
        operation = yield {"gflops": ceiling.measure(operation)}


def _training(request):
    from stylegan_tf.benchmark.cases import Case
    from stylegan_tf.benchmark.training_case import TrainingCase

    case = Case(**request)
    training = TrainingCase(case)
    seconds = {}
    with training.form():
        built = time.perf_counter()
        training.iterate(1)
        seconds["first_iteration"] = time.perf_counter() - built
        seconds["to_first_step"] = time.perf_counter() - STARTED
    memory = peak_memory()
    part = yield {**seconds, "peak_memory": memory, "device": training.device}
    while True:
        with training.form():
            part = yield _timed(training.calls[part])


def _timed(call):
    cpu, start = time.process_time(), time.perf_counter()
    call()
    return {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu,
        "peak_memory": peak_memory(),
    }


def peak_memory() -> int:
    """Bytes: of the GPU if there is one, else of this process."""
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])
    with contextlib.suppress(ImportError):  # Not on Windows.
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return 0
