"""Blocks in which operations take another form: they may overlap, and hold for one thread."""

import threading

import pytest
import tensorflow as tf

from stylegan_tf.ops.forms import (
    are_chains_allowed,
    compiled_chains,
    custom_gradients_disabled,
    is_plain,
    plain_form,
    with_current_modes,
    without_custom_gradients,
)
from tests.helpers.two_replicas import two_replicas

KINDS = [
    (plain_form, is_plain),
    (compiled_chains, are_chains_allowed),
    (without_custom_gradients, custom_gradients_disabled),
]


@pytest.mark.parametrize("enter, is_in", KINDS)
def test_overlapping_blocks_end_with_the_last_of_them(enter, is_in):
    a, b = enter(), enter()
    a.__enter__()
    b.__enter__()
    a.__exit__(None, None, None)
    assert is_in()
    b.__exit__(None, None, None)
    assert not is_in()


def test_a_block_ends_after_an_error_and_is_none_of_another_kind():
    with pytest.raises(KeyError), plain_form():
        assert is_plain() and not are_chains_allowed() and not custom_gradients_disabled()
        raise KeyError
    assert not is_plain()


def test_another_thread_is_outside_unless_it_is_asked_in():
    found = []
    with plain_form():
        for function in (is_plain, with_current_modes(is_plain)):
            thread = threading.Thread(target=lambda function=function: found.append(function()))
            thread.start()
            thread.join()
    assert found == [False, True]


def test_replicas_trace_in_the_blocks_of_their_strategy():
    strategy, found = two_replicas(), []

    @tf.function(autograph=False)
    def run():
        with compiled_chains():
            return strategy.run(with_current_modes(lambda: found.append(are_chains_allowed()) or tf.constant(1)))

    run()
    assert found == [True, True]
