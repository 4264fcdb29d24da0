"""The restricted reader of the authors' pickles: what it reads, and what it must refuse without running it.

Valid files are written by Python's own pickler with stand-ins under the authors' class names, so that they have the
opcodes of real files. `test_*_is_refused_and_not_run` first show that nothing of the file ran, then that
Python's `pickle.loads` does run it: the payload is a real one.
"""

import ast
import contextlib
import os
import pickle
import struct
import subprocess
import sys
import tracemalloc
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest

from stylegan_tf.config.errors import UserError
from stylegan_tf.files import pickle_machine, torch_weights
from stylegan_tf.networks.conversion import network_pickle
from stylegan_tf.networks.conversion.network_pickle import read_network_pickle
from tests.helpers.authors_pickles import (
    Calls,
    EasyDict,
    Global,
    Network,
    ProganNetwork,
    array,
    generator,
    network,
    pickled,
)
from tests.helpers.refused_bytes import reading

PROTOCOLS = [2, 3, 4, 5]
CORES = ["numpy.core", "numpy._core"]
read, refusal = reading(read_network_pickle, "network.pkl")


# ---- What is read


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_networks_are_read_from_every_protocol_and_numpy_spelling(tmp_path, protocol, core):
    discriminator = network(name="D", build_func_name="D_basic")
    g, d = read(tmp_path, pickled((generator(), discriminator), protocol, core))
    assert (g.name, g.version, g.build_function, g.static_kwargs) == ("G", 3, "G_style", {"resolution": 4})
    assert (d.name, d.build_function, d.components) == ("D", "D_basic", {})
    assert list(g.components) == ["mapping", "synthesis"] and g.components["mapping"].build_function == "G_mapping"
    expected = {
        "lod": np.float32(2.5),
        "dlatent_avg": array(3),
        "G_mapping/lod": np.float32(2.5),
        "G_mapping/Dense0/weight": array(3, 2),
        "G_synthesis/lod": np.float32(2.5),
        "G_synthesis/4x4/Const/const": array(1, 2, 4, 4),
    }
    variables = g.all_variables()
    assert list(variables) == list(expected)
    for name, value in expected.items():
        assert variables[name].dtype == np.float32 and variables[name].shape == value.shape, name
        np.testing.assert_array_equal(variables[name], value)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_progan_networks_have_no_components(tmp_path, protocol):
    value = network(kind=ProganNetwork, version=2, components=None, build_func_name="networks.G_paper")
    (g,) = read(tmp_path, pickled(value, protocol))
    assert (g.version, g.build_function, g.components, g.variables["lod"]) == (2, "G_paper", {}, 2.5)


