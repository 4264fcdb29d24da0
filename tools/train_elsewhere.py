"""The gradients of a training iteration as XLA programs, for a machine that has a GPU and JAX, but no TensorFlow.

    python tools/train_elsewhere.py lower FOLDER --levels 8,64,1024 [--batch 4] [--precision bfloat16]  # TensorFlow.
    python tools/train_elsewhere.py run FOLDER [--seconds 20]  # On the other machine, in a checkout.

`lower` writes both steps of each level, up to the gradients (Adam and the moving average are left out), with the widths
of configs/ffhq.cfg, and what TensorFlow computes on random weights and images (up to --checked pixels: it is slow).
`run` compiles them, compares, and measures images/s and memory. Known to work with JAX 0.10.2; its loader of programs
is no public interface, so that other versions may need another call in `_compiled`.
"""

import argparse
import json
import math
import time
import zlib
from pathlib import Path

import checkout
import numpy as np

STEPS = ("discriminator", "generator")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["lower", "run"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--levels", default="8,16,32,64,128,256,512,1024")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--resolution", type=int, default=1024, help="of the whole networks")
    parser.add_argument("--fmap_base", type=int, default=8192)
    parser.add_argument("--fmap_max", type=int, default=512)
    parser.add_argument("--checked", type=int, default=64, help="the largest level that TensorFlow computes, too")
    parser.add_argument("--seconds", type=float, default=20, help="of measuring, for each program")
    options = parser.parse_args()
    if options.action == "lower":
        options.folder.mkdir(parents=True, exist_ok=True)
        for level in map(int, options.levels.split(",")):
            lower(options, level)
    else:
        run(options)


def drawn(name: str, shape, scale: float) -> np.ndarray:
    """The same values here and there."""
    return np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape).astype(np.float32) * scale


def summary(name: str, x: np.ndarray) -> list[float]:
    """[norm, product with random signs]: an error of an output moves the second by about its own norm."""
    x = np.asarray(x, np.float64).ravel()
    signs = np.random.RandomState(zlib.crc32(name.encode())).randint(0, 2, x.size) * 2 - 1
    return [float(np.linalg.norm(x)), float(x @ signs)]


def lower(options, level: int) -> None:
    import tensorflow as tf

    from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig, TrainConfig
    from stylegan_tf.networks.keras_model import named_variables
    from stylegan_tf.training.gradients import Gradients
    from stylegan_tf.training.state import TrainState

    widths = {name: getattr(options, name) for name in ("resolution", "fmap_base", "fmap_max")}
    networks = GeneratorConfig(**widths), DiscriminatorConfig(**widths)
    config = TrainConfig(data_dir="none", run_dir="none", precision=options.precision)
    state = TrainState(config, *networks)
    gradients = Gradients(config, state, level, options.batch)
    scales, variables = {}, {}
    for part in (state.generator, state.discriminator):
        for path, variable in named_variables(part).items():
            name = f"{part.name}/{path}"
            scales[name] = 100.0 if path.startswith("mapping/") and path.endswith("weight") else 1.0
            variables[id(variable.handle)] = (name, list(variable.shape))
            variable.assign(drawn(name, variable.shape, scales[name]))
    shapes = {"reals": [options.batch, level, level, 3], "z": [options.batch, networks[0].latent_size]}
    shapes["other_z"] = shapes["z"]
    for index, shape in enumerate(state.generator.synthesis.noise_shapes(level)):
        shapes[f"noise{index}"] = [options.batch, *shape]
    specs = [tf.TensorSpec(shape, name=name) for name, shape in shapes.items()]
    for step in STEPS:
        compute, outputs = computed(gradients, step)
        function = tf.function(compute, jit_compile=True, autograph=False)
        captured = function.get_concrete_function(*specs).captured_inputs
        inputs = [*shapes.items(), *(variables[id(handle)] for handle in captured)]
        program = function.experimental_get_compiler_ir(*specs)(stage="hlo_serialized")
        expected = {}
        if level <= options.checked:
            values = tf.function(compute, autograph=False)(*(drawn(name, shape, 1.0) for name, shape in shapes.items()))
            expected = {name: summary(name, value) for name, value in zip(outputs, values)}
        description = {"level": level, "step": step, "batch": options.batch, "precision": options.precision}
        description.update(inputs=[[name, shape, scales.get(name, 1.0)] for name, shape in inputs], outputs=outputs)
        path = options.folder / f"{options.precision}-{level:04d}-{step}.json"
        path.write_text(json.dumps({**description, "expected": expected}))
        path.with_suffix(".hlo").write_bytes(program)
        print(f"{path.name}: {len(program) / 1e6:.1f} MB, {len(inputs)} inputs", flush=True)


def computed(gradients, step: str):
    """(function of tensors that returns the metrics and gradients of a step, their names once it is traced)"""
    import tensorflow as tf

    from stylegan_tf.training.gradients import Images, Scalars
    from stylegan_tf.training.random_inputs import FakeInputs

    names = []

    def compute(reals, z, other_z, *noise):
        images = Images(FakeInputs(z, other_z, noise), reals=reals)
        sums = getattr(gradients, step)(images, Scalars(tf.constant(1.0), tf.constant(3)))
        found = {**sums.metrics, **sums.gradients}
        names[:] = list(found)
        return list(found.values())

    return compute, names


def run(options) -> None:
    import jax

    device = jax.devices()[0]
    print(f"{device.device_kind}, JAX {jax.__version__}\n")
    print(
        "| precision | level | step | batch | s to compile | images/s | peak GiB so far | largest difference |\n"
        + "|---" * 8
        + "|"
    )
    for path in sorted(options.folder.glob("*.json")):
        about = json.loads(path.read_text())
        start = time.monotonic()
        program = _compiled(path.with_suffix(".hlo").read_bytes(), device)
        compiled = time.monotonic() - start
        inputs = [jax.device_put(drawn(*given), device) for given in about["inputs"]]
        outputs = [np.asarray(value[0]) for value in program(inputs)]
        difference = largest_difference(about, outputs)
        times = []
        while not times or sum(times) < options.seconds:
            start = time.monotonic()
            for value in program(inputs):
                value[0].block_until_ready()
            times.append(time.monotonic() - start)
        memory = (device.memory_stats() or {}).get("peak_bytes_in_use", 0) / 2**30
        row = (about["precision"], about["level"], about["step"], about["batch"], f"{compiled:.1f}")
        row += (f"{about['batch'] / np.median(times):.2f}", f"{memory:.2f}" if memory else "", difference)
        print("| " + " | ".join(map(str, row)) + " |", flush=True)


def _compiled(hlo: bytes, device):
    """-> function of arrays that returns a list of [array on the device]."""
    from jaxlib import _jax

    program = _jax.mlir.hlo_to_stablehlo(hlo)
    executable = device.client.compile_and_load(program, _jax.DeviceList((device,)), _jax.CompileOptions())
    return lambda inputs: executable.execute_sharded(inputs).disassemble_into_single_device_arrays()


def largest_difference(about: dict, outputs: list) -> str:
    """Largest difference of an output, relative to its norm, and which output it is."""
    if not about["expected"]:
        return "not compared"
    differences = {}
    for name, value in zip(about["outputs"], outputs):
        norm, product = about["expected"][name]
        differences[name] = abs(summary(name, value)[1] - product) / max(norm, 1e-30)
    worst = max(differences, key=lambda name: math.inf if math.isnan(differences[name]) else differences[name])
    return f"{differences[worst]:.1e} ({worst})"


if __name__ == "__main__":
    checkout.run(main)
