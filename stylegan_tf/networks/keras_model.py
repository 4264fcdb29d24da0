"""What the generator and the discriminator are for Keras: models that can be copied, saved and loaded as any other."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Optional, Union

import numpy as np
import tensorflow as tf

from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig
from stylegan_tf.config.errors import UserError
from stylegan_tf.config.option import OptionError
from stylegan_tf.files.file_errors import short
from stylegan_tf.networks.growth import Growth

_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
# float16 has a narrow range: the few highest resolutions, where nearly all time goes, take it. 4x4 does only if asked
# for: its first layer normalises what is nearly a constant map, which multiplies gradients by up to 1e4.
_FLOAT16_LEVELS = 4
# Far above the activations of a healthy network, and far enough below float16's largest value of 65504 for the sums
# of the next convolution.
FLOAT16_CLAMP = 256.0
PACKAGE = "stylegan_tf"  # Prefix of the names under which Keras registers the classes.


def level_policies(precision: str, resolutions: Sequence[int], half_levels: Optional[int] = None) -> dict[int, str]:
    """The Keras dtype policy of every level of a network, by resolution.

    Args:
      precision: float32, bfloat16 or float16.
      resolutions: all levels, e.g. (4, 8, 16), at any stage of progressive growing.
      half_levels: how many of the highest compute in half precision; None: all in bfloat16, 4 (above
        4x4) in float16.
    """
    if precision not in _POLICIES:
        raise OptionError(f"precision must be one of {', '.join(_POLICIES)}, got {precision!r}.")
    if half_levels is None:
        half_levels = min(_FLOAT16_LEVELS, len(resolutions) - 1) if precision == "float16" else len(resolutions)
    if isinstance(half_levels, bool) or not isinstance(half_levels, int) or half_levels < 0:
        raise UserError(f"half_levels must be None or a number of levels, got {half_levels!r}.")
    highest = sorted(resolutions, reverse=True)[:half_levels]
    return {r: _POLICIES[precision] if r in highest else "float32" for r in resolutions}


def global_precision() -> str:
    """What Keras' global dtype policy means for a network. UserError for one that no network computes in."""
    policy = tf.keras.mixed_precision.global_policy().name
    for precision, name in _POLICIES.items():
        if name == policy:
            return precision
    raise UserError(f"Keras' global policy is {policy}, which networks do not compute in: give `precision=float32`.")


def check_policies(policies: Sequence[str]) -> None:
    """UserError for a policy that is not in `level_policies`."""
    unknown = [policy for policy in policies if policy not in list(_POLICIES.values())]
    if unknown:
        raise UserError(f"dtype policies must be among {', '.join(_POLICIES.values())}, got {unknown[0]!r}.")


def convolution_clamp(policy: str) -> Optional[float]:
    """The limit of a convolution's outputs under a policy; None: no limit."""
    return FLOAT16_CLAMP if policy == "mixed_float16" else None


def named_variables(layer: tf.keras.layers.Layer) -> dict[str, tf.Variable]:
    """All variables of a network or layer by name, e.g. "synthesis/8x8/conv0_up/weight".

    A composite layer names its sublayers in the property `parts`; the path of names leads to the variable.
    A part named "" adds nothing to the path.
    """
    variables = {}
    parts = getattr(layer, "parts", None)
    if parts is None:
        for variable in layer.weights:
            variables[variable.name.split("/")[-1].split(":")[0]] = _tf_variable(variable)
        return variables
    for part_name, part in parts.items():
        for name, variable in named_variables(part).items():
            variables[f"{part_name}/{name}" if part_name else name] = variable
    return variables


def trainable_variables(layer: tf.keras.layers.Layer) -> dict[str, tf.Variable]:
    """Those of `named_variables` that training moves (not w_avg, not the fixed noise maps)."""
    return {name: variable for name, variable in named_variables(layer).items() if variable.trainable}


def _layers(layer: tf.keras.layers.Layer, path: str = "") -> Iterator[tuple[str, tf.keras.layers.Layer]]:
    """(path, layer): a network or layer, "", and its parts like "/8x8/conv0/source", which is the part named ""."""
    yield path, layer
    for name, part in getattr(layer, "parts", {}).items():
        yield from _layers(part, f"{path}/{name or 'source'}")


def track_parts(layer: tf.keras.layers.Layer) -> None:
    """Makes every one of `layer.parts` an attribute, to be called when they are made.

    Keras 3 hides what is in dictionaries and lists from `tf.train.Checkpoint` and SavedModels; attributes they see.
    """
    for name, part in layer.parts.items():
        setattr(layer, "part_" + name.replace("/", "_"), part)


def _tf_variable(variable: Any) -> tf.Variable:
    """Keras 3 wraps the TensorFlow variable and has it as a property; Keras 2's is one already."""
    value = variable.value
    return variable if callable(value) else value


def check_shape(name: str, tensor: tf.Tensor, shape: list[Optional[int]]) -> None:
    """ValueError unless `tensor` can have this shape; None: any size."""
    found = _shape(tensor)
    if not found.is_compatible_with(shape):
        sizes = ", ".join("N" if size is None else str(size) for size in shape)
        raise ValueError(f"{name} must be [{sizes}], got {found}.")


def check_psi(psi: Any, ws: tf.Tensor) -> None:
    """ValueError unless it is a number, or one for each image of `ws` [N, L, W]."""
    found, count = _shape(psi), _shape(ws)[0]
    if None not in (found.num_elements(), count) and found.num_elements() not in (1, count):
        raise ValueError(f"psi must be a number or one per image, [{count}], got {found}.")


