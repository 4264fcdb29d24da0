"""Follows whole iterations of the authors' training and prints how far ours end from theirs, one line a row.

    python -m tests.reference_training [--reference ../shared/reference] [--forms fused plain ...]

The folder holds the authors' variables before and after every iteration, and all that was random in it; it is not part
of this repository. Every file is followed twice: each iteration from the authors' variables before it (Adam's moments,
which are not on file, are ours of the iteration before), and those that come in a row from the first of them.

"variables" is the largest difference of one, relative to the largest value of its variable where that is above 1;
w_avg and the 4x4 constant have rows of their own.
Iterations change most variables by 1e-5 to 1e-3, so "changes" compares what an iteration added: the largest difference
of a variable relative to the largest change, but for one rounding to float32; the median over the variables.
"""

import argparse
import contextlib
import os
import pathlib
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig, LossConfig, ScheduleConfig, TrainConfig
from stylegan_tf.data.pipeline import replica_order
from stylegan_tf.networks.conversion import layouts
from stylegan_tf.networks.network_file import assign_arrays
from stylegan_tf.ops import forms
from stylegan_tf.ops.forms import plain_form
from stylegan_tf.training.random_inputs import FakeInputs, RandomInputs
from stylegan_tf.training.state import TrainState
from stylegan_tf.training.step import StepInputs, build_iteration
from tests.helpers.two_replicas import two_replicas

FILES = ("training_paper", "training_wgan")
FORMS = {
    "fused": "as it is: at 32x32 the chains of element-wise operations are compiled",
    "compiled": "all chains compiled, however small",
    "plain": "one TensorFlow operation after the other",
    "replicas": "two replicas",
    "rounds": "--max_replica_batch=4:4, two rounds a pass",
    "xla": "--jit_compile",
}
ITERATIONS, BATCH, W_AVG_BETA = 7, 8, 0.995
NETWORKS = {"generator": "G", "discriminator": "D", "generator_ema": "Gs"}
W_AVG, CONSTANT = "truncation/w_avg", "synthesis/4x4/const/const"
LOSSES = {
    "training_paper": LossConfig(r1_gamma=10.0),
    "training_wgan": LossConfig("wgan", "wgan", r1_gamma=0.0, gp_lambda=10.0, gp_target=1.0, wgan_drift=0.001),
}
# Instance norm divides the 4x4 constant, which begins as ones, by how much its channels vary: next to nothing. So it
# moves most, and rounding grows through it, most of all in iterations in a row. The mean of the authors' generator
# losses is itself up to 6e-7 from that of the same weights in float64; with WGAN, where they have both signs, 1.3e-5.
BOUNDS = {"d_loss": 1e-6, "g_loss": 2e-6, "variables": 1e-5, "constant": 1e-4, "changes": 1e-3, "w_avg": 1e-5}
BOUNDS_WGAN = {**BOUNDS, "g_loss": 2e-5}
BOUNDS_IN_A_ROW = {"d_loss": 5e-3, "g_loss": 5e-3, "variables": 2e-4, "constant": 1e-3, "changes": 0.2, "w_avg": 1e-5}


def train_config(name, form) -> TrainConfig:
    shape = {"resolution": 32, "fmap_base": 512, "fmap_max": 16}
    vectors = {"latent_size": 16, "dlatent_size": 16, "mapping_layers": 4, "mapping_fmaps": 16}
    return TrainConfig(
        data_dir="none",
        run_dir="none",
        conditional=name == "training_wgan",
        jit_compile=form == "xla",
        generator=GeneratorConfig(**shape, **vectors),
        discriminator=DiscriminatorConfig(**shape),
        schedule=ScheduleConfig(max_replica_batch={4: 4} if form == "rounds" else None),
        losses=LOSSES[name],
        adam_epsilon=0.1,
        w_avg_beta=W_AVG_BETA,
        ema_kimg=0.1,
    )


def traced_in(form):
    """The context in which a form has to be traced."""
    if form == "compiled":
        return mock.patch.object(forms, "_MIN_ELEMENTS", 1)
    return plain_form() if form == "plain" else contextlib.nullcontext()


