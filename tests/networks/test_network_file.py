"""Network files: what is written comes back, and what is damaged or hostile is refused in one line."""

import io
import json
import pickle
import re
import zipfile

import numpy as np
import pytest

import stylegan_tf
from stylegan_tf.config.errors import UserError
from stylegan_tf.networks import network_file
from stylegan_tf.networks.growth import Growth
from stylegan_tf.networks.keras_model import named_variables
from stylegan_tf.networks.network_file import (
    DEMO_FILE,
    Networks,
    file_name,
    find_network,
    load_networks,
    read_architecture,
    save_networks,
)
from tests.helpers import tiny_networks as tiny


@pytest.fixture(scope="module")
def networks():
    generator, _ = tiny.generator(seed=1, label_size=3, num_channels=1)
    average, _ = tiny.generator(seed=2, label_size=3, num_channels=1)
    discriminator, _ = tiny.discriminator(seed=3, label_size=3, num_channels=1)
    return Networks(generator, discriminator, average, {"kimg": 12.5, "dataset": "demo"})


@pytest.fixture
def saved(networks, tmp_path):
    path = tmp_path / "network.npz"
    save_networks(path, networks)
    return path


def _rewrite(path, change):
    """Writes the file anew after `change(entries)` has altered them."""
    with np.load(path) as data:
        entries = {name: data[name] for name in data.files}
    if entries["architecture"].dtype.kind == "U":  # As files of earlier versions are: without a list of arrays.
        architecture = json.loads(str(entries["architecture"]))
        architecture.pop("arrays", None)
        entries["architecture"] = np.array(json.dumps(architecture))
    change(entries)
    np.savez(path, **entries)


def _change_architecture(path, change):
    def apply(entries):
        architecture = json.loads(str(entries["architecture"]))
        change(architecture)
        entries["architecture"] = np.array(json.dumps(architecture))

    _rewrite(path, apply)


def _refused(path):
    with pytest.raises(UserError) as error:
        load_networks(path)
    message = str(error.value)
    assert str(path) in message and "\n" not in message
    return message


def test_networks_that_were_saved_while_they_grew_draw_and_score_what_they_had_grown_to(tmp_path):
    growth, z, images = Growth(8, 0.25), tiny.normal(2, 5), tiny.images(2, 8)
    generator, _ = tiny.generator(resolution=16)
    discriminator, _ = tiny.discriminator(resolution=16)
    save_networks(tmp_path / "a.npz", Networks(generator, discriminator, None, {"kimg": 1}), growth=growth)
    loaded = load_networks(tmp_path / "a.npz")
    assert loaded.metadata == {"kimg": 1, "resolution": 8, "alpha": 0.25}
    save_networks(tmp_path / "b.npz", loaded._replace(metadata={"resolution": 4}))  # They say it themselves.
    for networks in (loaded, load_networks(tmp_path / "b.npz")):
        assert networks.generator.growth == networks.discriminator.growth == growth
        ws = networks.generator.broadcast(networks.generator.mapping_network(z))
        assert ws.shape == (2, 4, 7)
        expected = generator(z, noise_mode="const", resolution=8, alpha=0.25)
        tiny.assert_close(networks.generator(z, noise_mode="const"), expected, 1e-6)
        tiny.assert_close(networks.generator.synthesis(ws, noise_mode="const"), expected, 1e-6)
        at_16 = generator(z, noise_mode="const", resolution=16)
        tiny.assert_close(networks.generator(z, noise_mode="const", resolution=16), at_16, 1e-6)
        tiny.assert_close(networks.discriminator(images), discriminator(images, alpha=0.25), 1e-6)


def test_metadata_of_an_earlier_stage_do_not_overrule_a_network(networks, tmp_path):
    save_networks(tmp_path / "a.npz", networks._replace(metadata={"resolution": 4, "alpha": 1.0, "kimg": 1}))
    assert load_networks(tmp_path / "a.npz").generator.growth == Growth(8)
    parts = Networks(tiny.generator(growth=Growth(4))[0], None, tiny.generator()[0], {})
    with pytest.raises(UserError, match="generator to 4, alpha 1, generator_ema to 8, alpha 1"):
        save_networks(tmp_path / "b.npz", parts)


