"""Converts the authors' network pickles to network files, and network files to arrays under the authors' names.

    python -m stylegan_tf.convert_checkpoint --source karras2019stylegan-ffhq-1024x1024.pkl --dest ffhq.npz
    python -m stylegan_tf.generate --network ffhq.npz --seeds 0-7 --outdir out

The pickle is read without executing any code in it: networks of the authors' StyleGAN and ProGAN code (G, D, Gs, or one
of them) are accepted, and any other content is rejected. The architecture is derived from the options that the file
records; an option that this program does not support is reported by name as an error.

    python -m stylegan_tf.convert_checkpoint --source runs/mine --dest mine-authors.npz --to authors

converts in the opposite direction: G/..., D/... and Gs/... hold every variable under the authors' name and in their
layout, and `config` holds the build function and static arguments of each network as JSON.

    python -m stylegan_tf.convert_checkpoint --source runs/mine --dest mine.safetensors --to genforce
    python -m stylegan_tf.convert_checkpoint --source mine.safetensors --dest network.npz

convert a generator to the names of GenForce's PyTorch code base and back; a `.pth` file with such a state dict can also
be read. --dest may be a folder. The written file is read back and every array is compared before the file is renamed to
its final name.
"""

from stylegan_tf.cli import command_line, flags

FLAGS = flags.FLAGS
flags.define("source", None, "The authors' .pkl, GenForce's .safetensors or .pth, or a network of this project.")
flags.define("dest", None, "The file to write, or the folder to write it to.")
flags.define(
    "to",
    "network",
    "Format to write: network (a network file, .npz), authors (the authors' variable names, .npz) or genforce "
    "(GenForce's names, .safetensors).",
    choices=["network", "authors", "genforce"],
)
flags.define("overwrite", False, "Replace an existing file at --dest.")


def main() -> None:
    flags.require("source", "dest")
    from stylegan_tf.networks.conversion.authors_networks import convert

    for line in convert(FLAGS.source, FLAGS.dest, FLAGS.to, FLAGS.overwrite):
        print(line)


if __name__ == "__main__":
    command_line.run(main)
