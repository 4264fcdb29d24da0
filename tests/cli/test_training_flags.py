"""Flags -> TrainConfig -> flag file -> the same TrainConfig."""

import dataclasses
from collections.abc import Mapping
from typing import Optional

import pytest
from absl import flags

from stylegan_tf import config
from stylegan_tf.cli import flags as cli_flags
from stylegan_tf.cli import training_flags
from stylegan_tf.cli.flag_files import place_of
from stylegan_tf.config.errors import UserError
from stylegan_tf.config.option import GROUPS, Options, option, option_fields, value_text, value_type
from stylegan_tf.files.storage import Store
from stylegan_tf.training.run.record import write_flag_file


@pytest.fixture
def parse():
    """Parses flags afresh; puts the defaults back afterwards."""

    def parse_arguments(*arguments):
        flags.FLAGS.unparse_flags()
        for name in training_flags.OPTIONS:
            flags.FLAGS[name].unparse()
        flags.FLAGS(["train", *arguments])
        return training_flags.train_config_from_flags()

    yield parse_arguments
    flags.FLAGS.unparse_flags()


FOLDERS = ("--data_dir=d", "--run_dir=r")
SCHEDULE = {field.name: field for field in option_fields(config.ScheduleConfig)}


def test_without_flags_every_option_is_the_dataclass_default(parse):
    parsed = parse(*FOLDERS)
    expected = config.TrainConfig(data_dir="d", run_dir="r")
    assert parsed.schedule == expected.schedule and parsed.losses == expected.losses
    assert parsed.network_configs(1024, 3) == (config.GeneratorConfig(), config.DiscriminatorConfig())
    placeholders = {"generator": expected.generator, "discriminator": expected.discriminator}
    assert dataclasses.replace(parsed, **placeholders) == expected


def test_every_option_has_a_flag_with_its_default_kind_and_help():
    parts = (config.ScheduleConfig, config.LossConfig, config.GeneratorConfig, config.DiscriminatorConfig)
    options = {field.name: field for part in (*parts, config.TrainConfig) for field in dataclasses.fields(part)}
    for name in ("num_channels", "label_size", "generator", "discriminator", "schedule", "losses"):
        del options[name]  # From the dataset, or nested.
    for name, field in options.items():
        flag, option = flags.FLAGS[name], field.metadata["option"]
        assert option.group in GROUPS and option.help in flag.help
        assert flag.default == (None if field.default is dataclasses.MISSING else field.default)
        assert type(flag.default) in (type(None), value_type(field))


def test_a_new_option_needs_its_field_only(monkeypatch):
    @dataclasses.dataclass(frozen=True)
    class NewConfig(Options):
        new_share: float = option(0.5, "Share of what is new.", at_least=0, at_most=1)
        new_sizes: Optional[Mapping[int, int]] = option(None, "Sizes by resolution.", above=0)

    holder = flags.FlagValues()
    for field in option_fields(NewConfig):
        cli_flags.define_option(field, holder)
    holder(["train", "--new_share=2", "--new_sizes=8:1"])
    monkeypatch.setattr(cli_flags, "FLAGS", holder)
    with pytest.raises(UserError, match="new_share must be at least 0 and at most 1, got 2"):
        cli_flags.read_options(NewConfig)
    holder["new_share"].value = 1
    assert cli_flags.read_options(NewConfig) == NewConfig(1, {8: 1})


def test_flags_reach_the_part_they_belong_to(parse):
    parsed = parse(*FOLDERS, "--batch_sizes=8:16,32:8", "--r1_gamma=5", "--nouse_noise", "--fmap_max=16", "--seed=7")
    assert parsed.schedule.batch_sizes == {8: 16, 32: 8}
    assert parsed.losses.r1_gamma == 5.0
    assert parsed.generator.use_noise is False
    assert parsed.generator.fmap_max == parsed.discriminator.fmap_max == 16
    assert parsed.seed == 7