@pytest.mark.parametrize(
    "metadata, message",
    [
        ({"resolution": 2}, "its resolution is 2, expected one of 4, 8"),
        ({"resolution": 8.0}, "its resolution is 8.0"),
        ({"resolution": None}, "its resolution is None"),
        ({"alpha": "x"}, "its alpha is 'x', expected a number from 0 to 1"),
        ({"alpha": float("nan")}, "its alpha is nan"),
        ([1], r"metadata is \[1\]"),
    ],
)
def test_a_growth_that_cannot_be_is_refused(saved, metadata, message):
    _change_architecture(saved, lambda architecture: architecture.update(metadata=metadata))
    assert re.search(message, _refused(saved))


def test_everything_comes_back_as_it_was(networks, saved):
    loaded = load_networks(saved)
    assert loaded.metadata == {"kimg": 12.5, "dataset": "demo"}
    for part in ("generator", "discriminator", "generator_ema"):
        before, after = getattr(networks, part), getattr(loaded, part)
        assert after.config == before.config
        assert list(named_variables(after)) == list(named_variables(before))
        for name, variable in named_variables(before).items():
            np.testing.assert_array_equal(named_variables(after)[name], variable)
    z, labels = tiny.normal(2, 5), np.eye(3, dtype=np.float32)[:2]
    expected = networks.generator_ema(z, labels=labels, noise_mode="const")
    tiny.assert_close(loaded.generator_ema(z, labels=labels, noise_mode="const"), expected, 1e-6)


def test_the_package_offers_the_loader_under_its_public_name(saved):
    assert stylegan_tf.load_networks is load_networks
    with pytest.raises(AttributeError, match="load_everything"):
        stylegan_tf.load_everything  # noqa: B018


def test_a_file_may_hold_some_of_the_networks(networks, tmp_path):
    path = tmp_path / "average.npz"
    save_networks(path, Networks(None, None, networks.generator_ema, {}))
    loaded = load_networks(path)
    assert loaded.generator is None and loaded.discriminator is None
    assert loaded.best_generator is loaded.generator_ema


def test_the_average_is_the_best_generator_and_the_plain_one_comes_next(networks):
    assert networks.best_generator is networks.generator_ema
    assert networks._replace(generator_ema=None).best_generator is networks.generator
    with pytest.raises(UserError, match="no generator"):
        networks._replace(generator=None, generator_ema=None).best_generator  # noqa: B018


def test_a_network_can_be_loaded_in_another_precision(networks, saved):
    z, labels = tiny.normal(2, 5), np.eye(3, dtype=np.float32)[:2]
    rounded = load_networks(saved, precision="bfloat16").generator(z, labels=labels, noise_mode="const")
    exact = networks.generator(z, labels=labels, noise_mode="const")
    assert 1e-5 < np.abs(rounded - exact).max() < 0.2 * np.abs(exact).max()


def test_arrays_are_float32_and_named_by_network_and_variable(networks, saved):
    with np.load(saved, allow_pickle=False) as data:
        names = set(data.files) - {"architecture"}
        assert {data[name].dtype for name in names} == {np.dtype("float32")}
    assert "generator_ema/synthesis/8x8/conv0_up/weight" in names and "discriminator/4x4/dense1/bias" in names
    assert len(names) == sum(len(named_variables(network)) for network in networks[:3])


def test_a_small_file_holds_float16_which_is_read_exactly(networks, saved, tmp_path):
    small = tmp_path / "small.npz"
    save_networks(small, networks, np.float16)
    assert small.stat().st_size < 0.9 * saved.stat().st_size  # Of such tiny networks; half of larger ones.
    for before, after in zip(networks[:3], load_networks(small)[:3]):
        for name, variable in named_variables(before).items():
            rounded = variable.numpy().astype(np.float16).astype(np.float32)
            np.testing.assert_array_equal(named_variables(after)[name], rounded)


