"""The flags of training, and how they become a `TrainConfig`. The only module of training that knows absl."""

import dataclasses
import os
from typing import Any, Callable, Optional

from absl import flags

from stylegan_tf import config
from stylegan_tf.cli.command_line import flag_group
from stylegan_tf.errors import UserError
from stylegan_tf.files.written_aside import written_aside

FLAGS = flags.FLAGS
_TABLES = {"batch_sizes": int, "max_replica_batch": int, "learning_rates": float, "tick_kimg": float}
_NETWORKS = (config.GeneratorConfig, config.DiscriminatorConfig)
_FROM_DATA = ("resolution", "num_channels", "label_size")  # Fields of the networks that have no flag there.


def _defaults() -> dict:
    """The default of every flag by name: the fields of TrainConfig and of its parts."""
    run = config.TrainConfig(data_dir="-", run_dir="-")
    defaults = {field.name: getattr(run, field.name) for field in dataclasses.fields(run)}
    for part in (run.schedule, run.losses, run.generator, run.discriminator):
        for name, value in vars(part).items():
            if name not in _FROM_DATA:
                defaults[name] = value
    return {**defaults, "data_dir": None, "run_dir": None}


_DEFAULTS = _defaults()
_NAMES = []


def _flag(name: str, text: str, kind: Optional[type] = None, choices: Optional[tuple] = None) -> None:
    default = _DEFAULTS[name]
    _NAMES.append(name)
    if choices:
        flags.DEFINE_enum(name, default, choices, text)
    else:
        define = {bool: flags.DEFINE_bool, int: flags.DEFINE_integer, float: flags.DEFINE_float}
        define.get(kind or type(default), flags.DEFINE_string)(name, default, text)


with flag_group("Data and run"):
    _flag("data_dir", "Folder of TFRecords, as tools/create_tfrecords.py writes it.")
    _flag("run_dir", "The exact folder of the run. Started again with the same folder, the run goes on.")
    _flag(
        "init_from",
        "A network file, or a run folder (its newest network), whose weights a new run starts with: to go on with a "
        "trained or converted network, on the same or on other images. Its options and its resolution hold where no "
        "flag sets them; they cannot be changed. Growing starts over unless --start_resolution is the full resolution.",
    )
    _flag("resolution", "Train up to this resolution; left out: the full one of the data set.", kind=int)
    _flag("conditional", "Train with the labels of the data set.")
    _flag("mirror_augment", "Flip half of the reals from left to right.")
    _flag("shuffle_images", "Images in the shuffle buffer; left out: as many as fit into half a GiB.", kind=int)
    _flag("total_kimg", "Length of the run in thousands of real images.")
    _flag("seed", "Seed of weights, latents and data order.")
    _flag(
        "strategy",
        "Devices to train on; auto: all processes that TF_CONFIG names, if these are several; else all GPUs of this "
        "machine; else the CPU.",
        choices=config.STRATEGIES,
    )
    _flag("tpu", "Name or address of the TPU for --strategy=tpu; left out: the environment variable TPU_NAME.")
    _flag(
        "deterministic",
        "Use only operations that give the same bits every time: slower on GPUs; on a CPU runs repeat without it.",
    )
    _flag(
        "precision",
        "What the layers compute in; weights, w, statistics, images and losses stay float32. bfloat16 is for CPUs, "
        "TPUs and new GPUs; float16, with dynamic loss scaling, for GPUs: on CPUs it is slow.",
        choices=config.PRECISIONS,
    )
    _flag(
        "half_precision_levels",
        "How many of the highest resolutions compute in bfloat16 or float16, counted from the full one; left out: all "
        "in bfloat16, 4 in float16, whose range is narrow.",
        kind=int,
    )
    _flag(
        "jit_compile",
        "Compile the gradients of both networks with XLA: for GPUs. It takes longer to start at every resolution, and "
        "on CPUs it is several times slower than without. TPUs always compile.",
    )

