"""Makes a network file small: the averaged generator and the discriminator, rounded to float16.

    python tools/pack_network.py --source runs/demo_network --dest stylegan_tf/data/demo_network.npz

The network in the package was made this way. What is read from it is float32 again, exactly the rounded numbers; a run
that starts from it (--init_from) also takes the average as its plain generator.
"""

import argparse
import os
import pathlib

import checkout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", required=True, help="a network file, or a run folder: its newest network")
    parser.add_argument("--dest", required=True, type=pathlib.Path, help="the file to write")
    options = parser.parse_args()
    import numpy as np

    from stylegan_tf.networks.network_file import load_networks, save_networks

    networks = load_networks(options.source)
    save_networks(options.dest, networks._replace(generator=None, generator_ema=networks.best_generator), np.float16)
    print(f"{options.dest}: {os.path.getsize(options.dest):,} bytes, {networks.metadata}")


if __name__ == "__main__":
    checkout.run(main)
