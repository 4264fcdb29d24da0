"""Estimates what a training run will require, level by level: computation, memory, time and disk space.

    python -m stylegan_tf.plan --flagfile configs/ffhq.cfg --device V100 --devices 8
    python -m stylegan_tf.plan --flagfile configs/ffhq.cfg --device 312e12,2039,80 --precision bfloat16 --json plan.json
    python -m stylegan_tf.plan --flagfile configs/demo.cfg --resolution 32 --measure

All flags of `train` apply. The dataset need not exist: the estimate assumes --records RGB pictures of --resolution.
Multiply-adds, parameters, iterations and files are counted; time is estimated from the device's peak and the measured
share of it (the table says on which device), or measured on this machine with --measure.
"""

import math

from stylegan_tf.benchmark.planning import Plan, device_named, fitting_batch, plan_run
from stylegan_tf.cli import command_line, flags, training_flags
from stylegan_tf.cli.progress import ProgressBar
from stylegan_tf.files.atomic_write import write_json
from stylegan_tf.metrics.kinds import parse_metrics

FLAGS = flags.FLAGS
with flags.group("Plan"):
    flags.define(
        "device",
        "V100",
        "Device: V100, A100, H100, H200, cpu, or three numbers (peak FLOP/s, memory bandwidth in GB/s, memory in "
        "GB), like 312e12,2039,80.",
    )
    flags.define("devices", 1, "Number of devices.", lower_bound=1)
    flags.define("records", 70000, "Number of pictures of the dataset, for its size on disk.", lower_bound=1)
    flags.define("measure", False, "Time a few iterations of each level on this machine, in place of the estimate.")
    flags.define("json", None, "A .json file for the complete plan.")


def main() -> None:
    for name in ("data_dir", "run_dir"):
        FLAGS[name].value = FLAGS[name].value or "none"  # Nothing is read from or written to them.
    config = training_flags.train_config_from_flags()
    if config.metrics:
        parse_metrics(config.metrics)  # A name that `train` would refuse.
    if config.resolution is None:
        flags.fail("`resolution` is missing: give the full size of the pictures.")
    if FLAGS.measure:
        from stylegan_tf.benchmark.training_case import timed_plan, with_precision_here

        config = with_precision_here(config)
    plan = plan_run(config, device_named(FLAGS.device, config.precision), FLAGS.devices, records=FLAGS.records)
    if FLAGS.measure:
        plan = timed_plan(config, plan, ProgressBar)
    if FLAGS.json:
        write_json(FLAGS.json, plan.to_dict())
    print("\n".join(plan_lines(plan)))
    for note in plan.notes:
        command_line.show(note)
    # Of each resolution the stage that needs most.
    largest = {level.resolution: level for level in sorted(plan.levels, key=lambda level: level.memory_gib)}
    for level in largest.values():
        if level.memory_gib <= plan.device.gib:
            continue
        print(f"{level.resolution}x{level.resolution} does not fit: {_advice(plan, level)}")


def plan_lines(plan: Plan) -> list[str]:
    memory = f"{plan.device.gib:g} GiB each" if math.isfinite(plan.device.gib) else "memory unknown"
    unit, per_day, signs, parts = ("days", 1, "dh", 24) if plan.days >= 1 else ("hours", 24, ("h", "min"), 60)
    lines = [
        f"{plan.replicas} x {plan.device.name}, {plan.device.precision}: {plan.device.tflops:g} TFLOP/s, "
        f"{plan.device.gb_per_second:g} GB/s, "
        f"{memory}, at {plan.device.share:.1%} of it ({plan.device.source})",
        f"level     images  batch  microbatches  iterations   GFLOP an image  GB an image   GiB  s/kimg   {unit:>5}",
    ]
    for level in plan.levels:
        moved = sum(work.values for work in level.passes.values()) / 1e9
        columns = (
            f"{level.resolution:5}  {level.images:9,}  {level.batch_size:5}  {level.microbatches:12}",
            f" {level.iterations:10,} {level.flops_per_image / 1e9:16,.1f}  {moved:11.3f} {level.memory_gib:5.1f}",
            f"{level.seconds_per_kimg:7.1f} {level.days * per_day:7.2f}{'  measured here' if level.measured else ''}",
        )
        lines.append(" ".join(columns))
    time = plan.days * per_day
    whole, rest = divmod(round(time * parts), parts)
    lines.append(
        f"in all {time:.2f} {unit} ({whole} {signs[0]} {rest} {signs[1]}), {time * plan.replicas:.2f} device {unit}, "
        f"{plan.exaflop:.3g} exaflop; every replica holds {plan.state_gib:.2f} GiB of weights and optimisers"
    )
    lines.append("disk: " + ", ".join(f"{name} {size:,.2f} GiB" for name, size in plan.disk_gib.items()))
    largest = plan.levels[-1]
    lines.append(f"multiply-adds an image at {largest.resolution}x{largest.resolution}, by pass:")
    total = largest.flops_per_image / 2
    for name, work in largest.passes.items():
        lines.append(f"    {name:24}{work.multiply_adds / 1e9:10,.1f} G  {work.multiply_adds / total:4.0%}")
    return lines


def _advice(plan: Plan, level) -> str:
    size = fitting_batch(plan, level)
    needed = f"it needs {level.memory_gib:.1f} GiB of {plan.device.gib:g}"
    if size is None:
        return f"{needed}, also with one image at once: take larger devices, or a smaller --fmap_max."
    return f"{needed}; --max_replica_batch={level.resolution}:{size} fits."


if __name__ == "__main__":
    command_line.run(main)
