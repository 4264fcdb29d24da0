"""The schedule at its boundaries, by hand, and against every row of the reference file."""

import dataclasses
import json
import math

import pytest

from stylegan_tf.config import LossConfig, ScheduleConfig
from stylegan_tf.config.errors import UserError
from stylegan_tf.training.schedule import (
    batch_size_at,
    check_batches,
    learning_rate_at,
    losses_at,
    optimizer_reset_between,
    phase_at,
    stages,
)

PAPER = ScheduleConfig()
# 4 -> 8 -> 16 with 6 images per level and 4 per fade: levels end at 6 and 16, fades at 10 and 20.
LENGTHS = {"start_resolution": 4, "training_kimg": 0.006, "transition_kimg": 0.004}
SMALL = ScheduleConfig(batch_sizes={4: 8}, **LENGTHS)


@pytest.mark.parametrize(
    "images_seen, lod, resolution, alpha",
    [
        (0, 7.0, 8, 1.0),
        (599_999, 7.0, 8, 1.0),
        (600_000, 7.0, 8, 1.0),
        (600_001, 7 - 1 / 600_000, 16, 1 / 600_000),
        (900_000, 6.5, 16, 0.5),
        (1_199_999, 6 + 1 / 600_000, 16, 599_999 / 600_000),
        (1_200_000, 6.0, 16, 1.0),
        (1_800_000, 6.0, 16, 1.0),
        (1_800_001, 6 - 1 / 600_000, 32, 1 / 600_000),
        (8_399_999, 1 / 600_000, 1024, 599_999 / 600_000),
        (8_400_000, 0.0, 1024, 1.0),
        (25_000_000, 0.0, 1024, 1.0),
    ],
)
def test_the_paper_fades_every_level_in_over_600_kimg_after_600_kimg(images_seen, lod, resolution, alpha):
    phase = phase_at(images_seen, PAPER, 1024, num_replicas=8)
    assert phase.lod == pytest.approx(lod, abs=1e-9)
    assert phase.resolution == resolution
    assert phase.alpha == pytest.approx(alpha, abs=1e-9)


def test_every_image_of_a_small_schedule_has_its_exact_phase():
    expected = [(4, 1.0)] * 7 + [(8, 0.25), (8, 0.5), (8, 0.75)]
    expected += [(8, 1.0)] * 7 + [(16, 0.25), (16, 0.5), (16, 0.75)] + [(16, 1.0)] * 5
    phases = [phase_at(n, SMALL, 16) for n in range(25)]
    assert [(phase.resolution, phase.alpha) for phase in phases] == expected


def test_the_boundary_is_exact_where_kimg_are_not_whole():
    schedule = ScheduleConfig(start_resolution=8, training_kimg=0.1, transition_kimg=0.2)
    assert phase_at(300, schedule, 16).lod == 0.0  # 0.1 + 0.2 is not 0.3 in floating point.
    assert phase_at(299, schedule, 16).alpha == pytest.approx(199 / 200)


def test_without_a_fade_the_level_jumps():
    schedule = dataclasses.replace(SMALL, transition_kimg=0)
    assert [phase_at(n, schedule, 16).resolution for n in (5, 6, 11, 12)] == [4, 8, 8, 16]
    assert {phase_at(n, schedule, 16).alpha for n in range(20)} == {1.0}


def test_with_both_lengths_zero_nothing_grows():
    schedule = ScheduleConfig(training_kimg=0, transition_kimg=0)
    assert (phase_at(0, schedule, 64).resolution, phase_at(0, schedule, 64).lod) == (64, 0.0)


def test_a_run_below_the_start_resolution_stays_where_it_is():
    assert phase_at(0, PAPER, 4).resolution == 4


@pytest.mark.parametrize(
    "resolution, batch_sizes, learning_rate, tick_kimg",
    [
        (8, (128, 256, 256, 256), 0.001, 140),
        (16, (128, 128, 128, 128), 0.001, 120),
        (32, (64, 64, 64, 64), 0.001, 100),
        (64, (32, 32, 32, 32), 0.001, 80),
        (128, (16, 16, 16, 32), 0.0015, 60),
        (256, (8, 8, 16, 32), 0.002, 40),
        (512, (4, 8, 16, 32), 0.003, 30),
        (1024, (4, 8, 16, 32), 0.003, 20),
    ],
)
def test_the_tables_are_the_papers(resolution, batch_sizes, learning_rate, tick_kimg):
    at_full_resolution = ScheduleConfig(start_resolution=resolution)
    phases = [phase_at(0, at_full_resolution, resolution, replicas) for replicas in (1, 2, 4, 8)]
    assert tuple(phase.batch_size for phase in phases) == batch_sizes
    assert {(phase.learning_rate, phase.tick_kimg) for phase in phases} == {(learning_rate, tick_kimg)}


@pytest.mark.parametrize(
    "resolution, replicas, batch_size",
    [
        (8, 3, 252),  # 256 / 3 = 85.3; 84 is the multiple of 4 below.
        (1024, 3, 6),  # 8 / 3 = 2.7; below 4 images any number will do.
        (1024, 16, 32),  # The table for 8 GPUs.
        (1024, 64, 64),  # One image for each.
    ],
)
def test_other_replica_counts_get_equal_shares(resolution, replicas, batch_size):
    assert batch_size_at(resolution, PAPER, replicas) == batch_size


def test_a_users_table_holds_from_each_entry_up():
    rates = {"learning_rate": 0.01, "learning_rates": {32: 0.02}}
    schedule = ScheduleConfig(batch_sizes={16: 12, 64: 6}, tick_kimg={8: 1}, **rates)
    assert [batch_size_at(resolution, schedule) for resolution in (4, 8, 16, 32, 64, 128)] == [12, 12, 12, 12, 6, 6]
    phases = [phase_at(0, dataclasses.replace(schedule, start_resolution=r), r) for r in (16, 32, 64)]
    assert [phase.learning_rate for phase in phases] == [0.01, 0.02, 0.02]
    assert [phase.tick_kimg for phase in phases] == [1, 1, 1]


