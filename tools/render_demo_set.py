"""Renders the embedded demo set: 4,096 "Voxel Art" figures by DiceBear (CC0 1.0), 64x64 pixels.

Run once by the maintainers; users never need it, since its result is in the package. It needs Python >= 3.10 and

    pip install dicebear-core==10.7.0 dicebear-styles==10.6.0 resvg-py==0.5.0 pillow numpy
    python tools/render_demo_set.py

With these versions every run gives the same pixels. Written to stylegan_tf/data/:
  demo_set.webp  one lossless sheet of 64 x 64 tiles; image i is in row i // 64, column i % 64, and has the seed "i"
  demo_set.json  what the renderer chose for every image: {"attributes": {name: {"values": [...], "indices": "..."}}},
                 where character i of "indices" is chr(ord("A") + index into "values") of image i.

Pictures of another style under CC0 1.0, to try transfer on (docs/lab/recipe.md), become a folder of PNGs, 00000.png
from the seed "0" on:

    python tools/render_demo_set.py --style pixel-art --count 300 --size 32 --dest pictures/pixel-art-300
"""

import argparse
import importlib.resources
import io
import json
import os
import pathlib

import checkout
import numpy as np
from PIL import Image

COUNT, SIZE, COLUMNS = 4096, 64, 64
COMPONENTS = ("outfit", "beard", "mouth", "cheeks", "eyes", "eyebrows", "nose", "glasses", "top")
COLORS = ("background", "skin", "hair", "hat", "shirt", "pants", "shoes", "jacket")
ABSENT = "none"  # The part is not there, or the renderer did not need the colour.


def load_style(name: str):
    """DiceBear's `Style` as packaged, "voxel-art" for one, after a look at its licence."""
    from dicebear import Style  # Here: --help does not need it.

    path = importlib.resources.files("dicebear_styles").joinpath(f"{name}.json")
    if not path.is_file():
        raise SystemExit(f"dicebear_styles has no style that is called {name}")
    definition = json.loads(path.read_text("utf-8"))
    if definition["meta"]["license"]["name"] != "CC0 1.0":
        raise SystemExit(f"the licence of the style is not CC0 1.0: {definition['meta']['license']}")
    return Style(definition)


def render(style, seed: int, size: int = SIZE) -> tuple:
    """One figure -> (uint8 [size, size, 3], {attribute: value}).

    Rendered at the final size: the style's voxels are drawn on a grid close to that of the pixels, and a larger
    rendering reduced by box filter looked the same but compressed slightly worse.
    """
    import resvg_py
    from dicebear import Avatar

    avatar = Avatar(style, {"seed": str(seed), "size": size})
    png = resvg_py.svg_to_bytes(svg_string=str(avatar), skip_system_fonts=True)
    figure = Image.open(io.BytesIO(png)).convert("RGBA")
    canvas = Image.new("RGBA", figure.size, "white")
    canvas.alpha_composite(figure)
    options = avatar.to_json()["options"]
    attributes = {name: options.get(f"{name}Variant") or ABSENT for name in COMPONENTS}
    attributes.update({f"{name}_color": (options.get(f"{name}Color") or [ABSENT])[0] for name in COLORS})
    return np.asarray(canvas.convert("RGB")), attributes


def pack_attributes(per_image: list) -> dict:
    """[{attribute: value}] -> the compact form of demo_set.json."""
    packed = {}
    for name in per_image[0]:
        column = [attributes[name] for attributes in per_image]
        values = sorted(set(column), key=lambda value: (value != ABSENT, value))
        packed[name] = {"values": values, "indices": "".join(chr(ord("A") + values.index(value)) for value in column)}
    return packed


def write(path: pathlib.Path, data: bytes) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(data)
    os.replace(temporary, path)
    print(f"{path}: {len(data):,} bytes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dest", type=pathlib.Path, help="folder to write to; the demo set's is in the package")
    parser.add_argument("--style", help="write PNGs of this style of DiceBear, rather than the demo set")
    parser.add_argument("--count", type=int, help=f"how many PNGs ({COUNT})")
    parser.add_argument("--size", type=int, help=f"their height and width in pixels ({SIZE})")
    args = parser.parse_args()
    if args.style and not args.dest:
        parser.error("--style needs --dest")
    if not args.style and (args.count is not None or args.size is not None):
        parser.error("--count and --size need --style")
    dest, style = args.dest or checkout.ROOT / "stylegan_tf/data", load_style(args.style or "voxel-art")
    if args.style:
        dest.mkdir(parents=True, exist_ok=True)
        for seed in range(COUNT if args.count is None else args.count):
            Image.fromarray(render(style, seed, args.size or SIZE)[0]).save(dest / f"{seed:05}.png")
        return
    images, attributes = zip(*(render(style, seed) for seed in range(COUNT)))
    tiles = np.stack(images).reshape(COUNT // COLUMNS, COLUMNS, SIZE, SIZE, 3)
    sheet = tiles.transpose(0, 2, 1, 3, 4).reshape(COUNT // COLUMNS * SIZE, COLUMNS * SIZE, 3)
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, "WEBP", lossless=True, quality=100, method=6, exact=True)
    write(dest / "demo_set.webp", buffer.getvalue())
    packed = {"source": "DiceBear Voxel Art", "license": "CC0-1.0", "count": COUNT, "size": SIZE}
    packed["attributes"] = pack_attributes(list(attributes))
    write(dest / "demo_set.json", (json.dumps(packed, indent=1) + "\n").encode())


if __name__ == "__main__":
    checkout.run(main)