def test_the_flag_file_replays_the_run(parse, tmp_path):
    arguments = ["--batch_sizes=16", "--learning_rates=8:0.002", "--mirror_augment", "--nouse_noise", "--total_kimg=60"]
    first = parse(*FOLDERS, *arguments, "--batch_growth=4:2", "--resolution=32", "--strategy=one", "--fmap_base=64")
    write_flag_file(tmp_path / "flags.cfg", first)
    lines = (tmp_path / "flags.cfg").read_text().splitlines()
    assert parse(f"--flagfile={tmp_path / 'flags.cfg'}") == first
    assert {
        "--batch_sizes=16",
        "--batch_growth=4:2",
        "--mirror_augment=true",
        "--use_noise=false",
        "--total_kimg=60.0",
    } <= set(lines)
    assert len(lines) == 12  # The comment, two folders and nine flags; nothing that is at its default.
    assert [path.name for path in tmp_path.iterdir()] == ["flags.cfg"]


def test_the_place_of_a_wrong_value_may_be_the_flag_file_of_the_run(parse, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "images-8.npz").touch()
    (tmp_path / "flags.cfg").write_text("# A run.\n--total_kimg=-5\n")
    with pytest.raises(UserError, match="total_kimg must be at least"):
        parse("--data_dir=d", f"--run_dir={tmp_path}")
    assert place_of("total_kimg") == f"{tmp_path / 'flags.cfg'}, line 2"


@pytest.mark.parametrize(
    "text, table",
    [("8:128,16:64", {8: 128, 16: 64}), ("32", {4: 32}), (None, None), ("", None)],
)
def test_a_table_is_pairs_or_one_number(text, table):
    assert cli_flags.parse_table(SCHEDULE["batch_sizes"], text) == table


@pytest.mark.parametrize(
    "text, message",
    [
        ("8:128;16:64", "batch_sizes must be whole numbers .* '8:128;16:64'"),
        ("8:1.5", "batch_sizes must be whole numbers .* '8:1.5'"),
        ("many", "batch_sizes must be whole numbers .* 'many' is neither"),
        (",", "batch_sizes must be whole numbers .* ',' is neither"),
        ("8:1,8:2", "batch_sizes gives two values for resolution 8"),
    ],
)
def test_a_wrong_table_names_flag_and_entry(text, message):
    with pytest.raises(UserError, match=message):
        cli_flags.parse_table(SCHEDULE["batch_sizes"], text)


@pytest.mark.parametrize(
    "text, message",
    [
        ("2", "batch_growth must be whole numbers by kimg, like `batch_growth=60:2,140:4`; '2' is not"),
        ("60:2,140:x", "batch_growth must be whole numbers by kimg, .* '140:x' is not"),
        ("60:2,60.0:4", "batch_growth gives two values for kimg 60.0"),
    ],
)
def test_a_table_by_images_is_pairs_only(text, message):
    for table in ({0.5: 2, 140: 4}, {4: 2}, {10000.125: 2, 1234567.5: 4, 1e-7: 3, 1e21: 5}):
        assert cli_flags.parse_table(SCHEDULE["batch_growth"], value_text(table, "kimg")) == table
    with pytest.raises(UserError, match=message):
        cli_flags.parse_table(SCHEDULE["batch_growth"], text)


