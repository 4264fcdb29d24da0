"""Modules under the names that they had before: importing one works for one release, with a DeprecationWarning."""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
import warnings

# Old -> new, without the `stylegan_tf.` before them.
MOVED = {
    "benchmark_data": "benchmark.data",
    "benchmark_serving": "benchmark.serving",
    "config.blending": "config.editing",
    "config.classifiers": "config.metrics",
    "config.explorer": "config.serving",
    "config.nearest": "config.metrics",
    "config.projection": "config.editing",
    "data.making.decoding": "data.sources.decoding",
    "data.making.sources": "data.sources",
    "files.written_aside": "files.atomic_write",
    "layers.equalized": "layers.progan",
    "layers.inputs": "layers.style",
    "layers.minibatch_stddev": "layers.progan",
    "layers.noise": "layers.style",
    "layers.precise": "layers.progan",
    "layers.synthesis_layer": "layers.style",
    "layers.truncation": "layers.style",
    "metrics.image_distance": "metrics.features.image_distance",
    "metrics.lpips": "metrics.features.lpips",
    "networks.mapping": "networks.generator",
    "networks.synthesis": "networks.generator",
    "networks.variables": "networks.keras_model",
    "ops.own_gradient": "ops.custom_gradient",
    "progress": "cli.progress",
    "training.accumulation": "training.gradients",
    "training.loop": "training.run.loop",
    "visualize.latent_paths": "visualize.interpolation",
    "visualize.layer_groups": "visualize.style_mixing",
}
# Names that changed with the move.
RENAMED = {
    "files.written_aside.written_aside": "atomic_write",
    "files.written_aside.WrittenTogether": "AtomicBatch",
    "layers.truncation.Truncation": "TruncationLayer",
    "ops.own_gradient.own_gradient": "custom_gradient",
    "ops.own_gradient.without_own_gradients": "without_custom_gradients",
    "training.accumulation.in_rounds": "accumulated",
}


class _MovedModules(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Asked last of all: for what is nowhere else."""

    def find_spec(self, fullname, path=None, target=None):
        name = fullname.removeprefix("stylegan_tf.")
        if name == fullname or name not in MOVED:
            return None
        target = importlib.util.find_spec(f"stylegan_tf.{MOVED[name]}")
        is_package = target.submodule_search_locations is not None
        return importlib.machinery.ModuleSpec(fullname, self, origin=target.origin, is_package=is_package)

    def get_code(self, fullname):
        """For `python -m`."""
        new = f"stylegan_tf.{MOVED[fullname.removeprefix('stylegan_tf.')]}"
        return importlib.util.find_spec(new).loader.get_code(new)

    def create_module(self, spec):
        return types.ModuleType(spec.name)

    def exec_module(self, module):
        old = module.__name__.removeprefix("stylegan_tf.")
        new = f"stylegan_tf.{MOVED[old]}"
        warnings.warn(f"{module.__name__} is {new} now", DeprecationWarning, stacklevel=2)
        target = importlib.import_module(new)
        if hasattr(target, "__path__"):  # Its modules are found under the old name, too.
            module.__path__ = target.__path__
        module.__getattr__ = lambda name: getattr(target, RENAMED.get(f"{old}.{name}", name))


def install() -> None:
    if not any(isinstance(finder, _MovedModules) for finder in sys.meta_path):
        sys.meta_path.append(_MovedModules())
