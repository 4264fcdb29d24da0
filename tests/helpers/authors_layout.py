"""Small networks as the authors' code lays out their variables, with random values, ready to be pickled.

Names and shapes are written down here a second time, so that the conversion is not tested with itself.
"""

import numpy as np

from tests.helpers.authors_pickles import EasyDict, ProganNetwork, network

SIZES = {"resolution": 16, "num_channels": 3, "label_size": 0, "fmap_base": 32, "fmap_max": 6}
VECTORS = {"latent_size": 5, "dlatent_size": 7, "mapping_layers": 2, "mapping_fmaps": 9}
TRADITIONAL = {"use_styles": False, "use_pixel_norm": True, "use_instance_norm": False, "mapping_layers": 0}
TRADITIONAL.update({"truncation_psi": None, "const_input_layer": False, "style_mixing_prob": 0.0, "use_noise": False})


class _Variables(dict):
    def __init__(self, seed, lod=0.0):
        super().__init__(lod=np.float32(lod))
        self.random = np.random.RandomState(seed)

    def draw(self, name, *shape):
        self[name] = self.random.randn(*shape).astype(np.float32)

    def weights(self, layer, *shape):
        self.draw(f"{layer}/weight", *shape)
        self.draw(f"{layer}/bias", shape[-1])


def channels(options, stage):
    """nf(s) = min(fmap_base / 2^s, fmap_max)."""
    return min(options["fmap_base"] // 2**stage, options["fmap_max"])


def levels(options):
    return range(2, options["resolution"].bit_length())


def style_generator(name="G", seed=0, lod=0.0, **options):
    """G_style with its two components."""
    kwargs = EasyDict({**SIZES, **VECTORS, **options})
    own = _Variables(seed, lod)
    mapping, synthesis = _mapping(kwargs, seed + 1), _synthesis(kwargs, seed + 2)
    own.draw("dlatent_avg", kwargs["dlatent_size"] if kwargs["mapping_layers"] else kwargs["latent_size"])
    parts = {
        "synthesis": _network("G_synthesis", "G_synthesis", kwargs, synthesis),
        "mapping": _network("G_mapping", "G_mapping", EasyDict(kwargs, dlatent_broadcast=6), mapping),
    }
    return _network(name, "G_style", kwargs, own, components=parts)


def progan_generator(name="G", seed=0, lod=0.0, **options):
    """G_paper, by default as in a file of the ProGAN code: version 2, no components."""
    kwargs = EasyDict({**SIZES, "latent_size": None, **options})
    variables, top = _Variables(seed, lod), kwargs["resolution"].bit_length() - 1
    latent = kwargs["latent_size"] or channels(kwargs, 0)
    for k in levels(kwargs):
        size, width = f"{2**k}x{2**k}", channels(kwargs, k - 1)
        if k == 2:
            variables.draw("4x4/Dense/weight", latent + kwargs["label_size"], 16 * width)
            variables.draw("4x4/Dense/bias", width)
        else:
            variables.weights(f"{size}/Conv0_up", 3, 3, channels(kwargs, k - 2), width)
        variables.weights(f"{size}/{'Conv' if k == 2 else 'Conv1'}", 3, 3, width, width)
        variables.weights(f"ToRGB_lod{top - k}", 1, 1, width, kwargs["num_channels"])
    return _network(name, "G_paper", kwargs, variables, kind=ProganNetwork, version=2, components=None)


def discriminator(name="D", seed=0, function="D_basic", lod=0.0, **options):
    kwargs = EasyDict({**SIZES, **options})
    variables, top = _Variables(seed, lod), kwargs["resolution"].bit_length() - 1
    for k in levels(kwargs):
        size, width = f"{2**k}x{2**k}", channels(kwargs, k - 1)
        variables.weights(f"FromRGB_lod{top - k}", 1, 1, kwargs["num_channels"], width)
        if k > 2:
            variables.weights(f"{size}/Conv0", 3, 3, width, width)
            variables.weights(f"{size}/Conv1_down", 3, 3, width, channels(kwargs, k - 2))
    deviation = 1 if kwargs.get("mbstd_group_size", 4) > 1 else 0
    variables.weights("4x4/Conv", 3, 3, channels(kwargs, 1) + deviation, channels(kwargs, 1))
    variables.weights("4x4/Dense0", 16 * channels(kwargs, 1), channels(kwargs, 0))
    outputs = (kwargs["label_size"] or 1) if function == "D_basic" else 1
    variables.weights("4x4/Dense1", channels(kwargs, 0), outputs)
    return _network(name, function, kwargs, variables)


def full_names(value):
    """All variables of a stand-in network by the authors' full names."""
    result = dict(value.variables)
    for part in getattr(value, "components", {}).values():
        result.update({f"{part.name}/{name}": array for name, array in part.variables})
    return result


def _mapping(options, seed):
    variables, width = _Variables(seed), options["latent_size"]
    del variables["lod"]
    if options["label_size"]:
        variables.draw("LabelConcat/weight", options["label_size"], options["latent_size"])
        width *= 2
    for index in range(options["mapping_layers"]):
        last = index == options["mapping_layers"] - 1
        outputs = options["dlatent_size"] if last else options["mapping_fmaps"]
        variables.weights(f"Dense{index}", width, outputs)
        width = outputs
    return variables


def _synthesis(options, seed):
    variables, top = _Variables(seed), options["resolution"].bit_length() - 1
    w_size = options["dlatent_size"] if options["mapping_layers"] else options["latent_size"]
    for k in levels(options):
        size, width = f"{2**k}x{2**k}", channels(options, k - 1)
        first, second = (f"{size}/Conv0_up", f"{size}/Conv1") if k > 2 else ("4x4/Const", "4x4/Conv")
        if k > 2:
            variables.weights(first, 3, 3, channels(options, k - 2), width)
        elif options.get("const_input_layer", True):
            variables.draw("4x4/Const/const", 1, width, 4, 4)
            variables.draw("4x4/Const/bias", width)
        else:
            first = "4x4/Dense"
            variables.draw("4x4/Dense/weight", w_size, 16 * width)
            variables.draw("4x4/Dense/bias", width)
        variables.weights(second, 3, 3, width, width)
        for index, layer in enumerate((first, second)):
            if options.get("use_noise", True):
                variables.draw(f"noise{2 * k - 4 + index}", 1, 1, 2**k, 2**k)
                variables.draw(f"{layer}/Noise/weight", width)
            if options.get("use_styles", True):
                variables.weights(f"{layer}/StyleMod", w_size, 2 * width)
        variables.weights(f"ToRGB_lod{top - k}", 1, 1, width, options["num_channels"])
    return variables


def _network(name, function, kwargs, variables, **changes):
    module = "networks" if changes.get("version") == 2 else "training.networks_stylegan"
    return network(
        name=name,
        build_func_name=f"{module}.{function}",
        static_kwargs=kwargs,
        variables=list(variables.items()),
        **changes,
    )
