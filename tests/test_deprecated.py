"""Programs that import modules by the names of the last release still run."""

import ast
import importlib.util
import re
import sys
import warnings
from pathlib import Path

import pytest

from stylegan_tf.deprecated import MOVED, RENAMED

# What the last release had there.
NAMES = {
    "benchmark_data": ["rate"],
    "benchmark_serving": ["measure"],
    "config.projection": ["ProjectionConfig"],
    "conversion": [],
    "data.example_proto": ["parse", "serialize"],
    "data.making.decoding": ["to_square", "to_pixels", "PictureOptions"],
    "data.making.disk_space": ["check_disk", "estimate"],
    "data.making.sources": ["open_source"],
    "data.making.unfinished": ["UnfinishedSet"],
    "distribution.meeting": ["meet"],
    "editing.projection_files": ["Result", "ResultFolder", "Targets"],
    "errors": ["UserError"],
    "files.written_aside": ["written_aside", "WrittenTogether"],
    "layers": [],
    "layers.equalized": ["EqualizedDense", "EqualizedConv2D"],
    "layers.inputs": ["LearnedConstant", "DenseInput"],
    "layers.minibatch_stddev": ["MinibatchStddev"],
    "layers.noise": ["NoiseInput"],
    "layers.precise": ["PreciseLayer"],
    "layers.synthesis_layer": ["SynthesisLayer"],
    "layers.truncation": ["Truncation"],
    "metrics.classifier_training": ["train_classifier", "Accuracy"],
    "metrics.image_distance": ["ImageDistance", "pixel_distance"],
    "metrics.labelled_images": [],
    "metrics.lpips": ["load_distance"],
    "metrics.recording": ["load_judges"],
    "networks.mapping": ["MappingNetwork"],
    "networks.synthesis": ["SynthesisNetwork"],
    "networks.variables": ["named_variables", "trainable_variables"],
    "ops.compiled": ["compiled_chains"],
    "ops.compiled_layer_end": ["noise_activation_adain"],
    "ops.own_gradient": ["own_gradient", "without_own_gradients"],
    "ops.plain_form": ["is_plain"],
    "progress": ["ProgressBar", "format_duration"],
    "training.accumulation": ["in_rounds"],
    "training.checkpoints": ["Checkpoints", "newest_record"],
    "training.loop": ["train"],
    "training.reporting": ["RunReport", "tick_line", "peak_memory"],
    "visualize.latent_paths": ["LatentPath", "slerp"],
    "visualize.layer_groups": ["LayerGroup", "layer_groups", "parse_layers"],
}


def test_every_module_that_moved_is_tried():
    assert set(MOVED) == set(NAMES)


@pytest.mark.parametrize("old, names", NAMES.items(), ids=NAMES)
def test_what_a_module_had_is_where_the_table_says(old, names):
    """Found by the old name, but read from the source: most of them import TensorFlow."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Of the packages that old names are in.
        spec = importlib.util.find_spec(f"stylegan_tf.{old}")
    source = Path(spec.origin).read_text(encoding="utf-8")
    there = {node.name for node in ast.parse(source).body if hasattr(node, "name")}
    there |= {alias.name for node in ast.parse(source).body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert {RENAMED.get(f"{old}.{name}", name) for name in names} <= there


@pytest.fixture
def forgotten():
    before = dict(sys.modules)
    yield
    for name in set(sys.modules) - set(before):
        del sys.modules[name]


def test_an_old_name_is_the_new_thing_with_a_warning(forgotten):
    with pytest.warns(DeprecationWarning, match=re.escape("stylegan_tf.files.atomic_write now")) as caught:
        from stylegan_tf.files.written_aside import WrittenTogether, written_aside
    from stylegan_tf.files.atomic_write import AtomicBatch, atomic_write

    assert (written_aside, WrittenTogether) == (atomic_write, AtomicBatch)
    assert [warning.filename for warning in caught] == [__file__]


def test_modules_of_a_folder_that_moved_are_found_there(forgotten):
    with pytest.warns(DeprecationWarning):
        module = importlib.import_module("stylegan_tf.data.making.sources.labels")
    assert callable(module.find_labels)


def test_a_module_of_a_package_that_moved_is_not_loaded_twice(forgotten):
    with pytest.warns(DeprecationWarning):
        old = importlib.import_module("stylegan_tf.data.making.sources.labels")
    assert old.find_labels is importlib.import_module("stylegan_tf.data.sources.labels").find_labels


def test_what_never_was_is_not_found():
    with pytest.raises(ModuleNotFoundError, match="stylegan_tf.ops.nothing"):
        importlib.import_module("stylegan_tf.ops.nothing")