def test_a_file_of_python_2_is_read(tmp_path):
    # Written by cPickle of Python 2.7 (protocol 2) with stand-ins for the classes of `tfutil` and NumPy.
    data = (
        b"\x80\x02ctfutil\nNetwork\nq\x01)\x81q\x02}q\x03(U\x07versionq\x04K\x02U\x04nameq\x05U\x01DU\rstatic_kwargsq"
        b"\x06cconfig\nEasyDict\nq\x07)\x81q\x08(U\x06kernelq\t]q\n(K\x01G@\x04\x00\x00\x00\x00\x00\x00NeU\x04seedq"
        b"\x0bI1099511627776\nU\x05fusedq\x0c\x88U\x05dtypeq\rU\x07float32q\x0eU\nlabel_sizeq\x0fK\x00U\nresolutionq"
        b"\x10K\x04u}q\x11bU\tvariablesq\x12]q\x13(U\x03lodq\x14cnumpy.core.multiarray\n_reconstruct\nq\x15cnumpy\n"
        b"ndarray\nq\x16K\x00\x85q\x17U\x01b\x87Rq\x18(K\x01)cnumpy\ndtype\nq\x19U\x02f4q\x1aK\x00K\x01\x87Rq\x1b(K"
        b"\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x1cb\x89U\x04\x00\x00\xc0?q\x1dtb\x86q\x1eU\x0c"
        b'Dense/weightq\x1fh\x15h\x16h\x17U\x01b\x87Rq (K\x01K\x02K\x03\x86q!h\x19h\x1aK\x00K\x01\x87Rq"h\x1cb\x89U'
        b"\x18\x00\x00\x00\x00\x00\x00\x80\xbf\x00\x00HC\x00\x00@@\x00\x00\x80@\x00\x00\xa0@q#tb\x86q$eU\x10"
        b"build_module_srcq%U\x02#\xe9q&U\x0fbuild_func_nameq'U\x10networks.D_paperq(ub."
    )
    (d,) = read(tmp_path, data)
    assert (d.name, d.version, d.build_function) == ("D", 2, "D_paper")
    assert d.static_kwargs == {
        "resolution": 4,
        "label_size": 0,
        "dtype": "float32",
        "seed": 2**40,
        "fused": True,
        "kernel": [1, 2.5, None],
    }
    assert d.variables["lod"].shape == () and d.variables["lod"] == 1.5
    np.testing.assert_array_equal(d.variables["Dense/weight"], np.float32([[0, -1, 200], [3, 4, 5]]))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_static_arguments_are_plain_values(tmp_path, protocol):
    kwargs = EasyDict(
        none=None,
        yes=True,
        text="G_\xe9",
        big=2**40,
        real=0.1,
        nested=EasyDict(shape=(1, [2])),
        count=np.int64(7),
        fraction=np.float64(0.1),
        kernel=np.array([1, 2]),
        flag=np.bool_(True),
    )
    (g,) = read(tmp_path, pickled([network(static_kwargs=kwargs)], protocol))
    assert g.static_kwargs == {
        "none": None,
        "yes": True,
        "text": "G_\xe9",
        "big": 2**40,
        "real": 0.1,
        "nested": {"shape": [1, [2]]},
        "count": 7,
        "fraction": 0.1,
        "kernel": [1, 2],
        "flag": True,
    }
    assert type(g.static_kwargs["nested"]) is dict and type(g.static_kwargs["count"]) is int


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "stored",
    [
        array(4, 3).astype(">f4"),
        array(4, 3).astype(np.float64),
        array(4, 3).astype(np.float16),
        np.asfortranarray(array(4, 3)),
        array(2, 3, 4).transpose(1, 2, 0),
        array(2, 3, 4).transpose(1, 0, 2),
        np.arange(6, dtype=">i2").reshape(2, 3),
        np.arange(6, dtype=np.int64),
        np.uint8([[200]]),
        np.float64(0.5),
    ],
    ids=lambda stored: f"{stored.dtype.str}-{'x'.join(map(str, stored.shape))}",
)
def test_variables_become_float32_or_integers_in_row_order(tmp_path, stored, protocol):
    (g,) = read(tmp_path, pickled(network([("x", stored)]), protocol))
    loaded = g.variables["x"]
    assert loaded.dtype == (np.float32 if stored.dtype.kind == "f" else stored.dtype.newbyteorder("="))
    assert loaded.shape == stored.shape and loaded.flags.c_contiguous and loaded.dtype.isnative
    np.testing.assert_array_equal(loaded, stored.astype(loaded.dtype))


def test_results_cannot_be_changed(tmp_path):
    (g,) = read(tmp_path, pickled(generator()))
    with pytest.raises(ValueError, match="read-only"):
        g.variables["dlatent_avg"][0] = 1
    with pytest.raises(FrozenInstanceError):
        g.name = "D"


def test_a_network_that_the_file_mentions_twice_is_read_twice(tmp_path):
    g = generator()
    first, second = read(tmp_path, pickled((g, g)))
    assert first.all_variables().keys() == second.all_variables().keys()
    assert first.variables["dlatent_avg"] is second.variables["dlatent_avg"]


@pytest.mark.parametrize("name", ["config_a", "config_b", "config_f", "conditional", "fused_256"])
def test_reference_pickles_hold_the_arrays_of_the_npz_of_their_name(reference, name):
    expected = np.load(reference / f"{name}.npz", allow_pickle=False)
    networks = read_network_pickle(reference / f"{name}.pkl")
    assert [network.name for network in networks] == ["G", "D", "Gs"]
    found = {
        f"var/{network.name}/{variable}": value
        for network in networks[:2]
        for variable, value in network.all_variables().items()
    }
    assert sorted(found) == sorted(key for key in expected if key.startswith("var/"))
    for key, value in found.items():
        assert value.dtype == expected[key].dtype and value.shape == expected[key].shape, key
        np.testing.assert_array_equal(value, expected[key], err_msg=key)
    assert networks[2].all_variables().keys() == networks[0].all_variables().keys()


# ---- What must not run