def test_demo_is_the_network_in_the_package_unless_a_run_has_that_name(networks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_network("demo") == DEMO_FILE and DEMO_FILE.is_file()
    folder = tmp_path / "demo"
    folder.mkdir()
    assert find_network("demo") == DEMO_FILE
    (folder / "flags.cfg").touch()
    with pytest.raises(UserError, match="reached its first network file"):
        find_network("demo")
    save_networks(folder / file_name(12), networks)
    assert find_network("demo").name == "network-000012.npz"


@pytest.mark.parametrize("before", [None, b"an older network"])
def test_a_save_that_fails_leaves_what_was_there(networks, tmp_path, monkeypatch, before):
    path = tmp_path / "network.npz"
    if before:
        path.write_bytes(before)

    def full_disk(stream, array, **options):
        stream.write(b"half a file")
        raise OSError("No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", full_disk)
    with pytest.raises(OSError, match="No space"):
        save_networks(path, networks)
    assert [file.name for file in tmp_path.iterdir()] == (["network.npz"] if before else [])
    assert not before or path.read_bytes() == before


def test_a_save_replaces_the_file_of_that_name(networks, saved):
    save_networks(saved, networks._replace(discriminator=None, metadata={"kimg": 13}))
    loaded = load_networks(saved)
    assert loaded.metadata == {"kimg": 13} and loaded.discriminator is None
    assert [file.name for file in saved.parent.iterdir()] == ["network.npz"]


@pytest.mark.parametrize(
    "metadata, dtype, w, message",
    [
        (None, "float32", 0, "metadata is None, not a table"),
        ({"kimg": "12"}, "float32", 0, "kimg is '12'"),
        ({"kimg": np.float32(12)}, "float32", 0, "metadata must be what JSON has.*float32"),
        ({}, "float64", 0, "dtype must be float32 or float16, got float64"),
        ({}, "float32", np.nan, "generator/truncation/w_avg holds NaN"),
        ({}, "float16", 1e5, "generator/truncation/w_avg holds .*what float16 cannot hold"),
    ],
)
def test_what_could_not_be_read_again_is_not_written(networks, saved, metadata, dtype, w, message):
    content, (generator, _) = saved.read_bytes(), tiny.generator()
    generator.truncation.w_avg.assign(np.full(7, w))
    with pytest.raises(UserError, match=f"network.npz was not written: .*{message}"):
        save_networks(saved, Networks(generator, None, None, metadata), dtype)
    with pytest.raises(UserError, match="its generator is a Discriminator"):
        save_networks(saved, Networks(networks.discriminator, generator, None, {}))
    assert saved.read_bytes() == content


class _Trap:
    """Unpickling it creates a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("name", ["architecture", "generator/truncation/w_avg", "extra"])
def test_pickled_objects_are_refused_and_never_run(saved, tmp_path, name):
    sprung = tmp_path / "sprung"
    _rewrite(saved, lambda entries: entries.update({name: np.array([_Trap(sprung)], dtype=object)}))
    assert "not a readable network file" in _refused(saved)
    assert not sprung.exists()


def test_a_pickle_in_place_of_the_file_is_refused_and_never_run(tmp_path):
    path, sprung = tmp_path / "network.npz", tmp_path / "sprung"
    path.write_bytes(pickle.dumps(_Trap(sprung)))
    _refused(path)
    assert not sprung.exists()


def test_a_truncated_file_is_refused_wherever_it_ends(saved):
    content = saved.read_bytes()
    for length in [0, 1, 3, 4, 30, *np.linspace(100, len(content) - 1, 20, dtype=int)]:
        saved.write_bytes(content[:length])
        assert "not a readable network file" in _refused(saved)


def test_a_damaged_file_is_refused_or_still_whole(networks, saved):
    content, rng = saved.read_bytes(), np.random.RandomState(0)
    ends = list(range(len(content) - 3000, len(content), 80))  # The directory of the archive.
    for position in ends + list(rng.randint(0, len(content), 20)):
        damaged = bytearray(content)
        damaged[position] ^= rng.randint(1, 256)
        saved.write_bytes(damaged)
        try:
            loaded = load_networks(saved)
        except UserError:
            continue
        for name, variable in named_variables(networks.discriminator).items():
            np.testing.assert_array_equal(named_variables(loaded.discriminator)[name], variable)


@pytest.mark.parametrize("offset, what", [(6, "version"), (8, "encryption"), (10, "compression")])
def test_an_archive_that_claims_unknown_features_is_refused(saved, offset, what):
    content = bytearray(saved.read_bytes())
    content[content.index(b"PK\x01\x02") + offset] ^= 0xFD  # First entry of the directory.
    saved.write_bytes(content)
    assert "not a readable network file" in _refused(saved)


def test_an_array_that_claims_more_than_fits_into_memory_is_refused(tmp_path):
    header = io.BytesIO()
    claim = {"descr": "<f4", "fortran_order": False, "shape": (2**50,)}
    np.lib.format.write_array_header_1_0(header, claim)
    path = tmp_path / "network.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("architecture.npy", header.getvalue() + bytes(64))
    assert "not a readable network file" in _refused(path)


def test_files_of_other_kinds_are_refused(tmp_path):
    path = tmp_path / "network.npz"
    path.write_text("a page that says 404\n" * 10)
    assert "not a readable network file" in _refused(path)
    with open(path, "wb") as stream:
        np.save(stream, np.zeros(3))
    assert "single array" in _refused(path)
    np.savez(path, weight=np.zeros(3))
    assert "no architecture entry" in _refused(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "hello")
    assert "no architecture entry" in _refused(path)


@pytest.mark.parametrize("text", ["not JSON", "[1, 2]", "3", "{}", '"text"', '{"format_version": "one"}'])
def test_an_architecture_that_is_none_is_refused(saved, text):
    _rewrite(saved, lambda entries: entries.update(architecture=np.array(text)))
    assert "not a readable network file" in _refused(saved) or "no format version" in _refused(saved)


def test_a_newer_format_is_refused(saved):
    _change_architecture(saved, lambda architecture: architecture.update(format_version=2))
    message = _refused(saved)
    assert "format version 2" in message and "up to 1" in message and "upgrade" in message


def test_an_unknown_option_is_named(saved):
    _change_architecture(saved, lambda architecture: architecture["generator"].update(use_skips=True))
    assert "use_skips" in _refused(saved)


@pytest.mark.parametrize("value", [12, "8", None, -8, [8]])
def test_an_impossible_option_is_named(saved, value):
    _change_architecture(saved, lambda architecture: architecture["generator"].update(resolution=value))
    _refused(saved)


@pytest.mark.parametrize("value", [None, 3, [], "text"])
def test_an_architecture_that_is_no_table_of_options_is_refused(saved, value):
    _change_architecture(saved, lambda architecture: architecture.update(generator=value))
    _refused(saved)


def test_a_missing_variable_is_named(saved):
    _rewrite(saved, lambda entries: entries.pop("generator/synthesis/8x8/conv1/weight"))
    assert "lacks variable 'synthesis/8x8/conv1/weight'" in _refused(saved)


def test_an_unknown_variable_is_named(saved):
    _rewrite(saved, lambda entries: entries.update({"discriminator/16x16/conv0/weight": np.zeros(3, np.float32)}))
    assert "unknown variable '16x16/conv0/weight'" in _refused(saved)


def test_a_variable_of_another_shape_is_named_with_both_shapes(saved):
    # The same number of values, and a shape that would broadcast.
    for shape in [(2, 3), (1,)]:
        values = {"discriminator/4x4/conv/bias": np.zeros(shape, np.float32)}
        _rewrite(saved, lambda entries, values=values: entries.update(values))
        message = _refused(saved)
        assert "'4x4/conv/bias'" in message and str(shape) in message and "(6,)" in message


@pytest.mark.parametrize("values", [np.array(list("abcdef")), np.arange(6), np.zeros(6), np.zeros(6, np.complex64)])
def test_a_variable_that_is_not_float32_is_named_with_its_type(saved, values):
    _rewrite(saved, lambda entries: entries.update({"discriminator/4x4/conv/bias": values}))
    assert f"'4x4/conv/bias' is {values.dtype}" in _refused(saved)


def test_a_run_folder_stands_for_its_network_of_most_images(networks, tmp_path):
    for kimg in (999.6, 90, 12.5):
        save_networks(tmp_path / file_name(kimg), networks._replace(metadata={"kimg": kimg}))
    (tmp_path / "network-final.npz").write_bytes(b"")
    (tmp_path / ".network-002000.npz.tmp").write_bytes(b"")
    assert find_network(tmp_path).name == "network-001000.npz"
    assert load_networks(str(tmp_path)).metadata == {"kimg": 999.6}


def test_networks_a_thousand_images_apart_have_names_of_their_own():
    assert [file_name(kimg) for kimg in (1.5, 2.5)] == ["network-000002.npz", "network-000003.npz"]


def test_more_than_six_digits_count_as_a_number(tmp_path):
    for name in (file_name(999999), file_name(1000000)):
        (tmp_path / name).write_bytes(b"")
    assert find_network(tmp_path).name == "network-1000000.npz"


def test_a_folder_without_networks_and_a_path_that_is_not_there_are_told_apart(tmp_path):
    assert "holds no network-NNNNNN.npz" in _refused(tmp_path)
    assert "does not exist" in _refused(tmp_path / "missing.npz")


@pytest.mark.parametrize(
    "name, value",
    [
        ("kimg", "x"), ("kimg", -1), ("kimg", float("nan")), ("resolution", 2), ("resolution", 16), ("resolution", 5.0),
        ("resolution", True), ("alpha", "x"), ("alpha", 1.5), ("alpha", float("inf")), ("content_box", [0, 0, 1]),
        ("content_box", [0, 0, float("inf"), 1]), ("content_box", [0.5, 0, 0.5, 1]), ("content_box", "0011"),
        ("mirror_augment", "no"), ("kimg", 10**400), ("aspect_ratio", 10**400), ("content_box", [0, 0, 10**400, 1]),
    ],
)  # fmt: skip
def test_metadata_that_make_no_sense_are_named(saved, name, value):
    _change_architecture(saved, lambda architecture: architecture["metadata"].update({name: value}))
    assert re.search(f"its metadata are damaged: (its )?{name} is", _refused(saved))


@pytest.mark.parametrize("value", [[1], "text", 3, None])
def test_metadata_that_are_no_table_are_refused(saved, value):
    _change_architecture(saved, lambda architecture: architecture.update(metadata=value))
    assert "metadata is" in _refused(saved)


@pytest.mark.parametrize(
    "options", [{"mapping_layers": 200000}, {"mapping_layers": 2**31 - 1}, {"latent_size": 16.5}, {"fmap_max": "8"},
                {"resolution": 2**24, "fmap_base": 2**30}, {"label_size": 2**30}]
)  # fmt: skip
def test_a_size_that_the_file_does_not_hold_is_refused_before_anything_is_built(saved, options, monkeypatch):
    monkeypatch.setattr(network_file, "Generator", None)
    monkeypatch.setattr(network_file, "Discriminator", None)
    _change_architecture(saved, lambda architecture: architecture["generator_ema"].update(options))
    _refused(saved)
    with pytest.raises(UserError):
        read_architecture(saved)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused_by_name(saved, value):
    def change(entries):
        entries["generator_ema/truncation/w_avg"][3] = value

    _rewrite(saved, change)
    assert "'generator_ema/truncation/w_avg' holds NaN or infinity" in _refused(saved)


def test_networks_that_were_exchanged_within_a_file_are_noticed(saved):
    with np.load(saved) as data:
        entries = {name: data[name] for name in data.files}
    name = "synthesis/8x8/conv1/weight"
    first, second = f"generator/{name}", f"generator_ema/{name}"
    entries[first], entries[second] = entries[second], entries[first]
    np.savez(saved, **entries)
    assert f"{first} is not what was written" in _refused(saved)


def test_files_of_others_are_named_as_what_they_are(tmp_path):
    path = tmp_path / "network.pkl"
    torch_magic = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
    cases = {
        pickle.dumps({"a": 1}): "is a pickle, not a network file: .*convert_checkpoint",
        b"\x80\x03cdnnlib.tflib.network\nNetwork\nX" + b"G_synthesis_stylegan2": "StyleGAN2",
        b"\x80\x03ctorch_utils.persistence\n_reconstruct_persistent_obj": "PyTorch code .StyleGAN2-ADA or StyleGAN3",
        torch_magic: "PyTorch's weights",
        b"\x89HDF\r\n": "HDF5",
        b"\x89PNG\r\n": "a picture",
        b"<!DOCTYPE html>": "a web page",
        b"<\0\0\0\0\0\0\0{": "safetensors",
        b"<a\0\0\0\0\0\0{": "safetensors",
    }
    for content, message in cases.items():
        path.write_bytes(content)
        with pytest.raises(UserError, match=f"network.pkl .*{message}") as caught:
            load_networks(path)
        assert "allow_pickle" not in str(caught.value)
    for member, message in {"archive/data.pkl": "PyTorch's weights", "checkpoint.npy": "a checkpoint of a run"}.items():
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(member, b"")
        with pytest.raises(UserError, match=message):
            load_networks(path)
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"")
    with pytest.raises(UserError, match="a folder of exports"):
        load_networks(tmp_path)


def test_a_run_folder_gives_its_best_or_an_earlier_network(tmp_path):
    for name in ("network-000010.npz", "network-000200.npz", "network-best.npz"):
        (tmp_path / name).write_bytes(b"x")
    names = {which: network_file.find_network(f"{tmp_path}@{which}").name for which in ("best", "newest", "10", "199")}
    assert names == {
        "best": "network-best.npz",
        "newest": "network-000200.npz",
        "10": "network-000010.npz",
        "199": "network-000010.npz",
    }
    assert network_file.find_network(tmp_path).name == "network-000200.npz"
    for which in ("9", "worst", "9" * 5000):
        with pytest.raises(UserError, match="give best, newest, or a number of thousand images from 10 on"):
            network_file.find_network(f"{tmp_path}@{which}")
    (tmp_path / "network-best.npz").unlink()
    with pytest.raises(UserError, match="only a run with `keep_best` writes one"):
        network_file.find_network(f"{tmp_path}@best")
