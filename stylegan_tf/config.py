"""Validated settings as frozen dataclasses. No TensorFlow here, so that `--help` is instant."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Optional

from stylegan_tf.errors import UserError


def _is_power_of_two(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0


def _check_resolution(config: Any, name: str) -> None:
    value = getattr(config, name)
    if not _is_power_of_two(value) or value < 4:
        raise UserError(f"{name} must be a power of two of at least 4, got {value}.")


def _check_at_least(config: Any, minimum: float, *names: str) -> None:
    for name in names:
        if not getattr(config, name) >= minimum:  # "not >=" also catches NaN.
            raise UserError(f"{name} must be at least {minimum}, got {getattr(config, name)}.")


def _check_positive(config: Any, *names: str) -> None:
    for name in names:
        if not getattr(config, name) > 0:
            raise UserError(f"{name} must be above 0, got {getattr(config, name)}.")


def _check_one_of(config: Any, name: str, choices: tuple) -> None:
    if getattr(config, name) not in choices:
        raise UserError(f"{name} must be one of {', '.join(choices)}; got {getattr(config, name)!r}.")


def feature_maps(resolution: int, fmap_base: int, fmap_max: int) -> int:
    """Channels of the layers at `resolution` x `resolution`: min(2 * fmap_base / resolution, fmap_max).

    With the paper's fmap_base = 8192 and fmap_max = 512: 512 up to 32x32, then halved per doubling to 16 at 1024x1024.
    """
    return min(2 * fmap_base // resolution, fmap_max)


@dataclasses.dataclass(frozen=True)
class _NetworkConfig:
    """What the generator and the discriminator have in common."""

    resolution: int = 1024  # Full output / input size in pixels, a power of two >= 4.
    num_channels: int = 3
    label_size: int = 0  # Width of the one-hot (or real-valued) label vector; 0 = unconditional.
    fmap_base: int = 8192
    fmap_max: int = 512
    blur: bool = True  # [1,2,1] low-pass filter around resampling (Sec. 2, config B and later).

    def __post_init__(self):
        _check_resolution(self, "resolution")
        _check_at_least(self, 1, "num_channels", "fmap_max")
        _check_at_least(self, 0, "label_size")
        if self.feature_maps(self.resolution) < 1:
            raise UserError(f"fmap_base {self.fmap_base} leaves no channels at resolution {self.resolution}.")

    @property
    def resolutions(self) -> tuple:
        """All levels of progressive growing: (4, 8, ..., resolution)."""
        return tuple(2**k for k in range(2, self.resolution.bit_length()))

    def feature_maps(self, resolution: int) -> int:
        return feature_maps(resolution, self.fmap_base, self.fmap_max)

    def to_dict(self) -> dict:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]):
        """The inverse of `to_dict`. Raises UserError for names that this version does not know."""
        unknown = sorted(set(values) - {field.name for field in dataclasses.fields(cls)})
        if unknown:
            raise UserError(f"unknown {cls.__name__} option(s) {', '.join(unknown)}: written by a newer version?")
        return cls(**values)


@dataclasses.dataclass(frozen=True)
class GeneratorConfig(_NetworkConfig):
    """Every generator of the paper's Tables 1, 2 and 4. The defaults are config F at 1024x1024."""

    latent_size: int = 512  # Width of z.
    dlatent_size: int = 512  # Width of w.
    mapping_layers: int = 8  # 0: w is the (normalised) z itself.
    mapping_fmaps: int = 512  # Width of the mapping network's hidden layers.
    mapping_lrmul: float = 0.01  # Learning-rate multiplier of the mapping network (App. C).
    normalize_latents: bool = True  # Pixel norm on z before the mapping network.
    use_styles: bool = True  # AdaIN (Sec. 2); False: the traditional generator, w feeds the first layer.
    const_input: bool = True  # Learned 4x4 constant (config D); False: a dense layer from w.
    use_noise: bool = True  # Per-pixel noise inputs (config E).
    use_pixel_norm: bool = False  # ProGAN's normalisation (configs A, B).
    use_instance_norm: bool = True  # The normalisation of AdaIN (configs C to F).
    embed_labels: bool = True  # Labels through a learned matrix (StyleGAN); False: concatenated to z as they are (A).

    def __post_init__(self):
        super().__post_init__()
        _check_at_least(self, 1, "latent_size", "dlatent_size", "mapping_fmaps")
        _check_at_least(self, 0, "mapping_layers")
        if not self.use_styles and self.const_input:
            raise UserError("const_input needs use_styles: without styles nothing would depend on w.")

    @property
    def w_size(self) -> int:
        """Width of what the mapping network hands over: `dlatent_size`, or its input's width without layers."""
        if self.mapping_layers:
            return self.dlatent_size
        if self.label_size:
            return self.latent_size + (self.latent_size if self.embed_labels else self.label_size)
        return self.latent_size