class Training:
    """Our training in the authors' place: their variables, reals and random inputs."""

    def __init__(self, data, name, form):
        self.data = data
        self.strategy = two_replicas() if form == "replicas" else tf.distribute.OneDeviceStrategy("CPU:0")
        self.config = train_config(name, form)
        label_size = self.at(0, "labels").shape[1]
        with self.strategy.scope():
            self.state = TrainState(self.config, *self.config.network_configs(32, 3, label_size))
        self._mixes = name == "training_wgan"
        self._levels = {}

    def at(self, index, what):
        return self.data[f"iteration{index}/{what}"]

    def authors_variables(self, index, part):
        """All variables of a network before an iteration, under our names."""
        prefix = f"state{index}/{NETWORKS[part]}/"
        values = {key[len(prefix) :]: self.data[key] for key in self.data if key.startswith(prefix)}
        return layouts.from_authors(values, getattr(self.state, part).config, fused_from=128)

    def our_variables(self, part):
        return {name: variable.numpy() for name, variable in self.state.variables[part].items()}

    def start_from(self, index):
        for part in NETWORKS:
            assign_arrays(getattr(self.state, part), self.authors_variables(index, part), source=f"state{index}/{part}")

    def iterate(self, index):
        """One iteration; they have to be called in order. Returns its losses."""
        lod = float(self.at(index, "lod"))
        resolution = 32 >> int(lod)
        if resolution not in self._levels:
            run = build_iteration(self.config, self.state, self.strategy, resolution, BATCH, self._draw)
            self._levels[resolution] = run, self._batches(resolution)
        run, batches = self._levels[resolution]
        numbers = tf.constant(BATCH * index, tf.int64), tf.constant(1 - lod % 1, tf.float32)
        return run(batches, StepInputs(*numbers, tf.constant(0.002), tf.constant(0.003)))

    def w_avg_after_d(self, index):
        """w_avg between the passes: lerp(mean w of the discriminator's first latents, w_avg, beta)."""
        w = self.state.generator.mapping_network(self.at(index, "z_d"), labels=self.at(index, "labels"))
        mean, w_avg = np.mean(w, axis=0), self.our_variables("generator")[W_AVG]
        return mean + np.float32(W_AVG_BETA) * (w_avg - mean)

    def _draw(self, images_seen, stream):
        """What the authors drew, in all iterations, and of that the current one's; their noise is the fixed maps."""

        def drawn(what):
            return tf.constant(np.stack([self.at(index, what) for index in range(ITERATIONS)]))[images_seen // BATCH]

        of = "dg"[stream]
        fakes = FakeInputs(drawn(f"z_{of}"), drawn(f"z2_{of}") if self._mixes else None)
        return RandomInputs(fakes, drawn(f"crossover_{of}"), drawn("between") if self._mixes and of == "d" else None)

    def _batches(self, resolution):
        """The reals of all iterations at a resolution, again and again."""
        replicas = self.strategy.num_replicas_in_sync
        order = replica_order(BATCH, replicas)
        indices = [index for index in range(ITERATIONS) if self.at(index, "reals").shape[2] == resolution]
        reals = np.concatenate([self.at(index, "reals")[order] for index in indices]).transpose(0, 2, 3, 1)
        labels = np.concatenate([self.at(index, "labels")[order] for index in indices])
        dataset = tf.data.Dataset.from_tensor_slices({"images": reals, "labels": labels}).repeat()
        dataset = dataset.batch(BATCH // replicas, drop_remainder=True)
        return iter(self.strategy.distribute_datasets_from_function(lambda _: dataset))


def follow(reference, name, form="fused"):
    """[(start, iteration, what, difference, bound)] of one file."""
    with np.load(pathlib.Path(reference) / f"{name}.npz", allow_pickle=False) as data:
        training, rows = Training(dict(data), name, form), []
    for in_a_row in (False, True):
        bounds = BOUNDS_IN_A_ROW if in_a_row else BOUNDS_WGAN if name == "training_wgan" else BOUNDS
        for index in range(ITERATIONS):
            starts = bool(training.at(index, "reset"))
            if starts:
                training.state.reset_optimizers()
            if starts or not in_a_row:
                training.start_from(index)
            found = _compared(training, index, form)
            if not (in_a_row and starts):
                start = "in a row" if in_a_row else "from its state"
                rows += [(start, index, what, difference, bounds[what.split()[-1]]) for what, difference in found]
    return rows


def _compared(training, index, form):
    """[(what, difference)] of one iteration."""
    start = {part: training.our_variables(part) for part in NETWORKS}
    after_d = training.w_avg_after_d(index)
    with traced_in(form):
        losses = training.iterate(index)
    rows = []
    for what in ("d_loss", "g_loss"):
        # The authors' d_loss is [N, N]: scores [N, 1] plus penalties [N]. Its mean is that of the images.
        theirs = training.at(index, what).astype(np.float64)
        rows.append((what, abs(float(losses[what]) - theirs.mean()) / np.abs(theirs).mean()))
    for part in NETWORKS:
        before, after = (training.authors_variables(i, part) for i in (index, index + 1))
        ours = training.our_variables(part)
        w_avg = {"generator": after.get(W_AVG), "generator_ema": after_d}.get(part)
        if w_avg is not None:
            rows.append((f"{part} w_avg", _relative(ours[W_AVG], w_avg)))
        if part == "generator_ema":
            # In the authors' graph the copy may come before or after the discriminator's pass moves w_avg: here it did
            # before, by half an iteration earlier than ours.
            rows.append((f"{part} authors' w_avg", _relative(start["generator"][W_AVG], after[W_AVG])))
        if CONSTANT in after:
            rows.append((f"{part} constant", _relative(ours[CONSTANT], after[CONSTANT])))
        names = set(after) - {W_AVG}
        rows.append((f"{part} variables", max(_relative(ours[name], after[name]) for name in names - {CONSTANT})))
        changes = [_change(ours[name] - start[part][name], after[name] - before[name], after[name]) for name in names]
        rows.append((f"{part} changes", np.median([change for change in changes if change is not None] or [0.0])))
    return rows


def _relative(ours, theirs):
    return float(np.abs(ours - theirs).max() / max(1, np.abs(theirs).max()))


def _change(ours, theirs, values):
    """None where neither changed anything."""
    if not ours.any() and not theirs.any():
        return None
    rounding = np.spacing(np.abs(values).max())
    return float(np.maximum(np.abs(ours - theirs) - rounding, 0).max() / max(np.abs(theirs).max(), rounding))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reference", default=pathlib.Path(__file__).parents[2] / "shared" / "reference")
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS))
    arguments = parser.parse_args()
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    failed = 0
    for form in arguments.forms:
        print(f"{form}: {FORMS[form]}")
        for name in FILES:
            for start, index, what, difference, limit in follow(arguments.reference, name, form):
                failed += not difference <= limit
                verdict = "ok" if difference <= limit else "DIFFERS"
                print(
                    f"{form:8} {name:14} {index} {start:14} {what:28} {difference:9.2e} <= {limit:.0e} {verdict}",
                    flush=True,
                )
    print(f"{failed} outside their bounds")
    raise SystemExit(bool(failed))


if __name__ == "__main__":
    main()
