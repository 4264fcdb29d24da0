"""How near projection comes to pictures of the demo network and of its dataset, and how long it takes.

    python tools/measure_projection.py [--spaces w w+] [--own 16] [--real 8] [--set steps=500]

Root mean square errors in levels of 255: of one picture, whose time includes what all searches share, and of sets.
"""

import argparse
import dataclasses
import json
import time

import checkout
import numpy as np

from stylegan_tf.config import ProjectionConfig
from stylegan_tf.data.demo import load_demo_images


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spaces", nargs="+", default=["w", "w+"])
    parser.add_argument("--own", type=int, default=16, help="pictures of the network, of the seeds from 100 on")
    parser.add_argument("--real", type=int, default=8, help="pictures of the demo set, the first ones")
    of_search = {"nargs": "+", "type": _setting, "default": [], "metavar": "OPTION=VALUE"}
    parser.add_argument("--set", **of_search, help="of ProjectionConfig, numbers")
    options = parser.parse_args()
    from stylegan_tf import generate_images, load_networks  # Here: TensorFlow, which --help does not need.
    from stylegan_tf.editing.projection import Projector
    from stylegan_tf.metrics.features.image_distance import pixel_distance

    generator = load_networks("demo").best_generator
    own = generate_images("demo", seeds=range(100, 100 + options.own))
    real = load_demo_images()[: options.real].reshape(-1, 32, 2, 32, 2, 3).mean(axis=(2, 4)).round().astype(np.uint8)
    for space in options.spaces:
        projector = Projector(generator, pixel_distance(), ProjectionConfig(space=space, **dict(options.set)))
        for name, pictures in (("one", own[:1]), ("own", own), ("real", real)):
            started, cpu = time.perf_counter(), time.process_time()
            size = projector.batch_size
            errors = np.concatenate([_errors(projector, pictures[i : i + size]) for i in range(0, len(pictures), size)])
            took = f"{time.perf_counter() - started:.1f} s, {time.process_time() - cpu:.1f} s of CPU"
            summary = f"{space} {name}: mean {errors.mean():.1f}, worst {errors.max():.1f}, {took};"
            print(summary, *(f"{error:.1f}" for error in errors), flush=True)


def _setting(text: str) -> tuple:
    name, _, value = text.partition("=")
    if name not in {field.name for field in dataclasses.fields(ProjectionConfig)}:
        raise ValueError(text)
    return name, json.loads(value)


def _errors(projector, targets):
    *_, last = projector.find(targets)
    difference = projector.pictures(last.ws, last.noise).astype(float) - targets
    return np.sqrt(np.mean(difference**2, axis=(1, 2, 3)))


if __name__ == "__main__":
    checkout.run(main)