@dataclasses.dataclass(frozen=True)
class DiscriminatorConfig(_NetworkConfig):
    """The discriminator of all configurations (ProGAN's, with the blur of config B and later)."""

    mbstd_group_size: int = 4  # Minibatch standard deviation: images per group; 0 = off.
    use_labels: bool = True  # Score = sum(outputs * label); False: labels are ignored (config A).

    def __post_init__(self):
        super().__post_init__()
        _check_at_least(self, 0, "mbstd_group_size")


STRATEGIES = ("auto", "one", "mirrored", "multi_worker", "tpu")
PRECISIONS = ("float32", "bfloat16", "float16")
GENERATOR_LOSSES = ("nonsaturating", "saturating", "wgan", "hinge")
DISCRIMINATOR_LOSSES = ("logistic", "wgan", "hinge")
INCEPTION = "https://tfhub.dev/tensorflow/tfgan/eval/inception/1"  # The default features of metrics.


@dataclasses.dataclass(frozen=True)
class ScheduleConfig:
    """Progressive growing and everything that depends on it (App. C). `schedule.phase_at` turns it into numbers.

    A table maps a resolution to a value; a resolution that it leaves out takes the entry of the nearest listed
    resolution below, or of the smallest one listed. None stands for the paper's table.
    """

    start_resolution: int = 8  # First resolution that is trained.
    training_kimg: float = 600.0  # Thousands of images per level, fully faded in.
    transition_kimg: float = 600.0  # Thousands of images that fade in the next level.
    batch_sizes: Optional[Mapping[int, int]] = None  # Global batch; None: by the number of replicas.
    max_replica_batch: Optional[Mapping[int, int]] = None  # Images at once on a replica; below its first entry: all.
    learning_rate: float = 0.001  # At resolutions below the first entry of `learning_rates`.
    learning_rates: Optional[Mapping[int, float]] = None  # From 128x128 up 0.0015, 0.002, 0.003 if None.
    tick_kimg: Optional[Mapping[int, float]] = None  # Thousands of images between two reports.

    def __post_init__(self):
        _check_resolution(self, "start_resolution")
        _check_at_least(self, 0, "training_kimg", "transition_kimg")
        _check_positive(self, "learning_rate")
        for name in ("batch_sizes", "max_replica_batch", "learning_rates", "tick_kimg"):
            self._check_table(name)

    def _check_table(self, name: str) -> None:
        table = getattr(self, name)
        if table is None:
            return
        if not table:
            raise UserError(f"{name} has no entry; write for example {name}=8:128,16:64, or leave it out.")
        for resolution, value in table.items():
            if not _is_power_of_two(resolution) or resolution < 4:
                raise UserError(f"{name}: resolutions must be powers of two of at least 4, got {resolution}.")
            if not value > 0:
                raise UserError(f"{name}: the value at {resolution} must be above 0, got {value}.")


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """Which losses train the networks, and their weights. The defaults are the paper's (App. C): logistic with R1."""

    generator_loss: str = "nonsaturating"
    discriminator_loss: str = "logistic"
    r1_gamma: float = 10.0  # Weight of gamma/2 * |grad D(real)|^2; 0 = off.
    r2_gamma: float = 0.0  # The same for generated images.
    # R1 and R2 in every k-th iteration only, k times as strong (StyleGAN2, App. B). Adam's settings stay as they are:
    # there, the penalty had steps of its own, k + 1 in place of k; here, it is part of the k-th.
    r1_interval: int = 1
    gp_lambda: float = 0.0  # WGAN-GP's gradient penalty between real and generated images; 0 = off. ProGAN: 10.
    gp_target: float = 1.0  # The norm that this penalty asks for.
    wgan_drift: float = 0.0  # WGAN: weight of D(real)^2, which keeps the scores near 0. ProGAN: 0.001.

    def __post_init__(self):
        _check_one_of(self, "generator_loss", GENERATOR_LOSSES)
        _check_one_of(self, "discriminator_loss", DISCRIMINATOR_LOSSES)
        _check_at_least(self, 0, "r1_gamma", "r2_gamma", "gp_lambda", "wgan_drift")
        _check_positive(self, "gp_target")
        _check_at_least(self, 1, "r1_interval")
        if self.r1_interval > 1 and not (self.r1_gamma or self.r2_gamma):
            raise UserError(f"r1_interval {self.r1_interval} needs r1_gamma or r2_gamma above 0.")
        if self.wgan_drift and self.discriminator_loss != "wgan":
            raise UserError(f"wgan_drift needs discriminator_loss wgan, got {self.discriminator_loss}.")


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """One training run. The names of the fields, also of the nested parts, are the names of the flags."""

    data_dir: str  # Folder of TFRecords, written by tools/create_tfrecords.py.
    run_dir: str  # The exact folder of this run; a run that is there already goes on.
    init_from: Optional[str] = None  # A network file, or a run folder, whose weights a new run starts with.
    resolution: Optional[int] = None  # Train up to here; None: the full resolution of the data set.
    total_kimg: float = 25000.0  # Length of the run in thousands of real images.
    seed: int = 1000
    conditional: bool = False  # Train with the labels of the data set.
    mirror_augment: bool = False  # Flip half of the reals from left to right.
    shuffle_images: Optional[int] = None  # Images in the shuffle buffer; None: what fits into half a GiB.
    strategy: str = "auto"
    tpu: Optional[str] = None  # Name or address of the TPU of strategy tpu; None: the environment's TPU_NAME.
    deterministic: bool = False  # Only operations that give the same bits every time.
    precision: str = "float32"  # What the layers compute in; the weights are always float32.
    half_precision_levels: Optional[int] = None  # The highest so many resolutions; None: bfloat16 all, float16 4.
    jit_compile: bool = False  # Compile the gradients of both networks with XLA.

    # Resolution, channels and labels of these two are the data set's: `network_configs` fills them in.
    generator: GeneratorConfig = GeneratorConfig()
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    losses: LossConfig = LossConfig()

    style_mixing_prob: float = 0.9  # Per minibatch (Sec. 3.1).
    w_avg_beta: float = 0.995  # Decay of the running average of w, per generator pass.
    adam_beta1: float = 0.0
    adam_beta2: float = 0.99
    adam_epsilon: float = 1e-8
    ema_kimg: float = 10.0  # Half-life of the averaged generator's weights, thousands of images; 0: no averaging.
    iterations_per_update: int = 4  # Iterations between two looks at the schedule.

    image_ticks: int = 1  # Ticks between two grids of generated images.
    network_ticks: int = 10  # Ticks between two network files.
    checkpoint_ticks: int = 1  # Ticks between two checkpoints.
    keep_checkpoints: int = 2  # Of the newest.
    keep_checkpoint_every_kimg: float = 0.0  # And the first of every so many thousand images; 0: none of them.
    grid_columns: int = 8
    grid_rows: int = 4
    metrics: str = ""  # Names, separated by commas, e.g. "fid5k,pr5k".
    metric_ticks: int = 10  # Ticks between two times that they are computed.
    feature_extractor: str = INCEPTION
    image_distance: Optional[str] = None  # For path length.
    truncation_psi: float = 0.7  # Of the grids only; training is never truncated.
    truncation_cutoff: int = 8  # Truncate the first layers only, up to here.

    def __post_init__(self):
        for name, what in (("data_dir", "the folder of TFRecords"), ("run_dir", "the folder to write the run to")):
            if not getattr(self, name):
                raise UserError(f"{name} is missing: give {what} as --{name}=FOLDER.")
        if self.resolution is not None:
            _check_resolution(self, "resolution")
        _check_one_of(self, "strategy", STRATEGIES)
        _check_one_of(self, "precision", PRECISIONS)
        self._check_half_precision()
        _check_positive(self, "total_kimg", "adam_epsilon")
        _check_at_least(self, 0, "seed", "ema_kimg", "truncation_cutoff", "keep_checkpoint_every_kimg")
        for name in ("style_mixing_prob", "w_avg_beta"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"{name} must lie within [0, 1], got {getattr(self, name)}.")
        for name in ("adam_beta1", "adam_beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"{name} must lie within [0, 1), got {getattr(self, name)}.")
        _check_at_least(self, 1, "iterations_per_update", "image_ticks", "network_ticks")
        if self.shuffle_images is not None:
            _check_at_least(self, 1, "shuffle_images")
        _check_at_least(self, 1, "checkpoint_ticks", "keep_checkpoints", "metric_ticks", "grid_columns", "grid_rows")

    def _check_half_precision(self) -> None:
        if self.half_precision_levels is not None:
            _check_at_least(self, 0, "half_precision_levels")
            if self.precision == "float32":
                raise UserError("half_precision_levels needs precision bfloat16 or float16, got float32.")
        if self.strategy == "tpu" and self.precision == "float16":
            raise UserError("precision float16 is for GPUs; TPUs compute in bfloat16: give --precision=bfloat16.")

    def network_configs(self, resolution: int, num_channels: int, label_size: int = 0) -> tuple:
        """Returns (GeneratorConfig, DiscriminatorConfig) for a data set's full resolution, channels and label width.

        `self.resolution`, if given, may lie below the data set's; labels count only if the run is conditional.
        """
        if self.resolution is not None and self.resolution > resolution:
            raise UserError(
                f"resolution {self.resolution} is above the {resolution} of the data set in {self.data_dir}: "
                f"lower it, or leave it out."
            )
        if self.conditional and not label_size:
            raise UserError(f"conditional needs labels, but the data set in {self.data_dir} has none.")
        shape = {
            "resolution": self.resolution or resolution,
            "num_channels": num_channels,
            "label_size": label_size if self.conditional else 0,
        }
        return dataclasses.replace(self.generator, **shape), dataclasses.replace(self.discriminator, **shape)
