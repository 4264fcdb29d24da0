"""Options of a training run: its schedule, its losses, and the run as a whole."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Optional

from stylegan_tf.config.networks import DiscriminatorConfig, GeneratorConfig
from stylegan_tf.config.option import LOSSES, METRICS, REPORTS, REQUIRED, RUN, SCHEDULE, OptionError, Options, option

FLAG_FILE = "flags.cfg"  # In a run folder: the options of the run.
STRATEGIES = ("auto", "one", "mirrored", "multi_worker", "tpu")
PRECISIONS = ("float32", "bfloat16", "float16")  # What layers can compute in.
GENERATOR_LOSSES = ("nonsaturating", "saturating", "wgan", "hinge")
DISCRIMINATOR_LOSSES = ("logistic", "wgan", "hinge")
AUGMENTATIONS = ("none", "diffaugment", "ada")
INCEPTION = "https://tfhub.dev/tensorflow/tfgan/eval/inception/1"  # The default features of metrics.
FEATURE_EXTRACTOR_HELP = (
    "Network whose features are compared: a TF-Hub or http:// handle, a SavedModel folder or .tar.gz, or "
    "efficientnet_lite0 (needs no network access; its numbers are of their own kind)."
)
IMAGE_DISTANCE_HELP = (
    "For ppl: a file of stylegan_tf.build_lpips (LPIPS, the paper's), or `features`: the squared distance of the "
    "features of --feature_extractor (its numbers are of their own kind)."
)
_MOST_KIMG = 1e9  # 10^12 images: more than any run sees, and their count is far from int64's end.


@dataclasses.dataclass(frozen=True)
class ScheduleConfig(Options):
    """Progressive growing and everything that depends on it (App. C). `training.schedule` turns it into numbers.

    A table maps a resolution to a value; a resolution that it leaves out takes the entry of the nearest listed
    resolution below, or of the smallest one listed. None stands for the paper's table.

    >>> from stylegan_tf import ScheduleConfig
    >>> ScheduleConfig(start_resolution=32, batch_sizes={32: 16}, learning_rate=0.002).start_resolution
    32
    """

    start_resolution: int = option(SCHEDULE, 8, "First resolution that is trained.", is_resolution=True)
    training_kimg: float = option(
        SCHEDULE, 600.0, "Thousands of images per level, fully faded in.", at_least=0, at_most=_MOST_KIMG
    )
    transition_kimg: float = option(
        SCHEDULE, 600.0, "Thousands of images that fade in the next level.", at_least=0, at_most=_MOST_KIMG
    )
    batch_sizes: Optional[Mapping[int, int]] = option(
        SCHEDULE, None, "Global batch by resolution; left out: the paper's for the number of replicas.", above=0
    )
    max_replica_batch: Optional[Mapping[int, int]] = option(
        SCHEDULE,
        None,
        "Most images of a batch on one replica at once, by resolution; a larger share is computed in rounds that add "
        "up to the same gradients, in less memory. Below the group size of the minibatch standard deviation, parts are "
        "computed twice. Resolutions below the first one listed are not divided.",
        above=0,
    )
    learning_rate: Optional[float] = option(
        SCHEDULE,
        None,
        "Learning rate of both networks, at every resolution below the first one of --learning_rates; both left out: "
        "the paper's 0.001, from 128x128 up 0.0015, 0.002, 0.003.",
        above=0,
    )
    learning_rates: Optional[Mapping[int, float]] = option(
        SCHEDULE, None, "Learning rate by resolution, from the first one that is listed up.", above=0
    )
    discriminator_learning_rate: Optional[Mapping[int, float]] = option(
        SCHEDULE, None, "The discriminator's own, by resolution or one number; left out: that of both.", above=0
    )
    tick_kimg: Optional[Mapping[int, float]] = option(
        REPORTS,
        None,
        "Thousands of images between two reports, by resolution; left out: 160 at 4x4, 20 at 1024.",
        above=0,
        at_most=_MOST_KIMG,
    )


@dataclasses.dataclass(frozen=True)
class LossConfig(Options):
    """Which losses train the networks, and their weights. The defaults are the paper's (App. C): logistic with R1.

    >>> from stylegan_tf import LossConfig
    >>> LossConfig(r1_gamma=0.3, r1_interval=8).discriminator_loss
    'logistic'
    """

    generator_loss: str = option(LOSSES, "nonsaturating", "Loss of the generator.", choices=GENERATOR_LOSSES)
    discriminator_loss: str = option(LOSSES, "logistic", "Loss of the discriminator.", choices=DISCRIMINATOR_LOSSES)
    r1_gamma: float = option(
        LOSSES,
        10.0,
        "Weight of R1, gamma/2 * |grad D(real)|^2, the gradient penalty on real images; 0: off.",
        at_least=0,
    )
    r2_gamma: float = option(LOSSES, 0.0, "The same on generated images; 0: off.", at_least=0)
    # Adam's settings stay as they are: in StyleGAN2 (App. B) the penalty had steps of its own, k + 1 in place of k;
    # here, it is part of the k-th.
    r1_interval: int = option(
        LOSSES, 1, "R1 and R2 in every k-th iteration only, k times as strong, as in StyleGAN2: less work.", at_least=1
    )
    gp_lambda: float = option(
        LOSSES,
        0.0,
        "Weight of WGAN-GP's gradient penalty between real and generated images; 0: off. ProGAN's: 10.",
        at_least=0,
    )
    gp_target: float = option(LOSSES, 1.0, "Gradient norm that WGAN-GP's penalty asks for.", above=0)
    wgan_drift: float = option(
        LOSSES,
        0.0,
        "Weight of the squared real scores under the WGAN loss, which keeps them near 0. ProGAN's: 0.001.",
        at_least=0,
        requires={"discriminator_loss": ("wgan",)},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.r1_interval > 1 and not (self.r1_gamma or self.r2_gamma):
            raise OptionError(f"r1_interval {self.r1_interval} needs r1_gamma or r2_gamma above 0.")


@dataclasses.dataclass(frozen=True)
class TrainConfig(Options):
    """One training run. The names of the fields, also of the nested parts, are the names of the flags.

    >>> from stylegan_tf import TrainConfig
    >>> TrainConfig("datasets/demo", "runs/mine", resolution=32, total_kimg=300).seed
    1000
    """

    data_dir: str = option(
        RUN, REQUIRED, "Folder of TFRecords, as stylegan_tf.create_tfrecords writes it.", is_place=True
    )
    run_dir: str = option(
        RUN,
        REQUIRED,
        "The exact folder of the run. Started again with the same folder, the run is resumed.",
        is_place=True,
    )
    cache_dir: Optional[str] = option(
        RUN, None, "Folder for copies of data in a bucket; left out: ~/.cache/stylegan_tf.", is_place=True
    )
    cache_gib: Optional[float] = option(
        RUN,
        None,
        "Of data in a bucket, keep so many GiB on this machine, and fetch the rest again when it is needed; left out: "
        "all of it is copied before training starts.",
        above=0,
        at_most=1e6,
        is_place=True,
    )
    init_from: Optional[str] = option(
        RUN,
        None,
        "A network file, or a run folder (its newest network), whose weights a new run starts with: to go on with a "
        "trained or converted network, on the same or on other images. Its options and its resolution hold where no "
        "flag sets them; another --resolution (new levels fade in), other channels and labels take over what fits, and "
        "the rest cannot be changed. --start_resolution is where that network was trained, too.",
        is_place=True,
    )
    resolution: Optional[int] = option(
        RUN, None, "Train up to this resolution; left out: the full one of the data set.", is_resolution=True
    )
    conditional: bool = option(RUN, False, "Train with the labels of the data set.")
    balance_classes: bool = option(
        RUN,
        False,
        "Show every class equally often, the images of small classes more often in an epoch.",
        requires={"conditional": (True,)},
    )
    mirror_augment: bool = option(RUN, False, "Flip half of the reals from left to right.")
    augment: str = option(
        RUN,
        "none",
        "Augmentation through which the discriminator sees reals and generated images, for small data sets. ada: "
        "flips, turns, shifts, scales, colours, each with a probability that grows while the discriminator overfits; "
        "diffaugment: colour, translation and cutout, always.",
        choices=AUGMENTATIONS,
    )
    augment_kimg: float = option(
        RUN,
        500.0,
        "Thousands of images in which ada's probability can go from 0 to 1.",
        above=0,
        at_most=_MOST_KIMG,
    )
    augment_target: float = option(
        RUN,
        0.6,
        "Mean sign of the real scores that ada's probability is adapted to: above it the probability rises. 0: the "
        "discriminator guesses; 1: it recognises every real.",
        above=0,
        below=1,
        requires={"augment": ("ada",)},
    )
    augment_p: Optional[float] = option(
        RUN,
        None,
        "A fixed probability for ada, in place of one that adapts.",
        at_least=0,
        at_most=1,
        requires={"augment": ("ada",)},
    )
    augment_filter: bool = option(
        RUN,
        False,
        "Let ada amplify and damp bands of frequencies, too, which the paper does not by default.",
        requires={"augment": ("ada",)},
    )
    augment_noise: bool = option(
        RUN, False, "Let ada add noise, too, which the paper does not by default.", requires={"augment": ("ada",)}
    )
    augment_cutout: bool = option(
        RUN, False, "Give ada cutout, too, which the paper does not use by default.", requires={"augment": ("ada",)}
    )
    freeze_d: int = option(
        RUN,
        0,
        "How many of the discriminator's highest resolutions keep their weights: of a network that --init_from takes, "
        "for small data sets.",
        at_least=0,
    )
    shuffle_images: Optional[int] = option(
        RUN, None, "Images in the shuffle buffer; left out: as many as fit into half a GiB.", at_least=1
    )
    total_kimg: float = option(
        RUN, 25000.0, "Length of the run in thousands of real images.", above=0, at_most=_MOST_KIMG
    )
    seed: int = option(RUN, 1000, "Seed of weights, latents and data order.", at_least=0, below=2**32)
    strategy: str = option(
        RUN,
        "auto",
        "Devices to train on; auto: all processes that TF_CONFIG names, if these are several; else all GPUs of this "
        "machine; else the CPU.",
        choices=STRATEGIES,
    )
    tpu: Optional[str] = option(
        RUN,
        None,
        "Name or address of the TPU for --strategy=tpu; left out: the environment variable TPU_NAME.",
        is_place=True,
    )
    deterministic: bool = option(
        RUN,
        False,
        "Use only operations that give the same bits every time: slower on GPUs; on a CPU runs repeat without it.",
    )
    precision: str = option(
        RUN,
        "float32",
        "What the layers compute in; weights, w, statistics, images and losses stay float32. bfloat16 is for TPUs, new "
        "GPUs, and CPUs that have instructions for it; float16, with dynamic loss scaling, for GPUs. auto: on a CPU "
        "the faster one of float32 and bfloat16, measured when a run starts; bfloat16 on TPUs, and on GPUs of compute "
        "capability 8.0 or newer; a resumed run keeps what it began with.",
        choices=("auto", *PRECISIONS),
    )
    half_precision_levels: Optional[int] = option(
        RUN,
        None,
        "How many of the highest resolutions compute in bfloat16 or float16, counted from the full one; left out: all "
        "in bfloat16, 4 in float16, whose range is narrow.",
        at_least=0,
        requires={"precision": ("bfloat16", "float16", "auto")},
    )
    jit_compile: bool = option(
        RUN,
        False,
        "Compile the gradients of both networks with XLA: for GPUs. It takes longer to start at every resolution, and "
        "on CPUs it is several times slower than without. TPUs always compile.",
    )

    # Resolution, channels and labels of these two are the data set's: `network_configs` fills them in.
    generator: GeneratorConfig = GeneratorConfig()
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    losses: LossConfig = LossConfig()

    iterations_per_update: int = option(SCHEDULE, 4, "Iterations between two looks at the schedule.", at_least=1)
    adam_beta1: float = option(LOSSES, 0.0, "Decay of Adam's first moment.", at_least=0, below=1)
    adam_beta2: float = option(LOSSES, 0.99, "Decay of Adam's second moment.", at_least=0, below=1)
    adam_epsilon: float = option(LOSSES, 1e-8, "Adam's epsilon.", above=0)
    style_mixing_prob: float = option(
        LOSSES, 0.9, "Probability that a minibatch mixes two styles (Sec. 3.1).", at_least=0, at_most=1
    )
    w_avg_beta: float = option(
        LOSSES, 0.995, "Decay of the running average of w, per generator pass.", at_least=0, at_most=1
    )
    ema_kimg: float = option(
        LOSSES,
        10.0,
        "Half-life of the averaged generator's weights in thousands of images; 0: no averaging.",
        at_least=0,
        at_most=_MOST_KIMG,
    )
    ema_rampup: Optional[float] = option(
        LOSSES,
        None,
        "The half-life is at most this share of the images seen so far, so that it grows up to ema_kimg: 0.05 keeps "
        "the first weights out of the average, and smooths more later. Left out: the half-life is constant.",
        above=0,
    )

    image_ticks: int = option(REPORTS, 1, "Ticks between two grids of generated images.", at_least=1)
    network_ticks: int = option(REPORTS, 10, "Ticks between two network files.", at_least=1)
    keep_networks: Optional[int] = option(
        REPORTS, None, "How many network files to keep, of the newest; left out: all.", at_least=1
    )
    checkpoint_ticks: int = option(REPORTS, 1, "Ticks between two checkpoints.", at_least=1)
    keep_checkpoints: int = option(REPORTS, 2, "How many checkpoints to keep, of the newest.", at_least=1)
    keep_checkpoint_every_kimg: float = option(
        REPORTS,
        0.0,
        "Keep the first of every so many thousand images as well; 0: none of them.",
        at_least=0,
        at_most=_MOST_KIMG,
    )
    grid_columns: int = option(REPORTS, 8, "Images per row of a grid.", at_least=1)
    grid_rows: int = option(REPORTS, 4, "Rows of a grid.", at_least=1)
    grid_planes: str = option(
        REPORTS,
        "",
        "Planes of images that are shown in grids, one or three (red, green, blue): 0,3,4; left out: 0,1,2.",
    )
    track: str = option(
        REPORTS,
        "none",
        "An experiment tracker that gets the reports, too (pip install wandb).",
        choices=("none", "wandb"),
    )
    truncation_psi: float = option(REPORTS, 0.7, "Truncation of the grids; 1: none. Training is never truncated.")
    truncation_cutoff: int = option(REPORTS, 8, "Layers that it truncates, from the first.", at_least=0)
    metrics: str = option(
        METRICS, "", "Metrics of the averaged generator to follow during training, like fid5k,pr5k; empty: none."
    )
    metric_ticks: int = option(METRICS, 10, "Ticks between two times that they are computed.", at_least=1)
    keep_best: Optional[str] = option(
        METRICS, None, "One of the metrics, like fid5k: the network with its lowest value is kept as network-best.npz."
    )
    patience: Optional[int] = option(
        METRICS, None, "End the run after so many measurements without a better value of keep_best.", at_least=1
    )
    feature_extractor: str = option(
        METRICS,
        INCEPTION,
        FEATURE_EXTRACTOR_HELP,
    )
    image_distance: Optional[str] = option(
        METRICS,
        None,
        IMAGE_DISTANCE_HELP,
    )

    def __post_init__(self) -> None:
        for name, what in (("data_dir", "the folder of TFRecords"), ("run_dir", "the folder to write the run to")):
            if not getattr(self, name):
                raise OptionError(f"{name} is missing: give {what} as --{name}=FOLDER.")
        super().__post_init__()
        if self.keep_best is not None and (
            self.keep_best not in self.metrics.split(",") or not self.keep_best.startswith(("fid", "kid", "ppl"))
        ):
            raise OptionError(f"keep_best must be one of `metrics` ({self.metrics}), and fid, kid or ppl.")
        if self.patience is not None and self.keep_best is None:
            raise OptionError("patience needs `keep_best`, the metric that is to get better.")
        if self.strategy == "tpu" and self.precision == "float16":
            raise OptionError("precision float16 is for GPUs; TPUs compute in bfloat16: give --precision=bfloat16.")

    def network_configs(
        self, resolution: int, num_channels: int, label_size: int = 0
    ) -> tuple[GeneratorConfig, DiscriminatorConfig]:
        """Returns (GeneratorConfig, DiscriminatorConfig) for a data set's full resolution, channels and label width.

        `self.resolution`, if given, may lie below the data set's; labels count only if the run is conditional.
        """
        if self.resolution is not None and self.resolution > resolution:
            raise OptionError(
                f"resolution {self.resolution} is above the {resolution} of the data set in {self.data_dir}: "
                f"give --resolution={resolution} or less."
            )
        if self.conditional and not label_size:
            raise OptionError(f"conditional needs labels, but the data set in {self.data_dir} has none.")
        shape: dict[str, Any] = {
            "resolution": self.resolution or resolution,
            "num_channels": num_channels,
            "label_size": label_size if self.conditional else 0,
        }
        networks = dataclasses.replace(self.generator, **shape), dataclasses.replace(self.discriminator, **shape)
        levels = len(networks[1].resolutions)
        if self.freeze_d >= levels:
            raise OptionError(
                f"freeze_d {self.freeze_d} leaves nothing of the discriminator to train: it has {levels} resolutions, "
                f"of which at most {levels - 1} can keep their weights."
            )
        return networks


def parse_planes(text: str) -> tuple[int, ...]:
    """ "0,3,4" -> (0, 3, 4)."""
    planes = text.split(",") if text.strip() else []
    if len(planes) not in (0, 1, 3) or not all(plane.strip().isdecimal() for plane in planes):
        raise OptionError(f"grid_planes takes one or three numbers of planes, like 0,3,4, got {text}.")
    return tuple(map(int, planes))
