"""The model card that lies beside an export: what the network is, how it was made, and what it is for."""

import pathlib
from collections.abc import Mapping
from typing import Any

from stylegan_tf.networks.generator import Generator

_LIMITS = """\
For research, art and teaching. It is not meant for pictures that pass for photographs of real people, places or
events. It shows what its training images show, with their biases and gaps, and at a lower `truncation_psi` less of
their variety. Latents far from N(0, 1) and values of `truncation_psi` above 1 give unrealistic images."""


def write_model_card(folder, generator: Generator, name: str, metadata: Mapping[str, Any], files: str) -> pathlib.Path:
    """Writes `folder`/README.md, with the front matter of the Hugging Face Hub.

    metadata: of the network file, with `metrics`. files: Markdown about the files of the export.
    """
    path = pathlib.Path(folder) / "README.md"
    path.write_text("\n".join([*_front_matter(metadata), *_text(generator, name, metadata, files)]) + "\n", "utf-8")
    return path


def _front_matter(metadata):
    licence = str(metadata.get("licence", ""))
    lines = ["---", f"license: {'cc-by-nc-4.0' if 'BY-NC' in licence else 'other'}", "library_name: stylegan-tf"]
    lines += ["pipeline_tag: unconditional-image-generation", "tags:", "- stylegan", "- gan", "- tensorflow"]
    return [*lines, "---"]


def _text(generator, name, metadata, files):
    config, resolution = generator.config, generator.growth.resolution
    facts = {
        "Images": f"{resolution}x{resolution}, {config.num_channels} channels",
        "Latents": f"z [{config.latent_size}], w [{config.w_size}]",
        "Labels": (config.label_size and ", ".join(metadata.get("label_names", ()))) or config.label_size,
        "Training data": metadata.get("dataset", "not recorded"),
        "Training images shown": f"{metadata['kimg']:g} thousand" if "kimg" in metadata else "not recorded",
        "Converted from": metadata.get("converted_from"),
        "Licence": metadata.get("licence", "not recorded: that of the training data and of whoever trained it"),
    }
    metrics = [
        f"| {key} | {', '.join(f'{part} {value:g}' for part, value in values.items())} |"
        for key, values in (metadata.get("metrics") or {}).items()
    ]
    return [
        f"\n# {name}\n",
        "A StyleGAN generator (Karras, Laine, Aila: A Style-Based Generator Architecture for Generative Adversarial",
        "Networks, CVPR 2019), trained and exported with `stylegan-tf`.\n",
        "| | |\n|---|---|",
        *(f"| {key} | {value} |" for key, value in facts.items() if value),
        "\n## Metrics\n",
        *(["| metric | values |\n|---|---|", *metrics] if metrics else ["None recorded."]),
        f"\n## Files\n\n{files}",
        f"\n## Intended use and limits\n\n{_LIMITS}",
    ]
