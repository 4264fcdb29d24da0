"""What TensorFlow raises when processes are out of sync becomes one line; other errors stay what they are."""

import multiprocessing.pool
import weakref

import pytest
import tensorflow as tf

from stylegan_tf.config.errors import UserError
from stylegan_tf.distribution.processes import translate_lost_processes


@pytest.mark.parametrize("kind", [tf.errors.InternalError, tf.errors.CancelledError, tf.errors.UnknownError])
def test_mismatched_collectives_are_one_line_that_says_what_to_do(kind):
    message = "Collective ops is aborted by: Shape mismatch in the collective instance 3"
    with pytest.raises(UserError, match="out of sync.*same flags, data and versions") as error:
        with translate_lost_processes():
            raise kind(None, None, message)
    assert "\n" not in str(error.value)


def test_an_internal_error_of_something_else_keeps_its_traceback():
    with pytest.raises(tf.errors.InternalError, match="cuDNN"), translate_lost_processes():
        raise tf.errors.InternalError(None, None, "cuDNN could not be initialised")


@pytest.mark.parametrize(
    "error", [tf.errors.UnavailableError(None, None, "gone"), tf.errors.InternalError(None, None, "Collective ops")]
)
def test_the_threads_of_a_failed_reduction_are_gone_before_python_ends(error):
    """TensorFlow leaves their pool open; where it goes at the very end, it may print a traceback below our line."""
    pools = []

    def reduction():
        pool = multiprocessing.pool.ThreadPool(1)
        pools.append(weakref.ref(pool))

        def fail(_):
            raise error

        pool.map(fail, [0])

    with pytest.raises(UserError) as caught, translate_lost_processes():
        reduction()
    assert caught.value.__cause__ is error and pools[0]() is None
