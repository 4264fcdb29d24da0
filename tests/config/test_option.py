"""Options check their values by their fields, wherever these come from."""

import dataclasses

import numpy as np
import pytest

from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig, LossConfig, ScheduleConfig, TrainConfig
from stylegan_tf.config.errors import UserError
from stylegan_tf.config.option import option_fields, value_type

KINDS = (GeneratorConfig, DiscriminatorConfig, ScheduleConfig, LossConfig, TrainConfig)
OPTIONS = [(kind, field.name) for kind in KINDS for field in option_fields(kind)]
FOLDERS = {"data_dir": "d", "run_dir": "r"}


def _given(kind, **values):
    return kind(**{**(FOLDERS if kind is TrainConfig else {}), **values})


@pytest.mark.parametrize("kind, name", OPTIONS, ids=lambda value: getattr(value, "__name__", value))
def test_no_option_takes_a_value_of_another_kind(kind, name):
    field = next(field for field in option_fields(kind) if field.name == name)
    wrong = {
        bool: [1, "true", None],
        int: [8.0, "8", True, float("nan")],
        float: ["1", True, float("nan"), float("inf"), float("-inf"), 1e39, 10**400],
        str: [3, 1.5, True],
    }.get(value_type(field), [8, "8:16", {"8": 16}, {8: "16"}, {8: float("nan")}, {8: float("inf")}, {}, {-12: 3}])
    for value in wrong:
        with pytest.raises(UserError, match=f"^{name}"):
            _given(kind, **{name: value})


def test_every_field_is_an_option_with_help_or_a_nested_part():
    for kind in KINDS:
        for field in dataclasses.fields(kind):
            if "option" in field.metadata:
                assert field.metadata["option"].help[0].isupper() and field.metadata["option"].help.endswith(".")
            else:
                assert field.type in KINDS


def test_numbers_of_numpy_and_whole_numbers_for_fractions_are_taken():
    schedule = ScheduleConfig(start_resolution=np.int64(16), training_kimg=600, learning_rates={np.int32(8): 1})
    assert schedule.start_resolution == 16 and schedule.training_kimg == 600


def test_bounds_include_what_they_say():
    assert _given(TrainConfig, seed=0, w_avg_beta=1, style_mixing_prob=0, adam_beta1=0).seed == 0
    assert _given(TrainConfig, seed=2**32 - 1).seed == 2**32 - 1
    for wrong in ({"seed": 2**32}, {"w_avg_beta": 1.0001}, {"adam_beta1": 1.0}, {"adam_epsilon": 0.0}):
        with pytest.raises(UserError, match=f"^{next(iter(wrong))} must be "):
            _given(TrainConfig, **wrong)


def test_a_wrong_choice_is_told_with_the_right_ones():
    with pytest.raises(UserError, match="strategy must be one of auto, one, mirrored, .*; got 'many'"):
        _given(TrainConfig, strategy="many")