def payloads(marker):
    """Things that create the file `marker` when Python's own pickle loads them."""
    code = f"open({str(marker)!r}, 'w').close()"
    touch = f"touch {marker}"
    return {
        "os.system": Calls(os.system, touch),
        "eval": Calls(eval, code),
        "exec": Calls(exec, code),
        "popen": Calls(subprocess.check_call, ["touch", str(marker)]),
        "getattr chain": Calls(Calls(getattr, Calls(__import__, "os"), "system"), touch),
        "open": Calls(Global("io", "open"), str(marker), "w"),
        "map of exec": Calls(list, Calls(map, exec, [code])),
    }


@pytest.mark.parametrize("place", ["alone", "list", "variable", "static_kwargs", "source", "component", "dtype"])
@pytest.mark.parametrize("name", list(payloads("")))
def test_a_payload_is_refused_and_not_run(tmp_path, name, place, monkeypatch):
    marker = tmp_path / "marker"
    evil = payloads(marker)[name]
    value = {
        "alone": lambda: evil,
        "list": lambda: [network(), evil],
        "variable": lambda: network([("x", evil)]),
        "static_kwargs": lambda: network(static_kwargs={"x": evil}),
        "source": lambda: network(build_module_src=evil),
        "component": lambda: network(components={"x": evil}),
        "dtype": lambda: network([("x", Calls(np.dtype, evil))]),
    }[place]()
    for protocol in (2, 4):
        message = refusal(tmp_path, pickled(value, protocol))
        assert "which no network pickle needs" in message and "nothing in it was run" in message
        assert not marker.exists()
    with monkeypatch.context() as context:
        for module in {Network.written_as[0], EasyDict.written_as[0]}:
            context.setitem(sys.modules, module, sys.modules[__name__])
        for parent in ("dnnlib", "dnnlib.tflib"):
            context.setitem(sys.modules, parent, sys.modules[__name__])
        with contextlib.suppress(TypeError):  # numpy.dtype(0): after the payload
            pickle.loads(pickled(value, 4, CORES[np.__version__ >= "2"]))
    assert marker.exists()


@pytest.mark.parametrize(
    "module, name",
    [
        ("dnnlib.tflib.network", "Network.__init__"),
        ("dnnlib.tflib.network", "Network.__class__.__base__"),
        ("dnnlib.tflib.network", "network"),
        ("dnnlib.tflib.network ", "Network"),
        ("numpy", "dtype.type"),
        ("numpy", "memmap"),
        ("numpy", "load"),
        ("numpy.core.multiarray", "fromfile"),
        ("numpy.core.multiarray", "array"),
        ("builtins", "bytes"),
        ("torch._utils", "_rebuild_tensor_v2"),
        ("stylegan_tf.files.pickle_machine", "Call"),
        ("", ""),
        ("copyreg", "_reconstructor"),
        ("x\x1b[2J\r\n", "y" * 5000),
    ],
)
def test_only_exact_names_are_known(tmp_path, module, name):
    assert "which no network pickle needs" in refusal(tmp_path, pickled(network([("x", Global(module, name))])))


def test_names_that_are_not_text_are_refused(tmp_path):
    for first, second in ((b"K\x01", text("x")), (text("os"), b"N"), (b")", b")"), (b"]", b"}")):
        assert "requires str" in refusal(tmp_path, program(first + second + b"\x93"))


RECONSTRUCT, FROMBUFFER, SCALAR, NDARRAY = (
    Global("numpy.core.multiarray", "_reconstruct"),
    Global("numpy.core.numeric", "_frombuffer"),
    Global("numpy.core.multiarray", "scalar"),
    Global("numpy", "ndarray"),
)
F4, OBJECTS, FOUR = np.dtype("f4"), np.dtype("O"), b"1234"


def reconstructed(state, kind=NDARRAY):
    return Calls(RECONSTRUCT, kind, (0,), b"b", state=state)


def of_dtype(*state, code="f4"):
    return Calls(FROMBUFFER, FOUR, Calls(np.dtype, code, False, True, state=state), (1,), "C")


def test_the_constructors_below_are_right_but_for_one_thing(tmp_path):
    for value in (
        reconstructed((1, (1,), F4, False, FOUR)),
        Calls(FROMBUFFER, FOUR, F4, (1,), "C"),
        Calls(FROMBUFFER, FOUR, F4, (1,), "K", (0,)),
        of_dtype(3, "<", None, None, None, -1, -1, 0),
    ):
        (g,) = read(tmp_path, pickled(network([("x", value)])))
        assert g.variables["x"].tobytes() == FOUR and g.variables["x"].shape == (1,)
    (g,) = read(tmp_path, pickled(network([("x", Calls(SCALAR, F4, FOUR))])))
    assert g.variables["x"].tobytes() == FOUR and g.variables["x"].shape == ()


