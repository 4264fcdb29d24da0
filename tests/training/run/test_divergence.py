"""When losses say that a run no longer learns."""

import math

from stylegan_tf.training.run.stopping import Symptom, symptom_of_losses

GOOD = {"d_loss": 1.0, "g_loss": 1.0, "r1": math.nan, "fake_variety": math.nan}  # A replica of one image has none.
BAD = {**GOOD, "d_loss": math.nan}


def test_losses_that_are_never_finite_are_a_symptom_and_a_single_one_is_not():
    assert symptom_of_losses([BAD, BAD]) == Symptom("d_loss is not finite", of_discriminator=True)
    for iterations in ([BAD], [BAD, GOOD], [GOOD, GOOD]):
        assert symptom_of_losses(iterations) is None