with flag_group("Schedule (a table is written 8:128,16:64; one number holds for all resolutions)"):
    _flag("start_resolution", "First resolution that is trained.")
    _flag("training_kimg", "Thousands of images per level, fully faded in.")
    _flag("transition_kimg", "Thousands of images that fade in the next level.")
    _flag("batch_sizes", "Global batch by resolution; left out: the paper's for the number of replicas.")
    _flag(
        "max_replica_batch",
        "Most images of a batch on one replica at once, by resolution; a larger share is computed in rounds that add "
        "up to the same gradients, in less memory. Resolutions below the first one listed are not divided.",
    )
    _flag("learning_rate", "Learning rate of both networks below the first resolution of --learning_rates.")
    _flag("learning_rates", "Learning rate by resolution; left out: 128:0.0015,256:0.002,512:0.003.")
    _flag("iterations_per_update", "Iterations between two looks at the schedule.")

with flag_group("Losses and optimisers"):
    _flag("generator_loss", "Loss of the generator.", choices=config.GENERATOR_LOSSES)
    _flag("discriminator_loss", "Loss of the discriminator.", choices=config.DISCRIMINATOR_LOSSES)
    _flag("r1_gamma", "Weight of R1, the gradient penalty on real images; 0: off.")
    _flag("r2_gamma", "The same on generated images; 0: off.")
    _flag("r1_interval", "R1 and R2 in every k-th iteration only, k times as strong, as in StyleGAN2: less work.")
    _flag("gp_lambda", "Weight of WGAN-GP's gradient penalty; 0: off.")
    _flag("gp_target", "Gradient norm that WGAN-GP's penalty asks for.")
    _flag("wgan_drift", "Weight of the squared real scores under the WGAN loss.")
    _flag("adam_beta1", "Decay of Adam's first moment.")
    _flag("adam_beta2", "Decay of Adam's second moment.")
    _flag("adam_epsilon", "Adam's epsilon.")
    _flag("style_mixing_prob", "Probability that a minibatch mixes two styles.")
    _flag("w_avg_beta", "Decay of the running average of w, per generator pass.")
    _flag("ema_kimg", "Half-life of the averaged generator's weights in thousands of images; 0: no averaging.")

with flag_group("Networks"):
    _flag("latent_size", "Width of z.")
    _flag("dlatent_size", "Width of w.")
    _flag("mapping_layers", "Layers of the mapping network.")
    _flag("mapping_fmaps", "Width of its hidden layers.")
    _flag("mapping_lrmul", "Its learning-rate multiplier.")
    _flag("normalize_latents", "Normalise z before the mapping network.")
    _flag("fmap_base", "Channels at resolution r are min(2 * fmap_base / r, fmap_max).")
    _flag("fmap_max", "Most channels of a layer.")
    _flag("blur", "Low-pass filter around resampling.")
    _flag("use_styles", "AdaIN; off: the traditional generator.")
    _flag("const_input", "Learned 4x4 constant; off: a dense layer from w.")
    _flag("use_noise", "Noise inputs.")
    _flag("use_pixel_norm", "ProGAN's pixel norm (configs A and B).")
    _flag("use_instance_norm", "The normalisation of AdaIN.")
    _flag("embed_labels", "Labels enter the generator through a learned matrix; off: as they are.")
    _flag("use_labels", "The discriminator looks at the labels.")
    _flag("mbstd_group_size", "Group of the minibatch standard deviation; 0: off.")

with flag_group("Reports"):
    _flag("tick_kimg", "Thousands of images between two reports, by resolution; left out: 160 at 4x4, 20 at 1024.")
    _flag("image_ticks", "Ticks between two grids of generated images.")
    _flag("network_ticks", "Ticks between two network files.")
    _flag("checkpoint_ticks", "Ticks between two checkpoints.")
    _flag("keep_checkpoints", "How many checkpoints to keep, of the newest.")
    _flag("keep_checkpoint_every_kimg", "Keep the first of every so many thousand images as well; 0: none of them.")
    _flag("grid_columns", "Images per row of a grid.")
    _flag("grid_rows", "Rows of a grid.")
    _flag("truncation_psi", "Truncation of the grids; 1: none.")
    _flag("truncation_cutoff", "Layers that it truncates, from the first.")