@pytest.mark.parametrize(
    "argument, message",
    [
        ("--data_dir=", "data_dir is missing"),
        ("--run_dir=", "run_dir is missing"),
        ("--resolution=48", "resolution must be a power of two .* got 48"),
        ("--total_kimg=0.0009", "total_kimg must be at least 0.001"),  # Less than an image.
        ("--total_kimg=nan", "total_kimg must be at least 0.001"),
        ("--total_kimg=inf", "total_kimg must be at least 0.001 and at most 1000000000, got inf"),
        ("--truncation_psi=nan", "truncation_psi must be at least -1000.* got nan"),
        ("--truncation_psi=-1001", "truncation_psi must be at least -1000.* got -1001"),
        ("--r1_gamma=inf", "r1_gamma must be a finite number"),
        ("--learning_rate=1e39", "learning_rate must be a finite number that float32 can hold, got 1e"),
        ("--learning_rates=8:nan", "learning_rates: the value at 8 must be above 0, got nan"),
        ("--tick_kimg=inf", "tick_kimg: the value at 4 must be above 0 and at most 1000000000, got inf"),
        ("--grid_rows=2147483648", "grid_rows must be at most 2147483647, got 2147483648"),
        ("--seed=-1", "seed must be at least 0"),
        ("--seed=4294967296", "seed must be at least 0 and below 4294967296, got 4294967296"),
        ("--shuffle_images=0", "shuffle_images must be at least 1"),
        ("--start_resolution=6", "start_resolution must be a power of two"),
        ("--training_kimg=-1", "training_kimg must be at least 0"),
        ("--batch_sizes=6:8", "batch_sizes: resolutions must be powers of two .* got 6"),
        ("--batch_growth=0:2", "batch_growth: thousands of images must be above 0, got 0"),
        ("--batch_growth=nan:2", "batch_growth: thousands of images must be above 0, got nan"),
        ("--batch_growth=60:0", "batch_growth: the value at 60.0 must be at least 1, got 0"),
        ("--batch_sizes=0", "batch_sizes: the value at 4 must be above 0"),
        ("--batch_sizes=1" + 400 * "0", "batch_sizes: the value at 4 must be at most 2147483647, got 1000"),
        ("--learning_rate=0", "learning_rate must be above 0"),
        ("--r1_gamma=-1", "r1_gamma must be at least 0"),
        ("--gp_target=0", "gp_target must be above 0"),
        ("--wgan_drift=0.001", "wgan_drift needs `discriminator_loss` wgan, got logistic"),
        ("--adam_beta2=1", "adam_beta2 must be at least 0 and below 1, got 1"),
        ("--style_mixing_prob=2", "style_mixing_prob must be at least 0 and at most 1, got 2"),
        ("--keep_checkpoints=0", "keep_checkpoints must be at least 1"),
        ("--fmap_base=1", "fmap_base 1 leaves no channels"),
        ("--mapping_layers=-1", "mapping_layers must be at least 0"),
        ("--mbstd_group_size=-4", "mbstd_group_size must be at least 0"),
        ("--grid_planes=0,1", "grid_planes takes one or three numbers of planes, like 0,3,4, got 0,1"),
        ("--freeze_d=1", "freeze_d would freeze random weights: give `init_from`"),
        ("--nouse_styles", "const_input needs `use_styles`"),
    ],
)
def test_every_wrong_value_names_its_flag(parse, argument, message):
    with pytest.raises(UserError, match=message):
        parse(*FOLDERS, argument)


def test_the_networks_take_their_shape_from_the_data_set():
    run = config.TrainConfig(data_dir="d", run_dir="r", resolution=16)
    generator, discriminator = run.network_configs(64, 1, label_size=5)
    for network in (generator, discriminator):
        assert (network.resolution, network.num_channels, network.label_size) == (16, 1, 0)
    conditional = dataclasses.replace(run, conditional=True, resolution=None)
    assert [network.label_size for network in conditional.network_configs(64, 1, label_size=5)] == [5, 5]


def test_a_run_that_the_data_set_cannot_feed_is_refused():
    with pytest.raises(UserError, match="resolution 64 is above the 32 of the dataset in d"):
        config.TrainConfig(data_dir="d", run_dir="r", resolution=64).network_configs(32, 3)
    with pytest.raises(UserError, match="conditional needs labels"):
        config.TrainConfig(data_dir="d", run_dir="r", conditional=True).network_configs(32, 3)


def _begin(run_dir, text):
    (run_dir / "checkpoints").mkdir(parents=True)
    (run_dir / "checkpoints" / "images-32.npz").touch()
    (run_dir / "flags.cfg").write_text(text)


def test_an_existing_run_gives_the_flags_that_nobody_has_set(parse, tmp_path):
    _begin(tmp_path / "run", "--data_dir=d\n--run_dir=old\n--seed=7\n--learning_rate=0.002\n--use_noise=false\n")
    run = parse(f"--run_dir={tmp_path / 'run'}", "--learning_rate=0.005")
    assert (run.data_dir, run.run_dir) == ("d", str(tmp_path / "run"))
    assert (run.seed, run.schedule.learning_rate, run.generator.use_noise) == (7, 0.005, False)


def test_what_speaks_of_half_precision_is_not_taken_over_where_the_run_goes_on_without(parse, tmp_path):
    _begin(tmp_path, "--data_dir=d\n--precision=bfloat16\n--half_precision_levels=2\n")
    assert parse(f"--run_dir={tmp_path}").half_precision_levels == 2
    assert parse(f"--run_dir={tmp_path}", "--precision=float32").half_precision_levels is None


