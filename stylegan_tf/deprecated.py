"""Modules under the names that they had before: importing one works for one release, with a DeprecationWarning."""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
import warnings
from typing import Optional

# Old -> new, without the `stylegan_tf.` before them; of a package with all that is in it.
MOVED = {
    "benchmark_data": "benchmark.data",
    "benchmark_serving": "benchmark.serving",
    "config.projection": "config.editing",
    "conversion": "networks.conversion",
    "data.example_proto": "data.tfrecord_files",
    "data.making.decoding": "data.sources.fitted",
    "data.making.disk_space": "data.making.report",
    "data.making.sources": "data.sources",
    "data.making.unfinished": "data.making.partial_dataset",
    "distribution.meeting": "distribution.rendezvous",
    "editing.projection_files": "editing.projecting",
    "errors": "config.errors",
    "files.written_aside": "files.atomic_write",
    "layers": "networks.layers",
    "layers.equalized": "networks.layers.progan",
    "layers.inputs": "networks.layers.style",
    "layers.minibatch_stddev": "networks.layers.progan",
    "layers.noise": "networks.layers.style",
    "layers.precise": "networks.layers.progan",
    "layers.synthesis_layer": "networks.layers.style",
    "layers.truncation": "networks.layers.style",
    "metrics.classifier_training": "metrics.attribute_classifiers",
    "metrics.image_distance": "metrics.features.image_distance",
    "metrics.labelled_images": "metrics.real_images",
    "metrics.lpips": "metrics.features.image_distance",
    "metrics.recording": "metrics.computation",
    "networks.mapping": "networks.generator",
    "networks.synthesis": "networks.generator",
    "networks.variables": "networks.keras_model",
    "ops.compiled": "ops.forms",
    "ops.compiled_layer_end": "ops.elementwise",
    "ops.own_gradient": "ops.forms",
    "ops.plain_form": "ops.forms",
    "progress": "cli.progress",
    "training.accumulation": "training.microbatches",
    "training.checkpoints": "training.run.checkpoints",
    "training.loop": "training.run.loop",
    "training.reporting": "training.reports.reporting",
    "visualize.latent_paths": "visualize.interpolation",
    "visualize.layer_groups": "visualize.style_mixing",
}
# Names that changed with the move.
RENAMED = {
    "data.example_proto.parse": "parse_example",
    "data.example_proto.serialize": "serialize_example",
    "data.making.unfinished.UnfinishedSet": "PartialDataset",
    "distribution.meeting.meet": "rendezvous",
    "files.written_aside.WrittenTogether": "AtomicBatch",
    "files.written_aside.written_aside": "atomic_write",
    "layers.truncation.Truncation": "TruncationLayer",
    "metrics.recording.load_judges": "load_metric_models",
    "ops.own_gradient.own_gradient": "custom_gradient",
    "ops.own_gradient.without_own_gradients": "without_custom_gradients",
    "training.accumulation.in_rounds": "accumulated",
}


def _new_name(fullname: str) -> Optional[str]:
    """New name of a module that moved, or whose package did."""
    old = fullname.removeprefix("stylegan_tf.")
    package, _, name = old.rpartition(".")
    new = MOVED.get(old) or (package in MOVED and f"{MOVED[package]}.{name}")
    return f"stylegan_tf.{new}" if new and old != fullname else None


class _MovedModules(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Asked last of all: for what is nowhere else."""

    def find_spec(self, fullname, path=None, target=None):
        new = _new_name(fullname)
        found = importlib.util.find_spec(new) if new else None
        if found is None:
            return None
        is_package = found.submodule_search_locations is not None
        return importlib.machinery.ModuleSpec(fullname, self, origin=found.origin, is_package=is_package)

    def get_code(self, fullname):
        """For `python -m`."""
        new = _new_name(fullname)
        return importlib.util.find_spec(new).loader.get_code(new)

    def create_module(self, spec):
        return types.ModuleType(spec.name)

    def exec_module(self, module):
        old, new = module.__name__.removeprefix("stylegan_tf."), _new_name(module.__name__)
        warnings.warn(f"{module.__name__} is {new} now", DeprecationWarning, stacklevel=2)
        target = importlib.import_module(new)
        module.__getattr__ = lambda name: getattr(target, RENAMED.get(f"{old}.{name}", name))


def install() -> None:
    if not any(isinstance(finder, _MovedModules) for finder in sys.meta_path):
        sys.meta_path.append(_MovedModules())
