"""What a training run takes, level by level: images, iterations, work, memory, time and disk, before it is paid for.

Counted: the schedule, multiply-adds, variables, files. Estimated: time (from a device's peak and a measured share of
it) and activations (from the sizes of the layers' outputs and `_ACTIVATIONS`, which was measured).
"""

import dataclasses
import math
from typing import Any, NamedTuple, Optional

from stylegan_tf.benchmark.flops import Work, network_work, training_passes
from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig, TrainConfig
from stylegan_tf.config.errors import UserError
from stylegan_tf.networks.variable_shapes import count_parameters, variable_shapes
from stylegan_tf.training.reports.disk import disk_use, file_notes
from stylegan_tf.training.schedule import (
    batch_size_at,
    check_batches,
    length_notes,
    losses_at,
    split_replica_batch,
    stages,
)

_AUTHORS = "the authors' 41 days for 25,000 kimg at 1024x1024 on one V100, in float32"
_SCALING = 0.78  # 41 days on one V100 are 6 days 14 hours on eight, 6.2 times as fast: 0.78 of eight.
_ACTIVATIONS = 2.7  # Bytes in use at the peak of an iteration by bytes of all layers' outputs (docs/performance.md).
_RUNTIME_GIB = 0.85  # TensorFlow itself, with its graphs.
_GRADIENTS_OF_LOOPS = 4  # Copies for the discriminator, besides those of the state: the sums of `SplitGroups`' loops.


class Device(NamedTuple):
    """Peaks as its maker states them, and the share of them that a whole iteration reaches."""

    name: str
    tflops: float  # In the precision of the run.
    gb_per_second: float
    gib: float
    share: float
    source: str  # Where the share comes from.
    precision: str  # Precision of the run; what `auto` takes on this device.


# Name -> TFLOP/s in float32 (TensorFlow uses TF32 where there is), in bfloat16 or float16; GB/s; GiB.
_DEVICES = {
    "V100": (15.7, 125.0, 900.0, 16.0),
    "A100": (156.0, 312.0, 2039.0, 80.0),
    "H100": (495.0, 989.0, 3350.0, 80.0),
    "H200": (495.0, 989.0, 4800.0, 141.0),
}
_WITHOUT_BFLOAT16 = ("V100",)  # Compute capability below 8.0, see `fastest_precision`.
# Two cores of an EPYC with AVX512-BF16: the fused form of docs/lab/performance.md, and the fastest convolution there.
_CPU = {"float32": (0.106, 0.63), "bfloat16": (0.22, 0.56)}
_V100_SHARE = 0.249


def device_named(text: str, precision: str) -> Device:
    """V100, A100, H100, H200, cpu, or FLOPS,GB/s,GB such as 312e12,2039,80. precision: also "auto"."""
    if precision == "auto":
        precision = "float32" if text in _WITHOUT_BFLOAT16 else "bfloat16"
    if text == "cpu":
        tflops, share = _CPU["float32" if precision == "float32" else "bfloat16"]
        source = "docs/lab/performance.md, EPYC with AVX512-BF16"
        return Device("two CPU cores", tflops, 40.0, math.inf, share, source, precision)
    if text in _DEVICES:
        single, half, bandwidth, memory = _DEVICES[text]
        source = _AUTHORS if (text, precision) == ("V100", "float32") else f"{_AUTHORS}; not measured on this device"
        peak = single if precision == "float32" else half
        return Device(text, peak, bandwidth, memory, _V100_SHARE, source, precision)
    try:
        flops, bandwidth, memory = (float(part) for part in text.split(","))
    except ValueError:
        known = ", ".join((*_DEVICES, "cpu"))
        raise UserError(
            f"`device` must be one of {known}, or FLOPS,GB/s,GB like 312e12,2039,80; got {text!r}."
        ) from None
    if not all(0 < value < math.inf for value in (flops, bandwidth, memory)):
        raise UserError(f"`device`: all three numbers must be above 0 and finite, got {text!r}.")
    source = f"{_AUTHORS}; not measured on this device"
    return Device(text, flops / 1e12, bandwidth, memory, _V100_SHARE, source, precision)


@dataclasses.dataclass(frozen=True)
class LevelPlan:
    """One resolution of a run, with one batch size."""

    resolution: int
    images: int
    batch_size: int
    microbatches: int
    iterations: int
    passes: dict[str, Work]  # For one image: multiply-adds, and bytes read and written by products.
    memory_gib: float  # For one replica.
    seconds_per_kimg: float  # On all devices.
    measured: bool = False  # Timed on this machine, not estimated.

    @property
    def flops_per_image(self) -> float:
        return 2 * sum(work.multiply_adds for work in self.passes.values())

    @property
    def days(self) -> float:
        return self.images / 1000 * self.seconds_per_kimg / 86400


