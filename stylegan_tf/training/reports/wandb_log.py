"""Weights & Biases as one more place that a run reports to (`track=wandb`); another tracker is a class like this."""

import os
import pathlib
import uuid
from collections.abc import Mapping
from typing import Any

import numpy as np

from stylegan_tf.errors import UserError
from stylegan_tf.training.reports.log_backends import LogBackend


class WandbLog(LogBackend):
    """Scalars, grids and options, over `kimg`. The environment variables of wandb apply, e.g. WANDB_MODE=offline."""

    def __init__(self, run_dir: os.PathLike, options: Mapping[str, Any]):
        """A run folder that is resumed continues its W&B run, whose id is in `wandb_id`. UserError without wandb."""
        try:
            import wandb
        except ImportError:
            raise UserError('track wandb needs the package wandb: pip install -e ".[wandb]".') from None
        run_dir = pathlib.Path(run_dir).absolute()
        id_file = run_dir / "wandb_id"
        if not id_file.exists():
            id_file.write_text(uuid.uuid4().hex)
        self._image = wandb.Image
        try:
            self._run = wandb.init(
                project=os.environ.get("WANDB_PROJECT", "stylegan_tf"),
                name=run_dir.name,
                id=id_file.read_text().strip(),
                resume="allow",
                dir=str(run_dir),
                config=dict(options),
                settings=wandb.Settings(console="off"),
            )
        except wandb.Error as error:
            raise UserError(
                f"track wandb: {str(error).splitlines()[0]}: WANDB_MODE=offline needs no account."
            ) from None
        self._run.define_metric("*", step_metric="kimg")

    def tick(self, record: Mapping[str, Any]) -> None:
        self._run.log(dict(record))

    def scalars(self, values: Mapping[str, float], images_seen: int) -> None:
        if values:
            self._run.log({**values, "kimg": images_seen / 1000})

    def image(self, name: str, image: np.ndarray, images_seen: int) -> None:
        self._run.log({name: self._image(image.squeeze()), "kimg": images_seen / 1000})

    def close(self) -> None:
        self._run.finish()
