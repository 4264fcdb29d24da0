"""What is measured, one form of training at one size, and on which machine. No TensorFlow here."""

import dataclasses
import os

import cpuinfo

from stylegan_tf.config import DiscriminatorConfig, GeneratorConfig
from stylegan_tf.data.making.record_workers import available_cores

FORMS = ("fused", "plain")
PARTS = ("discriminator", "generator", "iteration")
OPERATIONS = ("matmul", "conv3x3")  # The faster one is the machine's ceiling.
# What to look for among the flags of a CPU, and what it is called in the table.
_FEATURES = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_bf16": "AVX512-BF16",
    "amx_bf16": "AMX (bfloat16)",
    "asimd": "NEON",
    "bf16": "BF16",
}


def machine_line() -> str:
    """E.g. "AMD EPYC 7003, 2 cores: AVX2; oneDNN on (TF_ENABLE_ONEDNN_OPTS=1)"."""
    info = cpuinfo.get_cpu_info()
    flags = set(info.get("flags", ()))
    features = [name for flag, name in _FEATURES.items() if flag in flags] or ["none of the instructions looked for"]
    name = f"{info.get('brand_raw', 'unknown CPU')}, {available_cores()} cores"
    return f"{name}: {', '.join(features)}; {_onednn(os.environ)}"


def _onednn(environment) -> str:
    """As the environment has it: the commands of this package set the variable where the user did not."""
    setting = environment.get("TF_ENABLE_ONEDNN_OPTS")
    state = {None: "as TensorFlow chooses", "0": "off"}.get(setting, "on")
    limit = environment.get("ONEDNN_MAX_CPU_ISA")
    named = "" if setting is None else f" (TF_ENABLE_ONEDNN_OPTS={setting})"
    return f"oneDNN {state}{named}" + (f", limited to {limit}" if limit else "")


@dataclasses.dataclass(frozen=True)
class Case:
    """One form of training at one size."""

    resolution: int = 32
    fmap_base: int = 2048
    fmap_max: int = 128
    batch_size: int = 16  # For all replicas together.
    precision: str = "float32"
    form: str = "fused"  # Or "plain": see `stylegan_tf.ops.forms`.
    jit_compile: bool = False  # The gradients of both networks as a whole.
    augment: str = "none"  # What the discriminator sees images through.
    replicas: int = 1  # Each on its share of the cores.
    data_dir: str = ""  # Reals come from here.
    iterations: int = 1  # Per call of `iteration`.

    @property
    def name(self) -> str:
        """E.g. "32x32 batch 16 bfloat16 fused"."""
        words = [f"{self.resolution}x{self.resolution} batch {self.batch_size}", self.precision, self.form]
        words += ["jit"] if self.jit_compile else []
        words += [self.augment] if self.augment != "none" else []
        words += [f"{self.replicas} replicas"] if self.replicas > 1 else []
        return " ".join(words)

    @property
    def networks(self) -> tuple[GeneratorConfig, DiscriminatorConfig]:
        widths = {"resolution": self.resolution, "fmap_base": self.fmap_base, "fmap_max": self.fmap_max}
        return GeneratorConfig(**widths), DiscriminatorConfig(**widths)

    def images_per_call(self, part: str) -> int:
        return self.batch_size * (self.iterations if part == "iteration" else 1)
