"""Iterations of the authors' training, where its numbers are beside the checkout."""

import pytest

from tests import reference_training

FORMS = ["fused", *(pytest.param(form, marks=pytest.mark.slow) for form in reference_training.FORMS if form != "fused")]


@pytest.mark.parametrize("name", reference_training.FILES)
@pytest.mark.parametrize("form", FORMS)
def test_an_iteration_does_to_all_variables_what_the_authors_one_does(reference, name, form):
    rows = reference_training.follow(reference, name, form)
    assert {(start, index) for start, index, *_ in rows} == {
        *(("from its state", index) for index in range(7)),
        *(("in a row", index) for index in (1, 2, 6)),
    }
    compared = {what for _, _, what, *_ in rows}
    assert {"d_loss", "g_loss", "generator w_avg", "discriminator variables", "generator_ema changes"} <= compared
    outside = [f"{row}" for row in rows if not row[-2] <= row[-1]]
    assert not outside
