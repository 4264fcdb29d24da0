"""Stable names for a network's variables: the same on both Keras versions, in files and in checkpoints."""


import tensorflow as tf


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


def track_parts(layer: tf.keras.layers.Layer) -> None:
    """Makes every one of `layer.parts` an attribute, to be called when they are made.

    Keras 3 hides what is in dictionaries and lists from `tf.train.Checkpoint` and SavedModels; attributes they see.
    """
    for name, part in layer.parts.items():
        setattr(layer, "part_" + name.replace("/", "_"), part)


def _tf_variable(variable) -> tf.Variable:
    """Keras 3 wraps the TensorFlow variable and has it as a property; Keras 2's is one already."""
    value = variable.value
    return variable if callable(value) else value