@pytest.mark.parametrize(
    "message, values",
    {
        "expected plain numbers": [
            np.array([None]),
            np.array(["text"]),
            np.array([1j]),
            np.array([b"x"]),
            np.zeros(1, [("a", "f4")]),
            np.zeros(1, [("a", "O")]),
            np.array(["2019"], "M8[Y]"),
            Calls(FROMBUFFER, FOUR * 2, OBJECTS, (1,), "C"),
            Calls(SCALAR, OBJECTS, FOUR * 2),
            reconstructed((1, (1,), OBJECTS, False, [None])),
            of_dtype(3, "|", None, None, None, -1, -1, 63, code="O"),
        ],
        "no valid shape": [
            Calls(FROMBUFFER, FOUR, F4, (0,), "C"),
            Calls(FROMBUFFER, FOUR, F4, [1], "C"),
            Calls(FROMBUFFER, FOUR, F4, (True,), "C"),
            Calls(FROMBUFFER, FOUR, F4, (-1,), "C"),
            Calls(FROMBUFFER, FOUR, F4, (1.0,), "C"),
            Calls(FROMBUFFER, FOUR, F4, (1,) * 9, "C"),
            Calls(FROMBUFFER, FOUR, F4, 1, "C"),
        ],
        "which no network pickle needs": [
            np.ma.array([1.0]),
            reconstructed((1, (1,), F4, False, FOUR), Global("numpy", "memmap")),
        ],
        "an array of an unknown class": [
            reconstructed((1, (1,), F4, False, FOUR), Global("numpy", "dtype")),
            Calls(RECONSTRUCT),
            reconstructed((1, (1,), F4, False, FOUR), network()),
            Calls(RECONSTRUCT, NDARRAY, (0,)),
        ],
        "expected an array of numbers": [
            1.5,
            "text",
            b"text",
            None,
            [1.5],
            {},
            (),
            F4,
            NDARRAY,
            RECONSTRUCT,
            network(),
        ],
        "expected float or integer": [np.bool_(True), np.array([True])],
        "that no network pickle needs": [Calls(NDARRAY, (1,)), Calls(NDARRAY, (1,), F4, FOUR)],
        "no valid buffer": [Calls(FROMBUFFER), Calls(FROMBUFFER, FOUR, F4, (1,)), Calls(FROMBUFFER, *[FOUR] * 6)],
        "not a valid number": [Calls(SCALAR), Calls(SCALAR, F4), Calls(SCALAR, F4, FOUR, FOUR)],
        "unknown order of axes": [
            Calls(FROMBUFFER, FOUR, F4, (1,), "A"),
            Calls(FROMBUFFER, FOUR, F4, (1,), []),
            Calls(FROMBUFFER, FOUR, F4, (1,), "K"),
            Calls(FROMBUFFER, FOUR, F4, (1,), "C", (0,)),
            Calls(FROMBUFFER, FOUR, F4, (1,), "K", (1,)),
            Calls(FROMBUFFER, FOUR, F4, (1,), "K", ("0",)),
            Calls(FROMBUFFER, FOUR, F4, (1,), "K", 0),
            Calls(FROMBUFFER, FOUR, F4, (1, 1), "K", (0, 0)),
            Calls(FROMBUFFER, FOUR, F4, (1, 1), "K", (-1, 0)),
            Calls(FROMBUFFER, FOUR, F4, (1,), "K", (True,)),
        ],
        "no valid data type": [
            Calls(FROMBUFFER, FOUR, "f4", (1,), "C"),
            Calls(FROMBUFFER, FOUR, None, (1,), "C"),
            Calls(FROMBUFFER, FOUR, Calls(np.dtype), (1,), "C"),
            Calls(FROMBUFFER, FOUR, Calls(np.dtype, F4), (1,), "C"),
        ],
        "a data type that is not that of plain numbers": [
            of_dtype(3, "<", None, None, None, -1, -1),
            of_dtype(3, "<", (F4, (1,)), None, None, -1, -1, 0),
            of_dtype(3, "<", None, ("a",), None, -1, -1, 0),
            of_dtype(3, "<", None, None, {}, -1, -1, 0),
            Calls(FROMBUFFER, FOUR, Calls(np.dtype, "f4"), (1,), "C"),
            Calls(FROMBUFFER, FOUR, Calls(np.dtype, "f4", state={}), (1,), "C"),
        ],
        "unknown byte order": [
            of_dtype(3, order, None, None, None, -1, -1, 0) for order in ("=", "|", "", "<>", 1, [])
        ],
        "no valid state of an array": [
            reconstructed(state)
            for state in (
                (2, (1,), F4, False, FOUR),
                ((1,), F4, False, FOUR),
                (1, (1,), F4, [], FOUR),
                (),
                [],
                {},
                {"array": 1},
                (None, {"array": 1}),
                FOUR,
            )
        ]
        + [Calls(RECONSTRUCT, NDARRAY, (0,), b"b")],
        "expected bytes": [
            reconstructed((1, (1,), F4, False, [1.0])),
            Calls(FROMBUFFER, [1], F4, (1,), "C"),
            Calls(FROMBUFFER, np.float32(1), F4, (1,), "C"),
            Calls(SCALAR, F4, None),
        ],
        "needs 4 bytes": [
            Calls(FROMBUFFER, FOUR * 2, F4, (1,), "C"),
            Calls(SCALAR, F4, b"123"),
            reconstructed((1, (1,), F4, False, b"12345")),
        ],
        "not latin1": [
            Calls(FROMBUFFER, "\u0100bcd", F4, (1,), "C"),
            Calls(FROMBUFFER, Calls(Global("_codecs", "encode"), "abcd", "rot13"), F4, (1,), "C"),
            Calls(FROMBUFFER, Calls(Global("_codecs", "encode"), "abcd", ["latin1"]), F4, (1,), "C"),
        ],
    }.items(),
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_numpy_constructors_make_only_plain_arrays(tmp_path, message, values):
    for value in values:
        for protocol in (2, 4):
            assert message in refusal(tmp_path, pickled(network([("x", value)]), protocol))


def test_calls_of_anything_but_the_constructors_are_refused(tmp_path):
    for opcodes in (
        known("numpy", "ndarray") + b")R",
        known("dnnlib.tflib.network", "Network") + b")R",
        known("numpy", "dtype") + b")\x81",
        text("print") + b")R",
        b"N)R",
        b"])R",
        b"K\x01)\x81",
        known("numpy", "dtype") + b"]R",
        known("dnnlib.tflib.network", "Network") + b")\x81)R",
    ):
        assert "a call of" in refusal(tmp_path, program(opcodes))
    for opcodes in (
        known("dnnlib.tflib.network", "Network") + b"K\x01\x85\x81",
        known("dnnlib.util", "EasyDict") + b"}\x85R",
        known("collections", "OrderedDict") + b"]\x85\x81",
    ):
        assert "made with arguments" in refusal(tmp_path, program(opcodes))


def test_state_can_only_be_given_once_and_to_what_has_one(tmp_path):
    made = known("dnnlib.tflib.network", "Network") + b")\x81"
    encoded = known("_codecs", "encode") + b")R"
    some = b"}" + text("kind") + text("y") + b"s"
    for opcodes in (
        made + some + b"b" + some + b"b",
        encoded + some + b"b",
        known("numpy", "dtype") + some + b"b",
        text("x") + some + b"b",
        b"K\x01" + some + b"b",
        b"]" + some + b"b",
        b"}" + some + b"b",
        b")" + some + b"b",
        b"N" + some + b"b",
        made + b"Nb",
    ):
        assert "the state of" in refusal(tmp_path, program(opcodes))


def test_attributes_cannot_be_set_through_a_state(tmp_path):
    for state in ({"__class__": 1, "all_variables": 2}, (None, {"kind": 1}), ({}, {"args": 1}), {"array": 1}):
        assert "no valid state of an array" in refusal(tmp_path, pickled(network([("x", reconstructed(state))])))
    (g,) = read(tmp_path, pickled(network(**{"__class__": "x", "all_variables": "y", "__dict__": {}})))
    assert list(g.all_variables()) == ["lod"]


# ---- Single opcodes


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def known(module, name):
    return text(module) + text(name) + b"\x93"


def program(opcodes, end=b"."):
    return b"\x80\x04" + opcodes + end


def test_opcodes_outside_the_list_are_refused(tmp_path):
    needed = set(b"NK\x88\x89)MJGX\x8c\x8dUTCB\x8e\x96\x85\x86\x87I\x8a}](tldeuas\x94qrhj\x95c\x93R\x81b.")
    for opcode in set(range(256)) - needed:  # Among them PERSID, BINPERSID, EXT, INST, OBJ, NEWOBJ_EX, buffers, POP
        assert "no network pickle needs" in refusal(tmp_path, program(b"]](K\x01K\x01" + bytes([opcode]) + b"1\n2\n"))


def test_unbalanced_programs_are_refused(tmp_path):
    for opcodes in (
        b"",
        b"a",
        b"]a",
        b"(a",
        b"t",
        b"e",
        b"](",
        b"]]",
        b"](e(",
        b"]((e",
        b"}(K\x01u",
        b"K\x01(K\x01e",
        b"](K\x01K\x01u",
        b"h\x00",
        b"](h\x01e",
        b"\x94",
        b"(\x94",
        b"q\x00",
        b"]q\x01h\x02",
        b"R",
        b"]R",
        b"b",
        b"]b",
        b"\x81",
        b"\x93",
        b"\x85",
        b"]\x86",
        b"](]\x86e",
        b"s",
        b"}K\x01s",
        b"Ix\n",
        b"I",
        b"cos\n",
        b"I" + b"1" * 40 + b"\n",
        b"\x8a\xff" + b"\x7f" * 255,
        b"T\xff\xff\xff\xff",
        b"]b",
        b"X\x01\x00\x00\x00\xff",
        b"\x8c\x01\xe9",
        b"X\x03\x00\x00\x00\xed\xa0\x80",
        b"\x80\x04",
    ):
        refusal(tmp_path, program(opcodes))


def test_keys_of_dictionaries_are_distinct_texts(tmp_path):
    for keys in ([b"K\x01"], [b"N"], [b")"], [b"]"], [b"C\x01x"], [text("x"), text("x")]):
        message = refusal(tmp_path, program(b"}(" + b"".join(key + b"K\x01" for key in keys) + b"u"))
        assert "a key of a dictionary is not text, or a duplicate" in message


# ---- Memory and time


def refused_within(tmp_path, data, megabytes):
    tracemalloc.start()
    try:
        message = refusal(tmp_path, data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < megabytes * 2**20 + 2 * len(data), f"{peak} bytes at the peak"
    return message


@pytest.mark.parametrize(
    "opcode, layout",
    [
        ("C", "B"),
        ("B", "I"),
        ("\x8e", "Q"),
        ("\x96", "Q"),
        ("\x8c", "B"),
        ("X", "I"),
        ("\x8d", "Q"),
        ("U", "B"),
        ("T", "i"),
        ("\x8a", "B"),
        ("\x8b", "i"),
        ("\x95", "Q"),
    ],
)
def test_a_length_beyond_the_file_allocates_nothing(tmp_path, opcode, layout):
    largest = 2 ** (8 * struct.calcsize("<" + layout) - (layout == "i")) - 1
    for length in {100, largest, largest // 2}:
        data = program(opcode.encode("latin-1") + struct.pack("<" + layout, length))
        assert refused_within(tmp_path, data, megabytes=1)


def test_a_shape_beyond_the_bytes_allocates_nothing(tmp_path):
    for shape in ((2**30,), (2**39, 2**39), (2**62, 4), (2**64, 0), (2**64, 2), (1,) * 100_000, (2**32,) * 8, (0,)):
        value = Calls(FROMBUFFER, FOUR, F4, shape, "C")
        message = refused_within(tmp_path, pickled(network([("x", value)])), megabytes=2)
        assert any(part in message for part in ("no valid shape", "larger than the file", "more than 64 bits")), message


def test_arrays_that_share_bytes_cannot_exceed_the_file(tmp_path):
    data = bytes(200_000)
    for shared in (data, data.decode("latin-1"), Calls(Global("_codecs", "encode"), data.decode("latin-1"), "latin1")):
        one = [("x", Calls(FROMBUFFER, shared, np.dtype("f2"), (100_000,), "C"))]
        assert read(tmp_path, pickled(network(one)))[0].variables["x"].shape == (100_000,)
        many = [(f"x{i}", Calls(FROMBUFFER, shared, np.dtype("f2"), (100_000,), "C")) for i in range(1000)]
        assert "larger than the file" in refused_within(tmp_path, pickled(network(many)), megabytes=4)


def doubled(leaf, kind, levels=60):
    for _ in range(levels):
        leaf = kind(leaf)
    return leaf


def test_doubling_through_the_memo_is_refused(tmp_path, monkeypatch):
    shallow = doubled(1, lambda x: [x] * 20, levels=6)  # 64 million values, nested less deeply than is allowed
    deep = [doubled(1, lambda x: [x, x]), doubled(1, lambda x: (x, x)), doubled(1, lambda x: {"a": x, "b": x})]
    for value in [shallow, *deep]:
        for wrong in (
            network(static_kwargs={"x": value}),
            network([("x", value)]),
            network([value]),
            value,
            network(components={"x": value}),
            network(name=value),
            network(version=value),
        ):
            refused_within(tmp_path, pickled(wrong), megabytes=2)
    wide = doubled(network(), lambda x: network(components={str(i): x for i in range(12)}), levels=6)
    monkeypatch.setattr(network_pickle, "MAX_VALUES", 5000)
    assert "more than 5000 values" in refused_within(tmp_path, pickled(wide), megabytes=10)


def test_deep_nesting_is_refused_without_a_crash(tmp_path):
    depth = 40_000
    made = known("dnnlib.tflib.network", "Network") + b")\x81" + b"}" + text("static_kwargs")
    for nested in (b"]" * depth + b"a" * (depth - 1), b")" + b"\x85" * depth, b"(" * depth + b"t" * depth):
        for opcodes in (
            nested,
            made + nested + b"sb",
            nested + b"\x94" + known("numpy", "dtype") + b"h\x00R",
            b"}" + nested + b"K\x01s",
            known("numpy", "dtype") + b"(" + nested + b"tR",
        ):
            refusal(tmp_path, program(opcodes))
    calls = known("numpy", "dtype") + b"\x94" + b"N" + b"\x94h\x00h\x01\x85Rq\x01" * depth
    refusal(tmp_path, program(b"(" + calls + b"t"))


def test_the_number_of_opcodes_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(pickle_machine, "MAX_READS", 2000)
    assert "more than 2000 reads" in refusal(tmp_path, program(b"}" * 3000))
    assert len(read(tmp_path, pickled(generator()))) == 1


def test_things_that_contain_themselves_are_refused(tmp_path):
    itself = network()
    itself.components = {"x": itself}
    assert "contains itself" in refusal(tmp_path, pickled(itself))
    kwargs, values = {}, []
    kwargs["x"] = kwargs
    values.append(values)
    for value in (kwargs, {"x": values}):
        assert "nested too deeply" in refusal(tmp_path, pickled(network(static_kwargs=value)))
    refusal(tmp_path, pickled(values))


# ---- Wrong contents


def test_missing_and_wrong_parts_are_named(tmp_path):
    for key in ("version", "name", "static_kwargs", "build_func_name", "variables"):
        assert f"has no '{key}'" in refusal(tmp_path, pickled(network(**{key: None})))
        assert key in refusal(tmp_path, pickled(network(**{key: b"x"})))
    for changes, part in (
        ({"components": []}, "components"),
        ({"components": {"m": {}}}, "component 'm'"),
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x" * 300}, "name"),
        ({"build_func_name": "a."}, "build_func_name"),
        ({"build_func_name": "a(b)"}, "function"),
        ({"variables": {}}, "variables"),
        ({"variables": [1]}, "variables"),
        ({"version": True}, "version"),
        ({"variables": [(1, np.float32(1))]}, "variable"),
        ({"variables": ["ab"]}, "variables"),
        ({"static_kwargs": {"x": b"y"}}, "static_kwargs"),
        ({"static_kwargs": []}, "static_kwargs"),
        ({"static_kwargs": {"x": np.array(["y"])}}, "static_kwargs"),
    ):
        assert part in refusal(tmp_path, pickled(network(**changes)))
    assert "not a network with a dictionary" in refusal(tmp_path, program(known("tfutil", "Network") + b")\x81"))


def test_a_variable_of_a_wrong_type_is_named(tmp_path):
    for value in (1.5, "x", None, np.array([None]), np.bool_(True)):
        message = refusal(tmp_path, pickled(network([("Dense/weight", value)])))
        assert "variable 'Dense/weight' of network 'G'" in message


@pytest.mark.parametrize("version", [0, 1, 4, 5, 10**6, -3])
def test_other_versions_are_refused(tmp_path, version):
    assert f"has format version {version}, expected 2 or 3" in refusal(tmp_path, pickled(network(version=version)))


def test_variables_of_the_same_name_are_refused(tmp_path):
    one = np.float32(1)
    assert "variable 'x' twice" in refusal(tmp_path, pickled(network([("x", one), ("x", one)])))
    part = network(name="part")
    assert "variable 'part/lod' twice" in refusal(tmp_path, pickled(network(components={"a": part, "b": part})))
    assert "variable 'part/lod' twice" in refusal(
        tmp_path, pickled(network([("part/lod", one)], components={"a": part}))
    )


def test_other_results_than_networks_are_refused(tmp_path):
    for value in ([], (), {}, None, 1, {"G": network()}, [network(), None], [[network()]], np.float32(1)):
        assert "expected a network or a tuple (G, D, Gs)" in refusal(tmp_path, pickled(value))


# ---- Damaged and other files


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_truncation_is_refused(tmp_path, protocol):
    data = pickled((generator(), network(name="D")), protocol)
    for length in [*range(0, len(data), 7), len(data) - 1]:
        refusal(tmp_path, data[:length])


def test_a_changed_byte_never_raises_anything_but_a_user_error(tmp_path):
    data = bytearray(pickled((generator(),), 4))
    random = np.random.RandomState(0)
    refused = 0
    for _ in range(1500):
        changed = bytearray(data)
        for position in random.randint(len(data), size=random.randint(1, 4)):
            changed[position] = random.randint(256)
        try:
            read(tmp_path, bytes(changed))
        except UserError:
            refused += 1
    assert 500 < refused < 1500  # Changed weights are no error.


def test_what_follows_the_pickle_is_refused(tmp_path):
    assert "1 bytes follow" in refusal(tmp_path, pickled(network()) + b"\n")
    assert "bytes follow" in refusal(tmp_path, pickled(network()) * 2)


@pytest.mark.parametrize(
    "start, kind",
    [
        (b"", "an empty file"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"PK\x03\x04", "PyTorch"),
        (b"<!DOCTYPE html>", "a web page"),
        (b"\n  <html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"\x89HDF\r\n", "HDF5"),
        (b"(dp0\n.", "another kind of file"),
        (b"\x80\x01.", "another kind of file"),
        (b"\x80\x06.", "another kind of file"),
        (b"\x93NUMPY", "another kind of file"),
        (b"\x80", "are left"),
    ],
)
def test_other_kinds_of_files_are_named(tmp_path, start, kind):
    assert kind in refusal(tmp_path, start)


def test_a_path_without_a_file_is_named(tmp_path):
    with pytest.raises(UserError, match="missing.pkl: expected a network pickle, found no file"):
        read_network_pickle(tmp_path / "missing.pkl")
    with pytest.raises(UserError, match="found a folder"):
        read_network_pickle(tmp_path)


@pytest.mark.parametrize(
    "module, allowed",
    [
        (
            pickle_machine,
            {
                "contextlib",
                "os",
                "pickle",
                "enum",
                "collections.abc",
                "dataclasses",
                "typing",
                "stylegan_tf.config.errors",
                "stylegan_tf.files.file_errors",
            },
        ),
        (
            torch_weights,
            {
                "math",
                "os",
                "dataclasses",
                "enum",
                "numpy",
                "zipfile",
                "io",
                "struct",
                "stylegan_tf.files.pickle_machine",
            },
        ),
        (
            network_pickle,
            {
                "math",
                "dataclasses",
                "numpy",
                "stylegan_tf.config.errors",
                "stylegan_tf.files.file_errors",
                "stylegan_tf.files.pickle_machine",
            },
        ),
    ],
)
def test_the_reader_imports_nothing_that_looks_up_names_or_runs_them(module, allowed):
    tree = ast.parse(Path(module.__file__).read_text())
    imported = {
        name
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported == allowed
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert called.isdisjoint({"getattr", "setattr", "eval", "exec", "compile", "globals", "vars", "__import__"})


HARMLESS = """
none true false binint binint1 binint2 binfloat
short_binunicode binunicode binunicode8 binstring short_binstring binbytes short_binbytes binbytes8
empty_tuple tuple tuple1 tuple2 tuple3 empty_list list append appends empty_dictionary
mark memoize binput long_binput binget long_binget stop
global stack_global binpersid
"""  # The last three use methods of ours.


def test_of_pythons_unpickler_only_opcodes_that_make_plain_values_are_reachable():
    machine, standard = pickle_machine.Machine, set(pickle._Unpickler.dispatch.values())
    reachable = {opcode.__name__ for opcode in machine.dispatch.values() if opcode in standard}
    assert reachable == {f"load_{name}" for name in HARMLESS.split()}
    assert {"find_class", "persistent_load"} <= set(vars(machine))
