"""Options of a training run: the schedule, the losses, and the run itself."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Optional

from stylegan_tf.config.networks import DiscriminatorConfig, GeneratorConfig
from stylegan_tf.config.option import LOSSES, METRICS, REPORTS, REQUIRED, RUN, SCHEDULE, OptionError, Options, option
from stylegan_tf.config.serving import MAX_PSI

FLAG_FILE = "flags.cfg"  # In a run folder: the options of the run.
NETWORK_FILE = re.compile(r"network-(\d+)\.npz")  # In a run folder: a network and its thousands of images.
STRATEGIES = ("auto", "one", "mirrored", "multi_worker", "tpu")
PRECISIONS = ("float32", "bfloat16", "float16")  # What layers can compute in.
GENERATOR_LOSSES = ("nonsaturating", "saturating", "wgan", "hinge")
DISCRIMINATOR_LOSSES = ("logistic", "wgan", "hinge")
AUGMENTATIONS = ("none", "diffaugment", "ada")
INCEPTION = "https://tfhub.dev/tensorflow/tfgan/eval/inception/1"  # The default features of metrics.
FEATURE_EXTRACTOR_HELP = (
    "Network whose features are compared: a TF-Hub or http:// handle, a SavedModel folder or .tar.gz, or "
    "efficientnet_lite0 (needs no network access; its values are not comparable with those of Inception)."
)
IMAGE_DISTANCE_HELP = (
    "Distance for ppl: a file written by stylegan_tf.build_lpips (LPIPS, the paper's), or `features`: the "
    "squared distance of the features of --feature_extractor (not comparable with LPIPS)."
)
_ADA = {"augment": ("ada",)}
_MAX_KIMG = 10**9  # 10^12 images: more than any run sees, and their count is far from int64's end.
_KIMG = {"at_least": 0, "at_most": _MAX_KIMG}


@dataclasses.dataclass(frozen=True)
class ScheduleConfig(Options, group=SCHEDULE):
    """Progressive growing and everything that depends on it (App. C). `training.schedule` evaluates it.

    A table maps resolutions to values; a resolution that is not listed takes the entry of the nearest lower resolution
    that is, or that of the lowest one listed. None stands for the paper's table. `batch_growth` alone maps thousands of
    images seen to values: 1 before the first one listed.

    >>> from stylegan_tf import ScheduleConfig
    >>> ScheduleConfig(start_resolution=32, batch_sizes={32: 16}, learning_rate=0.002).start_resolution
    32
    """

    start_resolution: int = option(8, "Resolution at which training starts.", is_resolution=True)
    training_kimg: float = option(
        600.0, "Thousands of images for which each level is trained after it has been faded in.", **_KIMG
    )
    transition_kimg: float = option(600.0, "Thousands of images over which the next level is faded in.", **_KIMG)
    batch_sizes: Optional[Mapping[int, int]] = option(
        None, "Global batch size by resolution. Default: the paper's for the number of replicas.", above=0
    )
    batch_growth: Optional[Mapping[float, int]] = option(
        None,
        "Larger batches late in training, as factors of the batch size by thousands of images seen: 60:2,140:4 doubles "
        "it at 60 thousand images and has four times as many images from 140 thousand on. --r1_interval is divided by "
        "the factor (and rounded, at least 1), so that the penalty still comes after about as many images.",
        at_least=1,
        table_by="kimg",
    )
    max_replica_batch: Optional[Mapping[int, int]] = option(
        None,
        "Maximum number of images that a replica processes at once, by resolution. A larger batch of a replica is "
        "computed in microbatches whose gradients are summed, which gives the same gradients in less memory. Below "
        "the group size of the minibatch standard deviation, parts are computed twice. Resolutions below the first "
        "one listed are not divided.",
        above=0,
    )
    learning_rate: Optional[float] = option(
        None,
        "Learning rate of both networks, at every resolution below the first one of --learning_rates. Default of "
        "both: the paper's, 0.001 below 128x128, 0.0015 at 128x128, 0.002 at 256x256 and 0.003 above.",
        above=0,
    )
    learning_rates: Optional[Mapping[int, float]] = option(
        None, "Learning rate by resolution, from the first resolution listed upwards.", above=0
    )
    discriminator_learning_rate: Optional[Mapping[int, float]] = option(
        None, "The discriminator's own learning rate, also by resolution. Default: the generator's.", above=0
    )
    tick_kimg: Optional[Mapping[int, float]] = option(
        None,
        "Thousands of images between two reports (one tick), by resolution. Default: 160 at 4x4, decreasing to 20 "
        "at 1024x1024.",
        above=0,
        at_most=_MAX_KIMG,
        group=REPORTS,
    )


@dataclasses.dataclass(frozen=True)
class LossConfig(Options, group=LOSSES):
    """Which losses train the networks, and their weights. The defaults are the paper's (App. C): logistic with R1.

    >>> from stylegan_tf import LossConfig
    >>> LossConfig(r1_gamma=0.3, r1_interval=8).discriminator_loss
    'logistic'
    """

    generator_loss: str = option("nonsaturating", "Loss of the generator.", choices=GENERATOR_LOSSES)
    discriminator_loss: str = option("logistic", "Loss of the discriminator.", choices=DISCRIMINATOR_LOSSES)
    r1_gamma: float = option(
        10.0, "Weight gamma of the R1 gradient penalty on real images, gamma/2 * |grad D(real)|^2; 0: off.", at_least=0
    )
    r2_gamma: float = option(
        0.0, "Weight of the R2 gradient penalty, the same on generated images; 0: off.", at_least=0
    )
    # Adam's settings need no correction: in StyleGAN2 (App. B) the penalty had optimiser steps of its own, which made
    # k + 1 steps out of k; here, it is part of the k-th.
    r1_interval: int = option(
        1, "Apply R1 and R2 in every k-th iteration only, with k times the weight (lazy regularisation).", at_least=1
    )
    gp_lambda: float = option(
        0.0, "Weight of WGAN-GP's penalty between real and generated images; 0: off. ProGAN uses 10.", at_least=0
    )
    gp_target: float = option(1.0, "Target gradient norm of WGAN-GP's penalty.", above=0)
    wgan_drift: float = option(
        0.0,
        "Weight of the squared real scores in the WGAN loss, which keeps them near 0; 0: off. ProGAN uses 0.001.",
        at_least=0,
        requires={"discriminator_loss": ("wgan",)},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.gp_target != 1.0 and not self.gp_lambda:
            raise OptionError("gp_target needs `gp_lambda` above 0.")
        if self.r1_interval > 1 and not (self.r1_gamma or self.r2_gamma):
            raise OptionError(f"r1_interval {self.r1_interval} needs `r1_gamma` or `r2_gamma` above 0.")


@dataclasses.dataclass(frozen=True)
class TrainConfig(Options, group=RUN):
    """One training run. The fields, including those of the nested parts, have the same names as the flags.

    >>> from stylegan_tf import TrainConfig
    >>> TrainConfig("datasets/demo", "runs/mine", resolution=32, total_kimg=300).seed
    1000
    """

    data_dir: str = option(REQUIRED, "Folder of TFRecords written by stylegan_tf.create_tfrecords.", is_location=True)
    run_dir: str = option(
        REQUIRED, "Folder of the run. Started again with the same folder, the run is resumed.", is_location=True
    )
    cache_dir: Optional[str] = option(
        None, "Folder for local copies of data in a bucket. Default: ~/.cache/stylegan_tf.", is_location=True
    )
    cache_gib: Optional[float] = option(
        None,
        "Maximum GiB of data from a bucket to keep on this machine; the rest is downloaded again when needed. "
        "Default: all of it is copied first.",
        above=0,
        at_most=10**6,
        is_location=True,
    )
    init_from: Optional[str] = option(
        None,
        "Network file, or run folder (its newest network), whose weights initialise a new run, in order to continue "
        "from a trained or converted network on the same or on other images. Its options and its resolution apply "
        "where no flag sets them. With another --resolution (new levels fade in), other channels or other labels, "
        "the weights that fit are taken over; the other options of the architecture cannot be changed. "
        "--start_resolution is also taken from that network: the resolution at which it was being trained.",
        is_location=True,
    )
    resolution: Optional[int] = option(
        None, "Final resolution of training. Default: the full resolution of the dataset.", is_resolution=True
    )
    conditional: bool = option(False, "Train a conditional network with the labels of the dataset.")
    balance_classes: bool = option(
        False,
        "Show every class equally often: images of small classes are repeated.",
        requires={"conditional": (True,)},
    )
    mirror_augment: bool = option(False, "Mirror real images from left to right with probability 0.5.")
    augment: str = option(
        "none",
        "Augmentation of all images that the discriminator sees, real and generated, for small datasets. ada: "
        "flips, rotations, translations, scaling and colour changes, each with a probability that increases while "
        "the discriminator overfits. diffaugment: colour, translation and cutout, always applied.",
        choices=AUGMENTATIONS,
    )
    augment_kimg: float = option(
        500.0, "Thousands of images in which ADA's probability can rise from 0 to 1.", above=0, at_most=_MAX_KIMG
    )
    augment_target: float = option(
        0.6,
        "Target of ADA for the mean sign of the real scores; above it the probability rises. 0 means that the "
        "discriminator is guessing, 1 that it recognises every real image.",
        above=0,
        below=1,
        requires=_ADA,
    )
    augment_p: Optional[float] = option(
        None, "Fixed probability for ADA, in place of an adaptive one.", at_least=0, at_most=1, requires=_ADA
    )
    augment_filter: bool = option(
        False, "Let ADA also scale frequency bands, which the ADA paper does not do by default.", requires=_ADA
    )
    augment_noise: bool = option(
        False, "Let ADA also add noise, which the ADA paper does not do by default.", requires=_ADA
    )
    augment_cutout: bool = option(
        False, "Let ADA also apply cutout, which the ADA paper does not do by default.", requires=_ADA
    )
    freeze_d: int = option(
        0, "Number of the discriminator's highest resolutions that keep the weights of --init_from.", at_least=0
    )
    shuffle_images: Optional[int] = option(
        None, "Number of images in the shuffle buffer. Default: as many as fit into half a GiB.", at_least=1
    )
    total_kimg: float = option(
        25000.0, "Length of the run in thousands of real images.", at_least=0.001, at_most=_MAX_KIMG
    )
    seed: int = option(
        1000, "Seed of the initial weights, the latents and the order of the data.", at_least=0, below=2**32
    )
    strategy: str = option(
        "auto",
        "Devices to train on. auto: all processes named in TF_CONFIG if there are several, else all GPUs of this "
        "machine, else the CPU.",
        choices=STRATEGIES,
    )
    tpu: Optional[str] = option(
        None, "Name or address of the TPU for --strategy=tpu. Default: the variable TPU_NAME.", is_location=True
    )
    deterministic: bool = option(
        False, "Use only operations whose results repeat bit by bit. Slower on GPUs; CPUs repeat without it."
    )
    precision: str = option(
        "float32",
        "Number format in which the layers compute; weights, w, statistics, images and losses stay in float32. "
        "bfloat16 is for TPUs, recent GPUs and CPUs with bfloat16 instructions; float16, with dynamic loss scaling, "
        "is for GPUs. auto: on a CPU the faster of float32 and bfloat16, measured when a run starts; bfloat16 on "
        "TPUs and on GPUs of compute capability 8.0 or higher. A resumed run keeps the format that it started with.",
        choices=("auto", *PRECISIONS),
    )
    half_precision_levels: Optional[int] = option(
        None,
        "Number of the highest resolutions that compute in bfloat16 or float16, counted down from the full one. "
        "Default: all in bfloat16, 4 in float16, whose range is narrow.",
        at_least=0,
        requires={"precision": ("bfloat16", "float16", "auto")},
    )
    jit_compile: bool = option(
        False,
        "Compile the gradients of both networks with XLA, for GPUs. Training takes longer to start at every "
        "resolution, and on CPUs it is several times slower than without XLA. On TPUs XLA is always used.",
    )

    # Resolution, channels and labels of these two are the dataset's: `network_configs` fills them in.
    generator: GeneratorConfig = GeneratorConfig()
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    losses: LossConfig = LossConfig()

    iterations_per_update: int = option(
        4, "Number of iterations between two updates of the schedule.", at_least=1, group=SCHEDULE
    )
    adam_beta1: float = option(0.0, "Decay rate of Adam's first moment (beta1).", at_least=0, below=1, group=LOSSES)
    adam_beta2: float = option(0.99, "Decay rate of Adam's second moment (beta2).", at_least=0, below=1, group=LOSSES)
    adam_epsilon: float = option(1e-8, "Epsilon of Adam.", above=0, group=LOSSES)
    style_mixing_prob: float = option(
        0.9, "Probability of style mixing in a minibatch (Sec. 3.1).", at_least=0, at_most=1, group=LOSSES
    )
    w_avg_beta: float = option(
        0.995, "Decay rate of the running average of w, per generator pass.", at_least=0, at_most=1, group=LOSSES
    )
    ema_kimg: float = option(
        10.0, "Half-life of the generator's moving average, in thousands of images; 0: none.", **_KIMG, group=LOSSES
    )
    ema_rampup: Optional[float] = option(
        None,
        "Limit of the half-life as a fraction of the images seen so far, so that the half-life grows up to ema_kimg. "
        "With 0.05 the average soon forgets the first weights and becomes smoother later. Default: a constant "
        "half-life.",
        above=0,
        group=LOSSES,
    )

    image_ticks: int = option(1, "Number of ticks between two grids of generated images.", at_least=1, group=REPORTS)
    network_ticks: int = option(10, "Number of ticks between two network files.", at_least=1, group=REPORTS)
    keep_networks: Optional[int] = option(
        None, "Number of network files to keep, the newest ones. Default: all.", at_least=1, group=REPORTS
    )
    checkpoint_ticks: int = option(1, "Number of ticks between two checkpoints.", at_least=1, group=REPORTS)
    keep_checkpoints: int = option(2, "Number of checkpoints to keep, the newest ones.", at_least=1, group=REPORTS)
    keep_checkpoint_every_kimg: float = option(
        0.0, "Also keep a checkpoint every this many thousand images; 0: none.", **_KIMG, group=REPORTS
    )
    grid_columns: int = option(8, "Number of images per row of a grid.", at_least=1, group=REPORTS)
    grid_rows: int = option(4, "Number of rows of a grid.", at_least=1, group=REPORTS)
    grid_planes: str = option(
        "", "Planes to show in grids: one, or three as red, green and blue, like 0,3,4. Default: 0,1,2.", group=REPORTS
    )
    track: str = option(
        "none", "Experiment tracker to report to, too (pip install wandb).", choices=("none", "wandb"), group=REPORTS
    )
    truncation_psi: float = option(
        0.7,
        "Truncation psi of the images in the grids; 1: none. Training never uses truncation.",
        at_least=-MAX_PSI,
        at_most=MAX_PSI,
        group=REPORTS,
    )
    truncation_cutoff: int = option(
        8, "Number of layers, from the first, to which truncation_psi applies.", at_least=0, group=REPORTS
    )
    metrics: str = option(
        "", "Metrics to compute during training, separated by commas, like fid5k,pr5k. Empty: none.", group=METRICS
    )
    metric_ticks: int = option(
        10, "Number of ticks between two computations of the metrics.", at_least=1, group=METRICS
    )
    keep_best: Optional[str] = option(
        None,
        "Metric, one of those in --metrics, by which the best network is chosen, like fid5k: the network with its "
        "lowest value is kept as network-best.npz.",
        group=METRICS,
    )
    patience: Optional[int] = option(
        None, "Stop the run after this many measurements without a better keep_best.", at_least=1, group=METRICS
    )
    feature_extractor: str = option(INCEPTION, FEATURE_EXTRACTOR_HELP, group=METRICS)
    image_distance: Optional[str] = option(None, IMAGE_DISTANCE_HELP, group=METRICS)

    def __post_init__(self) -> None:
        for name, what in (("data_dir", "the folder of TFRecords"), ("run_dir", "the folder to write the run to")):
            if not getattr(self, name):
                raise OptionError(f"{name} is missing: give {what} as --{name}=FOLDER.")
        super().__post_init__()
        if self.keep_best and (
            self.keep_best not in metric_names(self.metrics) or not self.keep_best.startswith(("fid", "kid", "ppl"))
        ):
            raise OptionError(f"keep_best must be one of `metrics` ({self.metrics}), and fid, kid or ppl.")
        parse_planes(self.grid_planes)
        if self.freeze_d and not self.init_from:
            raise OptionError("freeze_d would freeze random weights: give `init_from`, or leave it out.")
        if self.patience is not None and not self.keep_best:
            raise OptionError("patience needs `keep_best`, the metric that is to get better.")
        if self.strategy == "tpu" and self.precision == "float16":
            raise OptionError("precision float16 is for GPUs; TPUs compute in bfloat16: give --precision=bfloat16.")

    def network_configs(
        self, resolution: int, num_channels: int, label_size: int = 0
    ) -> tuple[GeneratorConfig, DiscriminatorConfig]:
        """Returns (GeneratorConfig, DiscriminatorConfig) for a dataset's full resolution, channels and label width.

        `self.resolution`, if given, may lie below the dataset's; labels count only if the run is conditional.
        """
        if self.resolution is not None and self.resolution > resolution:
            raise OptionError(
                f"resolution {self.resolution} is above the {resolution} of the dataset in {self.data_dir}: "
                f"give --resolution={resolution} or less."
            )
        if self.conditional and not label_size:
            raise OptionError(f"conditional needs labels, but the dataset in {self.data_dir} has none.")
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


def metric_names(text: str) -> list[str]:
    """ "fid5k, kid5k" -> ["fid5k", "kid5k"]."""
    return [part.strip() for part in text.split(",") if part.strip()]


def parse_planes(text: str) -> tuple[int, ...]:
    """ "0,3,4" -> (0, 3, 4)."""
    planes = text.split(",") if text.strip() else []
    if len(planes) not in (0, 1, 3) or not all(plane.strip().isdecimal() for plane in planes):
        raise OptionError(f"grid_planes takes one or three numbers of planes, like 0,3,4, got {text}.")
    return tuple(map(int, planes))
