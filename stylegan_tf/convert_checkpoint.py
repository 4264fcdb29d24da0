"""Converts the authors' network pickles to network files, and network files to arrays under the authors' names.

    python -m stylegan_tf.convert_checkpoint --source karras2019stylegan-ffhq-1024x1024.pkl --dest ffhq.npz
    python -m stylegan_tf.generate --network ffhq.npz --seeds 0-7 --outdir out

The pickle is read by a reader that runs nothing in it: networks of the authors' StyleGAN and ProGAN code
(G, D, Gs, or one of them) are read, every other content is refused. The architecture follows from the options that
the file records; one that this program does not have is an error that names it.

    python -m stylegan_tf.convert_checkpoint --source runs/mine --dest mine-authors.npz --to authors

writes the reverse: G/..., D/... and Gs/... hold every variable under the authors' name and in their layout, `config`
the build function and static arguments of each network as JSON.

--dest may also be a folder. The written file is read back and every array compared before it gets its name.
"""

import pathlib

from absl import flags

from stylegan_tf.cli import command_line
from stylegan_tf.errors import UserError

FLAGS = flags.FLAGS
flags.DEFINE_string("source", None, "The authors' .pkl; with --to=authors a network file or a run folder.")
flags.DEFINE_string("dest", None, "The file to write, ending in .npz, or the folder for it.")
flags.DEFINE_enum("to", "network", ["network", "authors"], "Write our network file, or the authors' names.")
flags.DEFINE_bool("overwrite", False, "Replace the file that is at --dest.")


def main() -> None:
    command_line.require("source", "dest")
    source, dest = pathlib.Path(FLAGS.source), destination(FLAGS.source, FLAGS.dest, FLAGS.to)
    if FLAGS.to == "network" and (source.is_dir() or source.suffix == ".npz"):
        raise UserError(f"{source} is no pickle of the authors; --to=authors writes a network file under their names.")
    if dest.exists() and not FLAGS.overwrite:
        raise UserError(f"{dest} is there already: choose another --dest, or add --overwrite.")
    # Late: imports TensorFlow.
    from stylegan_tf.conversion.authors_networks import LICENCE, PARTS, export_networks, import_pickle
    from stylegan_tf.networks.growth import Growth
    from stylegan_tf.networks.variable_shapes import count_parameters

    networks = (import_pickle if FLAGS.to == "network" else export_networks)(source, dest)
    print(f"{dest}: written and compared with {source}")
    for part, name in PARTS.items():
        if getattr(networks, part) is not None:
            config = getattr(networks, part).config
            size = f"{config.resolution}x{config.resolution}x{config.num_channels}"
            labels = f", {config.label_size} labels" if config.label_size else ""
            growth = getattr(networks, part).growth
            grown = f", grown to {growth.resolution}x{growth.resolution}" if growth != Growth(config.resolution) else ""
            grown += f" at alpha {growth.alpha:g}" if growth.alpha < 1 else ""
            print(f"  {part} ({name}): {size}{grown}{labels}, {count_parameters(config):,} parameters")
    if FLAGS.to == "network":
        print(f"Licence: {LICENCE}.")


def destination(source: str, dest: str, kind: str) -> pathlib.Path:
    """The file to write: `dest`, or in the folder `dest` a file named after the source."""
    path = pathlib.Path(dest)
    if path.is_dir() or dest.endswith("/"):
        return path / (pathlib.Path(source).stem + ("-authors" if kind == "authors" else "") + ".npz")
    if path.suffix != ".npz":
        raise UserError(f"--dest should end in .npz or be a folder that exists, got {dest}.")
    return path


if __name__ == "__main__":
    command_line.run(main)
