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

from stylegan_tf.cli import command_line, flags

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


def main() -> None:
    flags.require("source", "dest")
    from stylegan_tf.networks.conversion.converting import convert

    for line in convert(FLAGS.source, FLAGS.dest, FLAGS.to, FLAGS.overwrite):
        print(line)


if __name__ == "__main__":
    command_line.run(main)