with flag_group("Metrics (docs/metrics.md)"):
    _flag("metrics", "Metrics of the averaged generator to follow during training, like fid5k,pr5k; empty: none.")
    _flag("metric_ticks", "Ticks between two times that they are computed.")
    _flag(
        "feature_extractor",
        "Network whose features are compared: a TF-Hub or http:// handle, a SavedModel folder or .tar.gz, or "
        "efficientnet_lite0.",
    )
    _flag("image_distance", "For ppl: a file of tools/build_lpips.py, or `features`.")


def train_config_from_flags() -> config.TrainConfig:
    """The validated options. Raises UserError, naming the flag, for a value that makes no sense."""
    if FLAGS.init_from:
        _take_architecture(FLAGS.init_from)
    values = {name: FLAGS[name].value for name in _NAMES}
    for name, convert in _TABLES.items():
        values[name] = parse_table(name, values[name], convert)
    # The data set decides later; the smallest shape is one that every width fits.
    shape = {"resolution": 4, "num_channels": 3, "label_size": 0}
    parts = {
        "schedule": _build(config.ScheduleConfig, values),
        "losses": _build(config.LossConfig, values),
        "generator": _build(config.GeneratorConfig, {**values, **shape}),
        "discriminator": _build(config.DiscriminatorConfig, {**values, **shape}),
    }
    return _build(config.TrainConfig, {**values, **parts})


def _take_architecture(path: str) -> None:
    """Gives the flags of the networks that nobody has set the values of the network file."""
    names = {name for name in _architecture_flags() if not FLAGS[name].present}
    if not names:
        return
    from stylegan_tf.networks.network_file import read_configs  # Imports TensorFlow.

    for network in read_configs(path).values():
        for name in names & set(vars(network)):
            FLAGS[name].value = getattr(network, name)


def _architecture_flags() -> set:
    options = {field.name for kind in _NETWORKS for field in dataclasses.fields(kind)}
    return options & set(_NAMES)


def _build(kind: type, values: dict) -> Any:
    return kind(**{field.name: values[field.name] for field in dataclasses.fields(kind)})


def parse_table(name: str, text: Optional[str], convert: Callable[[str], float]) -> Optional[dict]:
    """ "8:128,16:64" -> {8: 128, 16: 64}; "64" -> {4: 64}, which holds from 4x4 up; None or "" -> None."""
    if not text:
        return None
    if ":" not in text:
        text = "4:" + text
    table = {}
    for entry in text.split(","):
        resolution, _, value = entry.partition(":")
        try:
            key, number = int(resolution), convert(value)
        except ValueError:
            kind = "whole numbers" if convert is int else "numbers"
            raise UserError(
                f"{name} must be {kind} by resolution, like {name}=8:128,16:64, or one number; {entry!r} is neither."
            ) from None
        if key in table:
            raise UserError(f"{name} gives two values for resolution {key}.")
        table[key] = number
    return table


def write_flag_file(path: os.PathLike) -> None:
    """Writes every flag that differs from its default, so that `--flagfile=PATH` replays the run.

    After --init_from all options of the networks are written: the run can go on when that file is no longer there.
    """
    lines = ["# Replays this run: python -m stylegan_tf.train --flagfile=THIS_FILE --run_dir=ANOTHER_FOLDER"]
    always = _architecture_flags() if FLAGS.init_from else set()
    for name in _NAMES:
        value = FLAGS[name].value
        if value != FLAGS[name].default or name in always:
            lines.append(f"--{name}={str(value).lower() if isinstance(value, bool) else value}")
    with written_aside(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