@dataclasses.dataclass(frozen=True)
class Plan:
    """A run on `replicas` devices."""

    device: Device
    replicas: int
    levels: list[LevelPlan]
    state_gib: float  # Weights, their average, both optimisers and one set of gradients, on every replica.
    disk_gib: dict[str, float]
    notes: list[str]  # What `train` says at its start about the run's length and files.

    @property
    def days(self) -> float:
        return sum(level.days for level in self.levels)

    @property
    def exaflop(self) -> float:
        return sum(level.images * level.flops_per_image for level in self.levels) / 1e18

    def to_dict(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "days": self.days, "exaflop": self.exaflop}


def plan_run(config: TrainConfig, device: Device, replicas: int, records: int = 70000) -> Plan:
    """For RGB pictures without labels. config.resolution is the full one. records: for the size of the dataset."""
    networks = config.network_configs(config.resolution, 3, 0)
    total = round(config.total_kimg * 1000)
    check_batches(config.schedule, config.resolution, total, replicas, networks[1].mbstd_group_size)
    state = _state_gib(*networks)
    levels = [
        _level_plan(config, networks, device, replicas, stage, state)
        for stage in stages(config.schedule, config.resolution, total)
    ]
    notes = [*length_notes(config, config.resolution), *file_notes(config, config.resolution)]
    return Plan(device, replicas, levels, state, _disk(config, networks, records), notes)


def _level_plan(config, networks, device, replicas, stage, state) -> LevelPlan:
    generator, discriminator = networks
    resolution, images, factor = stage
    batch_size = factor * batch_size_at(resolution, config.schedule, replicas)
    batch = batch_size // replicas
    microbatches, split = split_replica_batch(resolution, config.schedule, batch, discriminator.mbstd_group_size)
    size = 4 if device.precision == "float32" else 2
    works = training_passes(
        generator, discriminator, resolution, losses=losses_at(factor, config.losses), split_groups=split
    )
    passes = {name: work._replace(values=work.values * size) for name, work in works.items()}
    flops = 2 * sum(work.multiply_adds for work in passes.values())
    in_bytes = sum(work.values for work in passes.values())
    # The slower of computing and moving bytes, at the share of the peak that was measured for whole iterations.
    seconds = max(flops / (device.tflops * 1e12), in_bytes / (device.gb_per_second * 1e9)) / device.share
    scaling = 1 if replicas == 1 else _SCALING
    memory = state + _RUNTIME_GIB + batch // microbatches * activation_gib(networks, resolution, size)
    memory += split * _GRADIENTS_OF_LOOPS * 4 * count_parameters(discriminator) / 2**30
    return LevelPlan(
        resolution,
        images,
        batch_size,
        microbatches,
        math.ceil(images / batch_size),
        passes,
        memory,
        1000 * seconds / (replicas * scaling),
    )


def activation_gib(networks: tuple[GeneratorConfig, DiscriminatorConfig], resolution: int, size: int = 4) -> float:
    """What one image of a microbatch needs at the peak of an iteration. size: bytes of a value."""
    return _ACTIVATIONS * size * sum(network_work(network, resolution).stored for network in networks) / 2**30


def fitting_batch(plan: Plan, level: LevelPlan) -> Optional[int]:
    """The most images a replica can take at once at a level; None if not even one fits."""
    batch = level.batch_size // plan.replicas
    per_image = (level.memory_gib - plan.state_gib - _RUNTIME_GIB) / (batch // level.microbatches)
    fits = int((plan.device.gib - plan.state_gib - _RUNTIME_GIB) / per_image)
    return max((size for size in range(1, min(fits, batch) + 1) if batch % size == 0), default=None)


def _state_gib(generator: GeneratorConfig, discriminator: DiscriminatorConfig) -> float:
    g, d = count_parameters(generator), count_parameters(discriminator)
    maps = sum(math.prod(shape) for shape in variable_shapes(generator).values()) - g
    # Weights, two moments and gradients of both networks; the averaged generator; the noise maps of both generators.
    return 4 * (4 * (g + d) + g + 2 * maps) / 2**30


def _disk(config: TrainConfig, networks, records: int) -> dict[str, float]:
    """GiB of the dataset and of everything that the run writes."""
    pixels = sum(level**2 for level in networks[0].resolutions) * networks[0].num_channels
    sizes = {"dataset (raw records)": records * pixels, **disk_use(config, *networks)}
    return {name: size / 2**30 for name, size in sizes.items()}