def test_the_batch_grows_by_images_and_r1_keeps_its_distance_in_images():
    schedule = ScheduleConfig(batch_sizes={4: 8, 8: 6}, batch_growth={0.008: 2, 0.014: 4}, **LENGTHS)
    images = (0, 6, 7, 8, 13, 14, 20)  # 8x8 from 7 images on.
    assert [phase_at(n, schedule, 8).batch_size for n in images] == [8, 8, 6, 12, 12, 24, 24]
    assert stages(schedule, 8, 20) == [(4, 6, 1), (8, 2, 1), (8, 6, 2), (8, 6, 4)]
    assert stages(schedule, 8, 7) == [(4, 6, 1), (8, 1, 1)]
    assert [losses_at(factor, LossConfig(r1_interval=4)).r1_interval for factor in (1, 2, 4, 8)] == [4, 2, 1, 1]
    check_batches(ScheduleConfig(batch_sizes={8: 6}, batch_growth={1: 2, 2: 3}), 8, 9000, group_size=3)
    grown = ScheduleConfig(batch_sizes={8: 2}, batch_growth={1: 9})
    with pytest.raises(UserError, match="batch_growth: with a factor of 9, 18 images a replica at 8x8 are not a m"):
        check_batches(grown, 8, 1001, group_size=4)
    check_batches(grown, 8, 1000, group_size=4)  # It ends before that.
    check_batches(dataclasses.replace(schedule, batch_sizes={4: 2, 8: 4}, batch_growth={0.01: 3}), 8, 50, group_size=4)


def test_every_level_of_a_run_is_checked_before_it_starts():
    """Groups of 4 in 12 and in 6 images; the levels from 8x8 up; any limit of the rounds will do."""
    batches = {4: 6, 8: 12, 32: 6}
    check_batches(ScheduleConfig(batch_sizes=batches, max_replica_batch={8: 1}), 16, 10**8, group_size=4)
    with pytest.raises(UserError, match="6 images a replica at 32x32 are not a multiple of 4"):
        check_batches(ScheduleConfig(batch_sizes=batches), 64, 10**8, group_size=4)
    with pytest.raises(UserError, match="6 at 32x32 does not divide evenly by 4"):
        check_batches(ScheduleConfig(batch_sizes=batches), 32, 10**8, num_replicas=4, group_size=0)
    nothing_grows = ScheduleConfig(batch_sizes=batches, training_kimg=0, transition_kimg=0, start_resolution=4)
    check_batches(nothing_grows, 16, 10**8, group_size=4)


def test_a_users_batch_that_does_not_divide_is_refused():
    with pytest.raises(UserError, match="batch_sizes: 10 at 8x8 .* 4 replicas"):
        batch_size_at(8, ScheduleConfig(batch_sizes={4: 10}), num_replicas=4)


@pytest.mark.parametrize(
    "previous, lod, reset",
    [(7.0, 7.0, False), (7.0, 6.9, True), (6.9, 6.1, False), (6.1, 6.0, True), (6.1, 5.9, True), (0.0, 0.0, False)],
)
def test_optimisers_reset_when_a_fade_starts_or_ends(previous, lod, reset):
    assert optimizer_reset_between(previous, lod) is reset


def test_every_row_of_the_reference_schedule(reference):
    rows = json.loads((reference / "schedule.json").read_text())
    assert len(rows) > 300
    for row in rows:
        phase = phase_at(row["images_seen"], PAPER, 2 ** row["resolution_log2"], row["num_gpus"])
        assert phase.lod == pytest.approx(row["lod"], abs=1e-9), row
        assert (phase.resolution, phase.batch_size) == (row["resolution"], row["minibatch"]), row
        assert (phase.learning_rate, phase.tick_kimg) == (row["lr"], row["tick_kimg"]), row
        assert math.floor(phase.lod) == math.floor(row["lod"]) and math.ceil(phase.lod) == math.ceil(row["lod"]), row


@pytest.mark.parametrize(
    "options, rates, flag_at_256",
    [
        ({}, [0.001, 0.0015, 0.002], "learning_rate"),
        ({"learning_rate": 0.01}, [0.01, 0.01, 0.01], "learning_rate"),
        ({"learning_rates": {128: 0.01}}, [0.001, 0.01, 0.01], "learning_rates"),
        ({"learning_rate": 0.02, "learning_rates": {256: 0.01}}, [0.02, 0.02, 0.01], "learning_rates"),
    ],
)
def test_one_learning_rate_holds_at_every_resolution_that_no_table_lists(options, rates, flag_at_256):
    schedule = ScheduleConfig(**options)
    found = [learning_rate_at(resolution, schedule) for resolution in (64, 128, 256)]
    assert [rate for rate, _ in found] == rates
    assert found[-1][1] == flag_at_256


def test_the_discriminator_may_have_a_learning_rate_of_its_own():
    schedule = ScheduleConfig(learning_rate=0.002, discriminator_learning_rate={4: 0.0005, 16: 0.004})
    phases = [phase_at(images, schedule, 16) for images in (0, 2_000_000)]
    assert [phase.discriminator_learning_rate for phase in phases] == [0.0005, 0.004]
    assert [phase.learning_rate for phase in phases] == [0.002, 0.002]
    plain = phase_at(0, ScheduleConfig(learning_rate=0.003), 16)
    assert plain.discriminator_learning_rate == plain.learning_rate == 0.003