def test_what_speaks_of_ada_is_not_taken_over_where_the_run_goes_on_with_another_augmentation(parse, tmp_path):
    _begin(tmp_path, "--data_dir=d\n--augment=ada\n--augment_p=0.5\n--augment_cutout=true\n")
    assert (parse(f"--run_dir={tmp_path}").augment_p, parse(f"--run_dir={tmp_path}").augment_cutout) == (0.5, True)
    run = parse(f"--run_dir={tmp_path}", "--augment=none")
    assert (run.augment_p, run.augment_cutout) == (None, False)
    with pytest.raises(UserError, match="augment_p needs `augment` ada, got none"):
        parse(f"--run_dir={tmp_path}", "--augment=none", "--augment_p=0.5")


def test_an_empty_flag_leaves_out_what_the_run_began_with(parse, tmp_path):
    _begin(tmp_path, "--data_dir=d\n--augment=ada\n--augment_p=0.5\n--keep_networks=3\n--learning_rate=0.002\n")
    resumed = parse(f"--run_dir={tmp_path}")
    assert (resumed.augment_p, resumed.keep_networks, resumed.schedule.learning_rate) == (0.5, 3, 0.002)
    run = parse(f"--run_dir={tmp_path}", "--augment_p=", "--keep_networks=", "--learning_rate=")
    assert (run.augment_p, run.keep_networks, run.schedule.learning_rate) == (None, None, None)


@pytest.mark.parametrize(
    "arguments", [["--metrics="], ["--metrics=kid5k"], ["--keep_best="], ["--keep_best=", "--patience="]]
)
def test_the_best_network_is_kept_no_longer_where_its_metric_is_gone(parse, tmp_path, arguments):
    _begin(tmp_path, "--data_dir=d\n--metrics=fid5k, kid5k\n--keep_best=kid5k\n--patience=3\n")
    assert (parse(f"--run_dir={tmp_path}").keep_best, parse(f"--run_dir={tmp_path}").patience) == ("kid5k", 3)
    _begin(tmp_path / "fid", "--data_dir=d\n--metrics=fid5k\n--keep_best=fid5k\n--patience=3\n")
    run = parse(f"--run_dir={tmp_path / 'fid'}", *arguments)
    assert (run.keep_best or None, run.patience) == (None, None)


@pytest.mark.parametrize("argument", ["--seed=", "--ema_kimg=", "--augment_p=half", "--keep_networks=1.5"])
def test_only_an_optional_number_may_be_empty(parse, argument):
    with pytest.raises(flags.Error, match=f"flag {argument}"):
        parse(*FOLDERS, argument)


def test_a_folder_without_checkpoints_gives_no_flags(parse, tmp_path):
    (tmp_path / "flags.cfg").write_text("--data_dir=d\n--seed=7\n")
    with pytest.raises(UserError, match="data_dir is missing"):
        parse(f"--run_dir={tmp_path}")


def test_flags_of_an_existing_run_that_cannot_be_read_are_named(parse, tmp_path):
    _begin(tmp_path, "--data_dir=d\n--no_such_flag=1\n")
    with pytest.raises(UserError, match="cannot resume with the flags in .*flags.cfg.*no_such_flag"):
        parse(f"--run_dir={tmp_path}")


@pytest.mark.parametrize("in_a_bucket", [False, True])
def test_init_from_is_not_read_when_a_run_goes_on(parse, tmp_path, in_a_bucket):
    _begin(tmp_path, "--data_dir=d\n--init_from=gone.npz\n--seed=7\n")
    run_dir = "memory://resumed_by_flags" if in_a_bucket else tmp_path
    for name in ("flags.cfg", "checkpoints/images-32.npz") if in_a_bucket else ():
        with pytest.raises(UserError, match="data_dir is missing"):
            parse(f"--run_dir={run_dir}")
        Store(run_dir).put(tmp_path / name, name)
    run = parse(f"--run_dir={run_dir}")
    assert (run.data_dir, run.init_from, run.seed) == ("d", "gone.npz", 7)
