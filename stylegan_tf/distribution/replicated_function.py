"""One batch after another through a function, sharded over the replicas of a strategy on one machine."""

from typing import Callable

import numpy as np
import tensorflow as tf

from stylegan_tf.ops.compiled import compiled_chains
from stylegan_tf.ops.plain_form import in_same_blocks


class ReplicatedFunction:
    """Arrays of n rows in, a structure of arrays of n rows out, in the same order.

    Every replica gets `rows` rows in each call, so that shapes do not depend on the number of replicas and the
    function is traced once. The last call is padded with copies of the last row, which are dropped again.
    """

    def __init__(self, strategy: tf.distribute.Strategy, function: Callable, rows: int):
        """function: tensors [rows, ...] -> tensor, or dictionary of tensors, [rows, ...]."""
        self.total_rows = rows * strategy.num_replicas_in_sync
        self._strategy = strategy
        self._rows = rows

        @tf.function(autograph=False)
        def run(arguments):
            with compiled_chains():
                return strategy.run(in_same_blocks(function), arguments)

        self._run = run

    def __call__(self, *arrays: np.ndarray):
        """arrays: each [n, ...] with 1 <= n <= total_rows. Returns NumPy arrays [n, ...]."""
        count = len(arrays[0])
        if not 1 <= count <= self.total_rows:
            raise ValueError(f"expected 1 to {self.total_rows} rows, got {count}.")
        filled = [np.concatenate([array, np.repeat(array[-1:], self.total_rows - count, axis=0)]) for array in arrays]
        outputs = self._run(tuple(self._sharded(array) for array in filled))
        return tf.nest.map_structure(lambda value: self._in_order(value)[:count], outputs)

    def _in_order(self, value):
        """The replicas' results as one array; their order is that of the shards."""
        return np.concatenate([part.numpy() for part in self._strategy.experimental_local_results(value)])

    def _sharded(self, array):
        def shard(context):
            first = context.replica_id_in_sync_group * self._rows
            return tf.constant(array[first : first + self._rows])

        return self._strategy.experimental_distribute_values_from_function(shard)
