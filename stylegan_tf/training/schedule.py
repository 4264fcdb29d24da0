"""The schedule as a pure function: images seen -> resolution, fade, batch size, learning rate (App. C).

Every level is trained for `training_kimg` thousand images, then the next one is faded in over `transition_kimg`
thousand. `lod` (level of detail) L means that the resolution is the full one divided by 2^L; a fraction means a fade.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from stylegan_tf.config import LossConfig, ScheduleConfig, TrainConfig
from stylegan_tf.config.errors import UserError
from stylegan_tf.config.option import OptionError
from stylegan_tf.networks.growth import Growth

# The paper's tables, by the number of GPUs. A missing resolution takes the entry below it. 4x4 is trained by
# Table 1's config A alone.
_BATCH_SIZES = {
    1: {4: 128, 16: 128, 32: 64, 64: 32, 128: 16, 256: 8, 512: 4},
    2: {4: 256, 16: 128, 32: 64, 64: 32, 128: 16, 256: 8},
    4: {4: 512, 8: 256, 16: 128, 32: 64, 64: 32, 128: 16},
    8: {4: 512, 8: 256, 16: 128, 32: 64, 64: 32},
}
_LEARNING_RATES = {4: 0.001, 128: 0.0015, 256: 0.002, 512: 0.003}
_TICK_KIMG = {4: 160, 8: 140, 16: 120, 32: 100, 64: 80, 128: 60, 256: 40, 512: 30, 1024: 20}


@dataclasses.dataclass(frozen=True)
class Phase:
    """The state of the schedule after some number of images."""

    lod: float  # 0 at full resolution; fractions while a level fades in.
    growth: Growth
    batch_size: int  # Global, a multiple of the number of replicas.
    batch_factor: int  # That of `batch_growth`, which the batch size includes.
    learning_rate: float  # The generator's.
    discriminator_learning_rate: float
    tick_kimg: float  # Thousands of images between two reports.

    @property
    def resolution(self) -> int:
        """Resolution of the images that the networks see, in pixels."""
        return self.growth.resolution

    @property
    def alpha(self) -> float:
        """Weight of the current level in (0, 1]; 1 = fully faded in."""
        return self.growth.alpha


def phase_at(images_seen: int, schedule: ScheduleConfig, resolution: int, num_replicas: int = 1) -> Phase:
    """The phase after `images_seen` real images of a run up to `resolution` on `num_replicas` devices.

    `alpha` lies in (0, 1]: exactly at the start of a fade the level below is still the current one. If `training_kimg`
    and `transition_kimg` are 0 the run starts at full resolution.
    """
    lod = _level_of_detail(images_seen, schedule, resolution)
    growth = Growth.at_lod(lod, resolution)
    current = growth.resolution
    learning_rate, _ = learning_rate_at(current, schedule)
    factor = batch_factor_at(images_seen, schedule)
    discriminators = schedule.discriminator_learning_rate
    return Phase(
        lod=lod,
        growth=growth,
        batch_size=factor * batch_size_at(current, schedule, num_replicas),
        batch_factor=factor,
        learning_rate=learning_rate,
        discriminator_learning_rate=_look_up(discriminators, current) if discriminators else learning_rate,
        tick_kimg=tick_kimg_at(current, schedule),
    )


def level_images(schedule: ScheduleConfig, resolution: int, total_images: int) -> list[tuple[int, int]]:
    """(resolution, images) of every level of a run up to `resolution` that sees `total_images`; a fade counts for the
    level that fades in.
    """
    training, transition = _phase_lengths(schedule)
    fades = _num_fades(schedule, resolution) if training + transition else 0
    levels, left = [], total_images
    for fade in range(fades, -1, -1):
        length = training + (transition if fade < fades else 0)
        images = left if fade == 0 else min(left, length)
        if images:
            levels.append((resolution >> fade, images))
        left -= images
    return levels


class Stage(NamedTuple):
    """A part of a run with one resolution and one batch size."""

    resolution: int
    images: int
    batch_factor: int


def stages(schedule: ScheduleConfig, resolution: int, total_images: int) -> list[Stage]:
    """The levels of `level_images`, each divided where `batch_growth` changes the batch."""
    found, start = [], 0
    for level, images in level_images(schedule, resolution, total_images):
        changes = (round(1000 * kimg) for kimg in sorted(schedule.batch_growth or {}))
        bounds = [start, *(change for change in changes if start < change < start + images), start + images]
        for first, end in zip(bounds, bounds[1:]):
            found.append(Stage(level, end - first, batch_factor_at(first, schedule)))
        start += images
    return found


def batch_factor_at(images_seen: int, schedule: ScheduleConfig) -> int:
    """By how much `batch_growth` multiplies the batch after `images_seen` images."""
    growth = schedule.batch_growth or {}
    reached = [kimg for kimg in growth if round(1000 * kimg) <= images_seen]
    return growth[max(reached)] if reached else 1


def losses_at(batch_factor: int, losses: LossConfig) -> LossConfig:
    """The losses with R1 and R2 applied after as many images as before the batch grew, or in every iteration."""
    return dataclasses.replace(losses, r1_interval=max(1, round(losses.r1_interval / batch_factor)))


def learning_rate_at(resolution: int, schedule: ScheduleConfig) -> tuple[float, str]:
    """The learning rate of both networks at `resolution`, and the option that it comes from.

    `learning_rates` applies from the first resolution that it lists up, `learning_rate` below it; without either, the
    paper's table.
    """
    rates = schedule.learning_rates
    if rates is not None and resolution >= min(rates):
        return _look_up(rates, resolution), "learning_rates"
    if schedule.learning_rate is not None:
        return schedule.learning_rate, "learning_rate"
    return _look_up(_LEARNING_RATES, resolution), "learning_rate"


def tick_kimg_at(resolution: int, schedule: ScheduleConfig) -> float:
    return _look_up(_TICK_KIMG if schedule.tick_kimg is None else schedule.tick_kimg, resolution)


def fully_grown_at(schedule: ScheduleConfig, resolution: int) -> int:
    """Images after which a run is fully faded in at `resolution`; 0 if it starts there."""
    return _num_fades(schedule, resolution) * sum(_phase_lengths(schedule))


def length_notes(config: TrainConfig, resolution: int) -> Iterator[str]:
    """Notes if the run ends before it, or its batch, has grown, or leaves the last level less than its share."""
    total, grown = round(config.total_kimg * 1000), fully_grown_at(config.schedule, resolution)
    share = round(config.schedule.training_kimg * 1000)
    for kimg in config.schedule.batch_growth or {}:
        if kimg >= config.total_kimg:
            yield f"note: the run ends at total_kimg {config.total_kimg:,g}, before batch_growth at {kimg:,g}"
    options = "change `total_kimg`, `training_kimg` and `transition_kimg`, or `start_resolution`"
    if total < grown:
        end = phase_at(total, config.schedule, resolution)
        fading = "" if end.alpha == 1 else f" (faded in by {end.alpha:.0%})"
        yield (
            f"note: total_kimg {config.total_kimg:,g} ends at {end.resolution}x{end.resolution}{fading}: "
            f"{resolution}x{resolution} is fully there after {grown / 1000:,g}: {options}"
        )
    elif grown and total < grown + share:
        yield (
            f"note: total_kimg {config.total_kimg:,g} leaves {resolution}x{resolution} "
            f"{(total - grown) / 1000:,g} thousand images, where a level below has {share / 1000:,g}: {options}"
        )


def optimizer_reset_between(previous_lod: float, lod: float) -> bool:
    """Whether the set of trained layers changed, as a fade began or ended: the optimisers are reset (App. C)."""
    return math.floor(previous_lod) != math.floor(lod) or math.ceil(previous_lod) != math.ceil(lod)


def batch_size_at(resolution: int, schedule: ScheduleConfig, num_replicas: int = 1) -> int:
    """The global batch size at `resolution`.

    The paper's table is that of the largest listed number of GPUs (1, 2, 4, 8) not above `num_replicas`. Its entries
    are rounded down so that every replica gets the same number of images, at least one, and a multiple of 4 if there
    are at least 4 of them (groups of the minibatch standard deviation). `batch_sizes` is never rounded: UserError if an
    entry does not divide evenly.
    """
    if num_replicas < 1:
        raise UserError(f"the number of replicas must be at least 1, got {num_replicas}.")
    if schedule.batch_sizes is not None:
        batch_size = _look_up(schedule.batch_sizes, resolution)
        if batch_size % num_replicas:
            raise OptionError(
                f"batch_sizes: {batch_size} at {resolution}x{resolution} does not divide evenly by {num_replicas} "
                f"replicas; use a multiple of {num_replicas}."
            )
        return batch_size
    table = _BATCH_SIZES[max(count for count in _BATCH_SIZES if count <= num_replicas)]
    batch = max(_look_up(table, resolution) // num_replicas, 1)
    return num_replicas * (batch - batch % 4 if batch >= 4 else batch)


def check_batches(
    schedule: ScheduleConfig, resolution: int, total_images: int, num_replicas: int = 1, group_size: int = 0
) -> None:
    """Raises UserError if a batch of a run up to `resolution` that sees `total_images` cannot be divided.

    Every replica's batch must consist of whole groups of the minibatch standard deviation, `group_size` images each
    (0: none).
    """
    for level, _, factor in stages(schedule, resolution, total_images):
        batch = batch_size_at(level, schedule, num_replicas) // num_replicas
        for times, cause in ((1, "batch_sizes:"), (factor, f"batch_growth: with a factor of {factor},")):
            whole = min(group_size, times * batch)
            if whole and times * batch % whole:
                raise OptionError(
                    f"{cause} {times * batch} images a replica at {level}x{level} are not a multiple of {whole}, the "
                    "group size of the minibatch standard deviation: use one, or change `mbstd_group_size`."
                )


class Microbatches(NamedTuple):
    """How the batch of a replica is divided."""

    count: int = 1  # Equal parts, one after the other.
    split_groups: bool = False  # Whether a group of the minibatch standard deviation spans several of them.


WHOLE = Microbatches()


def split_replica_batch(resolution: int, schedule: ScheduleConfig, batch: int, group_size: int = 0) -> Microbatches:
    """The fewest microbatches of at most `max_replica_batch` images each for a replica's `batch`; one below the first
    resolution of that table.

    Groups of the minibatch standard deviation, `group_size` images each (0: none), stay whole where the limit allows.
    """
    table = schedule.max_replica_batch or {}
    if batch < 1 or not table or resolution < min(table):
        return WHOLE
    whole = min(group_size, batch) or 1
    fitting = [n for n in range(1, batch + 1) if batch % n == 0 and batch // n <= _look_up(table, resolution)]
    with_whole_groups = [n for n in fitting if batch // n % whole == 0]
    return Microbatches(min(with_whole_groups or fitting), split_groups=not with_whole_groups)


def _level_of_detail(images_seen: int, schedule: ScheduleConfig, resolution: int) -> float:
    training, transition = _phase_lengths(schedule)
    period = training + transition
    num_fades = _num_fades(schedule, resolution)
    if not period:
        return 0.0
    fade, within = divmod(images_seen, period)
    if fade >= num_fades:
        return 0.0
    # A division of integers: 1.0 is reached exactly, without rounding errors.
    return num_fades - fade - (max(within - training, 0) / transition if transition else 0.0)


def _phase_lengths(schedule: ScheduleConfig) -> tuple[int, int]:
    """(training, transition) in images."""
    return round(schedule.training_kimg * 1000), round(schedule.transition_kimg * 1000)


def _num_fades(schedule: ScheduleConfig, resolution: int) -> int:
    """How often the resolution doubles; 0 if the run starts at or above `resolution`."""
    return max((resolution // schedule.start_resolution).bit_length() - 1, 0)


def _look_up(table: Mapping[int, float], resolution: int):
    """The entry of the nearest listed resolution not above `resolution`, else the smallest one listed."""
    below = [listed for listed in table if listed <= resolution]
    return table[max(below) if below else min(table)]
