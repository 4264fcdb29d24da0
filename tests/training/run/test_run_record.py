"""What a resumed run may change: every option is refused by its flag, told in a line, or makes no difference."""

import dataclasses
import json

import numpy as np
import pytest

from stylegan_tf.config import TrainConfig
from stylegan_tf.config.errors import UserError
from stylegan_tf.config.option import FROM_DATA_SET, option_fields
from stylegan_tf.data.dataset_files import find_dataset
from stylegan_tf.data.making.writer import write_tfrecords
from stylegan_tf.training.run.record import RunRecord, changes, data_changes
from tests.helpers.array_source import ArraySource

PARTS = ("generator", "discriminator", "schedule", "losses")
CONFIG = TrainConfig(data_dir="d", run_dir="r")
# Another allowed value for what the rule in `_other` does not find one for.
OTHER = {
    "grid_planes": "0,2,1",
    "init_from": "x.npz", "tpu": "name", "data_dir": "elsewhere", "run_dir": "elsewhere", "metrics": "fid5k",
    "batch_sizes": {4: 8}, "batch_growth": {4: 2}, "max_replica_batch": {4: 4}, "learning_rates": {8: 0.002},
    "tick_kimg": {4: 1.0},
    "discriminator_learning_rate": {4: 0.002}, "learning_rate": 0.002, "feature_extractor": "efficientnet_lite0",
    "image_distance": "features", "shuffle_images": 100, "keep_networks": 2, "half_precision_levels": 1,
    "const_input": False, "generator_loss": "wgan", "discriminator_loss": "wgan", "resolution": 8,
    "wgan_drift": 0.001, "gp_target": 2.0, "use_styles": False, "freeze_d": 1, "augment_p": 0.5,
    "keep_best": "fid5k", "patience": 3, "cache_dir": "elsewhere", "cache_gib": 1.0, "ema_rampup": 0.05,
}  # fmt: skip
# What such a value needs beside it, on both sides, where its option does not say so itself.
BESIDE = {
    "use_styles": {"const_input": False},
    "keep_best": {"metrics": "fid5k"},
    "gp_target": {"gp_lambda": 10.0},
    "freeze_d": {"init_from": "x.npz"},
    "patience": {"metrics": "fid5k", "keep_best": "fid5k"},
}
IMAGES = np.random.RandomState(0).randint(0, 256, [9, 16, 16, 3]).astype(np.uint8)
LABELS = np.eye(9, 3, dtype=np.float32)
HARMLESS = {"data_dir", "run_dir", "init_from", "tpu", "cache_dir", "cache_gib"}


def _fields():
    parts = [(None, TrainConfig), *((name, type(getattr(CONFIG, name))) for name in PARTS)]
    return [
        (part, field)
        for part, kind in parts
        for field in option_fields(kind)
        if field.metadata["option"].group is not FROM_DATA_SET
    ]


def _other(field):
    if field.name in OTHER:
        return OTHER[field.name]
    if isinstance(field.default, bool):
        return not field.default
    option = field.metadata["option"]
    if option.choices:
        return next(choice for choice in option.choices if choice != field.default)
    for value in (field.default + 1, field.default / 2, 0.5):
        if value != field.default and option.allows(value) and (not option.is_resolution or value == 4):
            return type(field.default)(value)
    raise AssertionError(f"give another value for {field.name}")


def _with(config, values):
    for name, value in values.items():
        for part in (None, *PARTS):
            owner = config if part is None else getattr(config, part)
            if name in {field.name for field in dataclasses.fields(owner)}:
                owner = dataclasses.replace(owner, **{name: value})
                config = owner if part is None else dataclasses.replace(config, **{part: owner})
    return config


@pytest.fixture(scope="module")
def info(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "numbered"
    return find_dataset(write_tfrecords(ArraySource(IMAGES[:8], LABELS[:8]), folder))


@pytest.mark.parametrize("part, field", _fields(), ids=lambda value: getattr(value, "name", value or "run"))
def test_every_option_is_refused_reported_or_harmless(info, part, field):
    other = _other(field)
    requires = {name: allowed[0] for name, allowed in field.metadata["option"].requires.items()}
    before = _with(CONFIG, {**requires, **BESIDE.get(field.name, {})})
    now = _with(before, {field.name: other})
    assert now != before
    records = [RunRecord.of(config, info) for config in (before, now)]
    if part in ("generator", "discriminator") or field.name in ("resolution", "conditional"):
        with pytest.raises(UserError, match=f"cannot change when it resumes: .*`{field.name}`"):
            changes(*records, "r")
        return
    lines = changes(*records, "r")
    if field.name in HARMLESS:
        assert lines == []
    else:
        (line,) = lines
        assert line.startswith(f"{field.name} ") and " -> " in line


def test_a_change_is_reported_with_both_values(info):
    records = [RunRecord.of(_with(CONFIG, {"learning_rate": rate}), info) for rate in (0.001, 0.002)]
    assert changes(*records, "r") == ["learning_rate 0.001 -> 0.002"]
    records = [RunRecord.of(_with(CONFIG, {"batch_sizes": table}), info) for table in (None, {8: 16, 16: 8})]
    assert changes(*records, "r") == ["batch_sizes (not set) -> 8:16,16:8"]
    records = [RunRecord.of(_with(CONFIG, {"batch_growth": table}), info) for table in ({4: 2}, {4: 2, 0.5: 4})]
    assert changes(*records, "r") == ["batch_growth 4:2 -> 0.5:4,4:2"]


def test_another_number_of_replicas_is_reported_as_batch_sizes_follow_from_it(info):
    records = [RunRecord.of(CONFIG, info, replicas) for replicas in (1, 8)]
    assert changes(*records, "r") == ["replicas 1 -> 8"]


def test_a_record_comes_back_from_json(info):
    record = RunRecord.of(CONFIG, info)
    assert RunRecord.from_dict(json.loads(json.dumps(dataclasses.asdict(record)))) == record
    with pytest.raises(UserError, match="incomplete"):
        RunRecord.from_dict({"generator": {}})


def test_an_option_that_an_older_version_did_not_have_had_its_default(info):
    now = RunRecord.of(CONFIG, info)
    old = dataclasses.replace(now, generator={k: v for k, v in now.generator.items() if k != "blur"})
    assert changes(old, now, "r") == []
    without = RunRecord.of(_with(CONFIG, {"blur": False}), info)
    with pytest.raises(UserError, match="`blur`"):
        changes(dataclasses.replace(old, options={}), without, "r")


def test_other_data_under_the_same_name_are_reported(info, tmp_path):
    other = find_dataset(write_tfrecords(ArraySource(IMAGES, LABELS), tmp_path / "numbered"))
    before, now = RunRecord.of(CONFIG, info), RunRecord.of(CONFIG, other)
    lines = data_changes(before, now)
    assert lines[0] == "the dataset has changed: images 8 -> 9"
    assert any("content" in line for line in lines)
    assert changes(before, now, "r") == [f"warning: {line}" for line in lines]
