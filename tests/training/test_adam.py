"""Adam against its equations in NumPy, and the two habits of progressive growing."""

import numpy as np
import pytest
import tensorflow as tf

from stylegan_tf.training.adam import Adam

RATE, BETA1, BETA2, EPSILON = 0.1, 0.5, 0.9, 1e-3


@pytest.fixture
def variables():
    return {"a": tf.Variable([1.0, -2.0]), "b": tf.Variable([[3.0]])}


def apply(adam, gradients):
    """One step, as in training: in a tf.function and in replica context."""
    strategy = tf.distribute.get_strategy()

    @tf.function
    def step(gradients):
        strategy.run(lambda: adam.apply(gradients, tf.constant(RATE)))

    step({name: tf.constant(value, tf.float32) for name, value in gradients.items()})


def numpy_adam(value, gradients):
    """Kingma and Ba, Algorithm 1, with epsilon inside as in the text below it ("epsilon hat")."""
    value, m, v = np.float64(value), 0.0, 0.0
    for t, gradient in enumerate(gradients, start=1):
        m = BETA1 * m + (1 - BETA1) * gradient
        v = BETA2 * v + (1 - BETA2) * gradient**2
        value = value - RATE * np.sqrt(1 - BETA2**t) / (1 - BETA1**t) * m / (np.sqrt(v) + EPSILON)
    return value


def test_three_steps_equal_the_equations(variables):
    adam = Adam(variables, BETA1, BETA2, EPSILON)
    gradients = [np.array([0.5, -1.0]), np.array([-0.2, 3.0]), np.array([0.0, 1.0])]
    for gradient in gradients:
        apply(adam, {"a": gradient, "b": gradient[:1, None]})
    np.testing.assert_allclose(variables["a"], numpy_adam([1.0, -2.0], gradients), rtol=1e-6)
    np.testing.assert_allclose(variables["b"], numpy_adam([[3.0]], [g[:1, None] for g in gradients]), rtol=1e-6)


def test_the_papers_adam_moves_by_the_learning_rate_at_first(variables):
    apply(Adam(variables, 0.0, 0.99, 1e-8), {"a": [1e-3, -7.0], "b": [[0.0]]})
    np.testing.assert_allclose(variables["a"], [1.0 - RATE, -2.0 + RATE], rtol=1e-4)
    np.testing.assert_allclose(variables["b"], [[3.0]])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_step_with_one_bad_gradient_changes_nothing_but_the_count(variables, bad):
    adam = Adam(variables, BETA1, BETA2, EPSILON)
    apply(adam, {"a": [1.0, 1.0], "b": [[1.0]]})
    before = {name: value.numpy() for name, value in {**variables, **adam.variables}.items()}
    apply(adam, {"a": [1.0, bad], "b": [[1.0]]})
    assert adam.skipped == adam.skipped_in_a_row == 1
    for name, value in {**variables, **adam.variables}.items():
        if not name.startswith("skipped"):
            np.testing.assert_array_equal(value, before[name], err_msg=name)


def test_after_a_skipped_step_training_continues_as_if_it_had_not_been(variables):
    adam = Adam(variables, BETA1, BETA2, EPSILON)
    rows = []
    for gradient in ([1.0, 2.0], [np.nan, 2.0], [2.0, np.inf], [3.0, 4.0]):
        apply(adam, {"a": gradient})
        rows.append(adam.skipped_in_a_row)
    assert rows == [0, 1, 2, 0] and adam.skipped == 2
    expected = numpy_adam([1.0, -2.0], [np.array([1.0, 2.0]), np.array([3.0, 4.0])])
    np.testing.assert_allclose(variables["a"], expected, rtol=1e-6)


def test_a_variable_without_a_gradient_stays(variables):
    apply(Adam(variables, BETA1, BETA2, EPSILON), {"a": [1.0, 1.0]})
    np.testing.assert_array_equal(variables["b"], [[3.0]])


def test_after_a_reset_the_next_step_is_a_first_step(variables):
    adam = Adam(variables, BETA1, BETA2, EPSILON)
    apply(adam, {"a": [5.0, 5.0]})
    apply(adam, {"a": [np.nan, 5.0]})
    adam.reset()
    before = variables["a"].numpy()
    apply(adam, {"a": [1.0, -2.0]})
    np.testing.assert_allclose(variables["a"], numpy_adam(before, [np.array([1.0, -2.0])]), rtol=1e-6)
    assert adam.skipped == 1, "the count of skipped steps is that of the run"
