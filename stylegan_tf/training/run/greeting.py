"""What a run says of itself at its start: what it trains on, how, what it will take, and where it will end."""

import shutil
from collections.abc import Iterator

from stylegan_tf.config import TrainConfig
from stylegan_tf.data.dataset_summary import described_use
from stylegan_tf.training.reports.disk import disk_use
from stylegan_tf.training.run.setup import RunSetup
from stylegan_tf.training.schedule import fully_grown_at, phase_at
from stylegan_tf.training.state import TrainState


def greeting(setup: RunSetup, state: TrainState, resumed: bool) -> Iterator[str]:
    config, info = setup.config, setup.info
    size = state.generator.config.resolution
    where = f"{'resuming' if resumed else 'starting'} at {state.images_seen / 1000:.1f} of {config.total_kimg:g} kimg"
    devices = setup.strategy.num_replicas_in_sync
    yield (
        f"{info.count} images of {info.name}, training up to {size}x{size} on {devices} "
        f"{'device' if devices == 1 else 'devices'}{setup.processes.described} in {config.precision}, {where}, "
        f"run folder {config.run_dir}"
    )
    yield described_use(info, bool(state.generator.config.label_size))
    augmentation = {"none": "no augmentation", "ada": "adaptive augmentation (ada)"}.get(config.augment, config.augment)
    yield f"reals {'mirrored at random' if config.mirror_augment else 'not mirrored'}, {augmentation}"
    if info.resolution > size:
        yield f"the data have {info.resolution}x{info.resolution}: `resolution={info.resolution}` trains up to there"
    yield from length_notes(config, size)
    uses = disk_use(config, state.generator.config, state.discriminator.config)
    total = sum(uses.values())
    yield f"on the disk at the end: about {_gb(total)} ({', '.join(f'{name} {_gb(n)}' for name, n in uses.items())})"
    if setup.processes.is_chief and not resumed and total > shutil.disk_usage(config.run_dir).free:
        free = _gb(shutil.disk_usage(config.run_dir).free)
        yield f"warning: the disk has {free} free; `keep_networks`, `network_ticks` and `image_ticks` reduce that"


def length_notes(config: TrainConfig, resolution: int) -> Iterator[str]:
    """Says if the run ends before it has grown to `resolution`, or leaves the last level less than its share."""
    total, grown = round(config.total_kimg * 1000), fully_grown_at(config.schedule, resolution)
    share = round(config.schedule.training_kimg * 1000)
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


def _gb(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.0f} MB"
