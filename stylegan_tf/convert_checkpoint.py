"""Converts the authors' network pickles to network files, and network files to arrays under the authors' names.

    python -m stylegan_tf.convert_checkpoint --source karras2019stylegan-ffhq-1024x1024.pkl --dest ffhq.npz
    python -m stylegan_tf.generate --network ffhq.npz --seeds 0-7 --outdir out

The pickle is read by a reader that runs nothing in it: networks of the authors' StyleGAN and ProGAN code
(G, D, Gs, or one of them) are read, every other content is refused. The architecture follows from the options that
the file records; one that this program does not have is an error that names it.

    python -m stylegan_tf.convert_checkpoint --source runs/mine --dest mine-authors.npz --to authors

writes the reverse: G/..., D/... and Gs/... hold every variable under the authors' name and in their layout, `config`
the build function and static arguments of each network as JSON.

    python -m stylegan_tf.convert_checkpoint --source runs/mine --dest mine.safetensors --to genforce
    python -m stylegan_tf.convert_checkpoint --source mine.safetensors --dest network.npz

convert a generator to the names of GenForce's PyTorch code base and back; a `.pth` file with such a state dict is read,
too. --dest may also be a folder. The written file is read back and every array compared before it gets its name.
"""

import pathlib

from stylegan_tf.cli import command_line, flags
from stylegan_tf.errors import UserError

FLAGS = flags.FLAGS
flags.define("source", None, "The authors' .pkl, or GenForce's .safetensors or .pth; else a network or run.")
flags.define("dest", None, "The file to write, or the folder for it.")
flags.define(
    "to",
    "network",
    "Write our network file (.npz), the authors' names (.npz), or GenForce's (.safetensors).",
    choices=["network", "authors", "genforce"],
)
flags.define("overwrite", False, "Replace the file that is at --dest.")

_SUFFIXES = {"network": ".npz", "authors": "-authors.npz", "genforce": ".safetensors"}


def main() -> None:
    flags.require("source", "dest")
    source, dest = pathlib.Path(FLAGS.source), destination(FLAGS.source, FLAGS.dest, FLAGS.to)
    if FLAGS.to == "network" and (source.is_dir() or source.suffix == ".npz"):
        raise UserError(f"{source} is no pickle of the authors; --to=authors writes a network file under their names.")
    if dest.exists() and not FLAGS.overwrite:
        raise UserError(f"{dest} is there already: choose another --dest, or add --overwrite.")
    # Late: imports TensorFlow.
    from stylegan_tf.conversion import genforce
    from stylegan_tf.conversion.authors_networks import export_networks, import_pickle

    from_torch = source.suffix in (".safetensors", ".pth", ".pt")
    imported = genforce.import_genforce if from_torch else import_pickle
    convert = {"network": imported, "authors": export_networks, "genforce": genforce.export_genforce}[FLAGS.to]
    report(convert(source, dest), f"{dest}: written and compared with {source}")


def report(networks, title: str) -> None:
    from stylegan_tf.conversion.authors_networks import PARTS
    from stylegan_tf.networks.growth import Growth
    from stylegan_tf.networks.variable_shapes import count_parameters

    print(title)
    for part, name in PARTS.items():
        network = getattr(networks, part)
        if network is not None:
            config, growth = network.config, network.growth
            size = f"{config.resolution}x{config.resolution}x{config.num_channels}"
            labels = f", {config.label_size} labels" if config.label_size else ""
            grown = f", grown to {growth.resolution}x{growth.resolution}" if growth != Growth(config.resolution) else ""
            grown += f" at alpha {growth.alpha:g}" if growth.alpha < 1 else ""
            print(f"  {part} ({name}): {size}{grown}{labels}, {count_parameters(config):,} parameters")
    if FLAGS.to == "network" and "licence" in networks.metadata:
        print(f"Licence: {networks.metadata['licence']}.")


def destination(source: str, dest: str, kind: str) -> pathlib.Path:
    """The file to write: `dest`, or in the folder `dest` a file named after the source."""
    path, suffix = pathlib.Path(dest), "." + _SUFFIXES[kind].rpartition(".")[2]
    if path.is_dir() or dest.endswith("/"):
        return path / (pathlib.Path(source).stem + _SUFFIXES[kind])
    if path.suffix != suffix:
        raise UserError(f"--dest should end in {suffix} or be a folder that exists, got {dest}.")
    return path


if __name__ == "__main__":
    command_line.run(main)
