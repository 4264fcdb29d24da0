"""What a run writes to the disk: how much, and what happens when a write fails. No TensorFlow here."""

import contextlib
import math
import os
from collections.abc import Iterator
from typing import Union

from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig, TrainConfig
from stylegan_tf.config.errors import UserError
from stylegan_tf.files.file_errors import FULL, reason_of
from stylegan_tf.networks.variable_shapes import count_parameters, variable_shapes
from stylegan_tf.training.schedule import level_images, tick_kimg_at

EVENT_IMAGE_SIDE = 1024  # In pixels: the largest grid that an event file takes.
_PNG = 0.5  # Bytes of a PNG by bytes of its pixels, about.


def disk_use(config: TrainConfig, generator: GeneratorConfig, discriminator: DiscriminatorConfig) -> dict[str, float]:
    """About the bytes that a complete run leaves in its folder: by what they are for; an estimate for pictures."""
    parameters = [sum(map(math.prod, variable_shapes(network).values())) for network in (generator, discriminator)]
    trained = count_parameters(generator) + count_parameters(discriminator)
    weights = 2 * parameters[0] + parameters[1]  # With the averaged generator.
    levels = dict(level_images(config.schedule, generator.resolution, round(config.total_kimg * 1000)))
    ticks = {size: images / (1000 * tick_kimg_at(size, config.schedule)) for size, images in levels.items()}
    # Names are whole thousands of images (`file_notes`).
    networks = min(int(sum(ticks.values())) // config.network_ticks, int(config.total_kimg + 0.5)) + 1
    if config.keep_networks is not None:
        networks = min(networks, config.keep_networks)
    checkpoints = config.keep_checkpoints + 1  # One more while the next is written.
    if config.keep_checkpoint_every_kimg:
        checkpoints += config.total_kimg // config.keep_checkpoint_every_kimg
    count, channels = config.grid_columns * config.grid_rows, generator.num_channels
    grids = {size: (number // config.image_ticks, count * size**2 * channels * _PNG) for size, number in ticks.items()}
    side = max(config.grid_columns, config.grid_rows)
    shrunk = {size: min(1.0, EVENT_IMAGE_SIDE / (side * generator.resolution)) ** 2 for size in ticks}
    return {
        "checkpoints": 4.0 * (weights + 2 * trained) * checkpoints,
        "network files": 4.0 * weights * networks,
        "grids": sum(min(grids[size][0], levels[size] / 1000 + 1) * grids[size][1] for size in ticks),
        "events": sum(grids[size][0] * grids[size][1] * shrunk[size] for size in ticks),
    }


def file_notes(config: TrainConfig, resolution: int) -> Iterator[str]:
    """Notes if network files or grids come so often that they replace those before them."""
    levels = level_images(config.schedule, resolution, round(config.total_kimg * 1000))
    tick_kimg = min((tick_kimg_at(size, config.schedule) for size, _ in levels), default=math.inf)
    for kind, option in (("network files", "network_ticks"), ("grids", "image_ticks")):
        every = tick_kimg * getattr(config, option)
        if every < 1:
            yield (
                f"note: {kind} come every {every:g} thousand images, and their names have whole thousands: the last "
                f"one of a name replaces the others; raise `{option}` or `tick_kimg`"
            )


@contextlib.contextmanager
def translate_write_errors(path: Union[str, os.PathLike]) -> Iterator[None]:
    """Put it around code that writes `path`: a full disk and the like become a UserError."""
    try:
        yield
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(f"cannot write {path}: there is a file in its place: choose another `run_dir`.") from error
    except OSError as error:
        full = error.errno in FULL
        advice = "free some space" if full else "make it writable (rights, ulimit -f), or choose another `run_dir`"
        raise UserError(
            f"cannot write {path}: {reason_of(error)}. What was saved before is intact: {advice}, and the same command "
            "resumes from the last checkpoint."
        ) from error