def check_labels(labels: Optional[tf.Tensor], label_size: int, images: tf.Tensor) -> None:
    """ValueError unless a network with labels of this width (0: without labels) gets one for each of `images`, or z."""
    if label_size and labels is None:
        raise ValueError(f"expected labels [N, {label_size}] for a conditional network, got None.")
    if labels is None:
        return
    found = _shape(labels)
    if not label_size and found.rank and found[-1] != 0:
        raise ValueError(f"expected no labels for an unconditional network, got {found}.")
    if found.rank == 1:
        hint = f"give tf.one_hot(labels, {label_size}) of classes"
        raise ValueError(f"expected labels [N, {label_size}], got {found}: {hint}.")
    check_shape("labels", labels, [_shape(images)[0], label_size])


def _shape(tensor: Any) -> tf.TensorShape:
    return tf.TensorShape(tensor.shape if hasattr(tensor, "shape") else np.shape(tensor))


class NetworkModel(tf.keras.Model):
    """A network that its options describe fully: `from_config(get_config())` has the same variables, with new values.

    So `clone_model`, `copy.deepcopy`, pickle, `.keras` files and `tf.keras.callbacks` work on networks, and on models
    that hold them. A config is data: plain numbers and names, checked as a network file's are.
    """

    config_class: type[Union[GeneratorConfig, DiscriminatorConfig]]
    config: Any  # Of that class.
    growth: Any  # A `Growth`; of a generator a property.

    def __init__(self, config: Any, precision: Optional[str], half_levels: Optional[int], name: str) -> None:
        if not isinstance(config, self.config_class):
            raise UserError(f"config must be a {self.config_class.__name__}, got a {type(config).__name__}.")
        super().__init__(name=name, dtype="float32")
        self.config = config
        self.precision = precision or global_precision()
        self.half_levels = half_levels

    def build(self, input_shape: Sequence[Optional[int]]) -> None:
        """Nothing is left to do: the constructor makes all variables, and calls `set_built`."""
        self.built = True

    def set_built(self, input_shape: Sequence[Optional[int]]) -> None:
        """Keras notes the shape, for exports. It exports models of one input: a conditional network has none for it."""
        self._one_input = tuple(input_shape[1:])
        if self.config.label_size:
            self.built = True
        else:
            self.build(input_shape)

    def _trackable_children(self, save_type: str = "checkpoint", **kwargs: Any) -> Any:
        """For `tf.saved_model.save`. Keras 2 knows a model's inputs from its first call only: make one."""
        if save_type == "savedmodel" and getattr(self, "_saved_model_inputs_spec", self) is None:
            size = self.config.label_size
            self(tf.zeros([1, *self._one_input]), labels=tf.zeros([1, size]) if size else None)
        return super()._trackable_children(save_type, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as JSON has them."""
        return {
            "config": self.config.to_dict(),
            "precision": self.precision,
            "half_levels": self.half_levels,
            "growth": self.growth.to_metadata(),
            "name": self.name,
            "frozen": [path for path, layer in _layers(self) if not layer.trainable],
        }

    @classmethod
    def from_config(cls: Any, config: Mapping[str, Any], custom_objects: Any = None) -> Any:
        """The inverse of `get_config`. UserError for options that no network can have."""
        missing = sorted({"config", "precision", "half_levels", "growth"} - set(config))
        if missing:
            raise UserError(f"the config of a {cls.__name__} lacks {', '.join(missing)}: is it one of `get_config`?")
        options = cls.config_class.from_dict(config["config"])
        growth = Growth.from_metadata(config["growth"], options.resolution)
        named = {"name": config["name"]} if "name" in config else {}  # Files of earlier versions lack it and `frozen`.
        network = cls(options, config["precision"], config["half_levels"], growth, **named)
        layers, frozen = dict(_layers(network)), config.get("frozen", [])
        if not isinstance(frozen, list) or any(path not in list(layers) for path in frozen):
            raise UserError(f"the config of a {cls.__name__} must freeze layers that it has, got {short(frozen, 60)}.")
        if frozen:
            for path, layer in layers.items():  # A layer before its parts, which it also sets.
                layer.trainable = path not in frozen
        return network

    def save(self, filepath: Any, *args: Any, **kwargs: Any) -> Any:
        """As Keras': a `.keras` file. What Keras cannot write of a model of this kind is refused."""
        if str(filepath).endswith((".h5", ".hdf5")):
            raise UserError(
                f"{filepath}: Keras cannot save this network as HDF5; give a name that ends in .keras, or write a "
                "network file, which every version reads: stylegan_tf.networks.network_file.save_networks."
            )
        return super().save(filepath, *args, **kwargs)

    def save_weights(self, filepath: Any, *args: Any, **kwargs: Any) -> Any:
        """As Keras': `.weights.h5`. Plain `.h5` goes by names of layers, which are not unique in these networks."""
        if str(filepath).endswith((".h5", ".hdf5")) and not str(filepath).endswith(".weights.h5"):
            raise UserError(f"{filepath}: give a name that ends in .weights.h5: older HDF5 files mix up equal names.")
        return super().save_weights(filepath, *args, **kwargs)

    def export(self, filepath: Any, *args: Any, **kwargs: Any) -> Any:
        """As Keras': a SavedModel of `call` with one input, after the first call."""
        if self.config.label_size and "input_signature" not in kwargs:
            raise UserError(
                f"{filepath}: Keras exports models of one input, but this network also takes labels: export "
                "tf.keras.Model([z, labels], network(z, labels=labels)), or use stylegan-tf export."
            )
        return super().export(filepath, *args, **kwargs)
