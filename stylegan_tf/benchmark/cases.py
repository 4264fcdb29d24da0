"""What is measured: one form of training at one size. No TensorFlow here."""

import dataclasses
from typing import Optional

FORMS = ("fused", "plain")
PARTS = ("discriminator", "generator", "iteration")


@dataclasses.dataclass(frozen=True)
class Case:
    """One form of training at one size."""

    resolution: int = 32
    fmap_base: int = 2048
    fmap_max: int = 128
    batch_size: int = 16  # Of all replicas together.
    precision: str = "float32"
    form: str = "fused"  # Or "plain": see `stylegan_tf.ops.plain_form`.
    jit_compile: bool = False  # The gradients of both networks as a whole.
    augment: str = "none"  # What the discriminator sees images through.
    replicas: int = 1  # Each on its share of the cores.
    data_dir: Optional[str] = None  # Reals come from here; None: random ones from memory.
    iterations: int = 1  # Per call of `iteration`.

    @property
    def name(self) -> str:
        """E.g. "32x32 batch 16 bfloat16 fused"."""
        words = [f"{self.resolution}x{self.resolution} batch {self.batch_size}", self.precision, self.form]
        words += ["jit"] if self.jit_compile else []
        words += [self.augment] if self.augment != "none" else []
        words += [f"{self.replicas} replicas"] if self.replicas > 1 else []
        return " ".join(words)

    def images_per_call(self, part: str) -> int:
        return self.batch_size * (self.iterations if part == "iteration" else 1)
