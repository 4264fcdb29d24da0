"""What all layers with variables have in common."""

import inspect

import tensorflow as tf

_AUTOCAST = "autocast" if "autocast" in inspect.signature(tf.keras.layers.Layer.add_weight).parameters else None
_AUTOCAST = _AUTOCAST or "experimental_autocast"  # Its name in Keras 2.


class PreciseLayer(tf.keras.layers.Layer):
    """A layer that reads its variables in float32 whatever it computes in, and casts inputs and variables itself.

    Keras 2 would hand out rounded variables under a mixed policy: scaled weights would be rounded twice.
    """

    def __init__(self, **kwargs):
        kwargs.setdefault("autocast", False)
        super().__init__(**kwargs)

    def add_weight(self, **kwargs):
        return super().add_weight(**{_AUTOCAST: False}, **kwargs)
