"""Names of metrics, as --metrics takes them: fid50k, kid10k, fid50k_mix2, ppl_wend, ls. Needs no TensorFlow."""

import dataclasses
import re

from stylegan_tf.errors import UserError

FEATURE_METRICS = ("fid", "kid", "pr", "is")  # They look at features of many images.
MAX_MIXED_LATENTS = 4  # Table 2.
_PATH_LENGTH_PAIRS = 100_000
_SEPARABILITY_SAMPLES = 200_000
_PATTERN = re.compile(
    r"(?P<kind>fid|kid|pr|is)(?P<count>\d+k?)(?:_mix(?P<mixed>\d+))?"
    r"|(?P<ppl>ppl)(?P<pairs>\d+k?)?_(?P<space>[zw])(?P<sampling>full|end)(?P<face>_face)?"
    r"|(?P<ls>ls)(?P<samples>\d+k?)?"
)
KNOWN = (
    "fidN, kidN, prN, isN (N images, like 50k or 500; _mix2 to _mix4 after it), "
    "ppl_zfull, ppl_wfull, ppl_zend, ppl_wend (_face after it: the middle of the image only, for faces), ls"
)


@dataclasses.dataclass(frozen=True)
class MetricName:
    """What one name of --metrics asks for."""

    text: str  # As it was written.
    kind: str  # "fid", "kid", "pr", "is", "ppl" or "ls".
    count: int  # Generated images, pairs of latents, or samples.
    mixed_latents: int = 1  # Latents that style every image, at random crossovers (Table 2); fid, kid, pr, is only.
    space: str = ""  # "z" or "w"; ppl only.
    sampling: str = ""  # "full" or "end"; ppl only.
    face_crop: bool = False  # Compare the middle of the images only; ppl only.

    @property
    def needs_features(self) -> bool:
        return self.kind in FEATURE_METRICS

    @property
    def needs_reals(self) -> bool:
        return self.kind in ("fid", "kid", "pr")


def parse_metrics(text: str) -> tuple[MetricName, ...]:
    """ "fid50k,ppl_wend" -> one MetricName each, without repetition. Raises UserError naming what is not one."""
    names = [part.strip() for part in text.split(",") if part.strip()]
    if not names:
        raise UserError(f"no metric is named; there are: {KNOWN}.")
    return tuple(_parse(name) for name in dict.fromkeys(names))


def _parse(name: str) -> MetricName:
    match = _PATTERN.fullmatch(name)
    if match is None:
        raise UserError(f"unknown metric {name!r}; there are: {KNOWN}.")
    if match["ppl"]:
        count = _number(match["pairs"], _PATH_LENGTH_PAIRS)
        options = {"space": match["space"], "sampling": match["sampling"], "face_crop": match["face"] is not None}
        parsed = MetricName(name, "ppl", count, **options)
    elif match["ls"]:
        parsed = MetricName(name, "ls", _number(match["samples"], _SEPARABILITY_SAMPLES))
    else:
        parsed = MetricName(name, match["kind"], _number(match["count"], 0), int(match["mixed"] or 1))
    if parsed.count < 2:
        raise UserError(f"metric {name!r} needs at least 2 images, got {parsed.count}.")
    if not 1 <= parsed.mixed_latents <= MAX_MIXED_LATENTS:
        raise UserError(f"metric {name!r} mixes {parsed.mixed_latents} latents, expected 1 to {MAX_MIXED_LATENTS}.")
    return parsed


def _number(text, default: int) -> int:
    """ "50k" -> 50000."""
    if text is None:
        return default
    return int(text[:-1]) * 1000 if text.endswith("k") else int(text)
