"""Writes a dataset: TFRecords of every level from full size down to 4x4, the labels, and dataset.json."""

import contextlib
import hashlib
import itertools
import json
import os
import pathlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Optional, Union

import numpy as np

from stylegan_tf.config import WriteOptions
from stylegan_tf.config.callbacks import Note, Progress, StartProgress, ignore
from stylegan_tf.config.errors import UserError
from stylegan_tf.data import records, tfrecord_files
from stylegan_tf.data.dataset_files import DESCRIPTION_FILE, find_conversion
from stylegan_tf.data.making import record_workers
from stylegan_tf.data.making.partial_dataset import PartialDataset
from stylegan_tf.data.making.report import (
    LEFT_OUT_FILE,
    Estimate,
    Report,
    check_disk,
    estimate,
    list_skipped,
    summary_lines,
)
from stylegan_tf.data.sources.collection import Skipped
from stylegan_tf.data.sources.opening import parse_background
from stylegan_tf.files.atomic_write import name_path_in_errors
from stylegan_tf.files.storage import Store
from stylegan_tf.files.working_copy import UPLOADING

_LISTED = 10  # Unreadable pictures that are listed in full.
_PICTURE_OPTIONS = ("num_channels", "planes", "black", "fit", "filter", "background", "white")


def write_tfrecords(
    source,
    dest,
    options: WriteOptions = WriteOptions(),
    note: Note = ignore,
    progress: StartProgress = Progress,
    address: Optional[str] = None,
) -> Optional[pathlib.Path]:
    """Writes `source` (see `sources.open_source`) into the new folder `dest`. -> `dest`, None after a part.

    The order of the images is shuffled once. One shard gives files with the authors' names; with more, picture i of
    the shuffled source is in the shard that `np.array_split` puts it in. A `dest` that exists is complete: everything
    is written to `.NAME.partial` next to it and renamed at the end. After an interruption the same call resumes after
    the last finished shard; a `dest` that it has completed stays as it is.

    address: of which `dest` is a `working_path`: what counts as finished or as in the way is what is there.

    Raises UserError if the destination holds anything else (with `overwrite`: other than a dataset), for pictures that
    cannot be read (unless `skip_bad`), and if the disk is too small; OSError, naming `dest`, if it fails or fills up.
    """
    dest = pathlib.Path(os.path.abspath(dest))
    partial = PartialDataset(dest, address)
    if options.restart and (options.part or options.join):
        raise UserError(
            "`restart` would delete what the other parts have written: leave it out; to start over with all parts, "
            f"remove {partial.folder} once."
        )
    # What needs all pictures (duplicates) would be refused late otherwise.
    makes_anew = options.overwrite or options.restart or options.part or options.drop_duplicates
    completed = None if makes_anew else find_conversion(partial.place)
    if not partial.may_be_published and not completed:
        _check_dest(partial.place, options.overwrite)
    if options.encoding == "jpeg" and source.num_channels == 4:
        raise UserError("`encoding=jpeg` has no transparency: use png for `channels=4`.")
    if options.encoding != "raw" and source.num_channels not in (1, 3, 4):
        raise UserError(
            f"`encoding={options.encoding}` is for 1, 3 or 4 channels, not for {source.num_channels} planes."
        )
    expected = estimate(source, options.encoding)
    if options.join and not completed and not partial.folder.exists():
        raise UserError(f"there are no parts to join: {partial.folder} does not exist.")
    if not options.join and not completed:
        note(expected.text(source))
        check_disk(dest, expected, partial.folder)
    equal = _duplicates(source, options, progress) if options.drop_duplicates else {}
    order = np.array([index for index in range(len(source)) if index not in equal])
    num_shards = _num_shards(len(order), options, expected)
    if options.shuffle:
        np.random.RandomState(options.seed).shuffle(order)
    plan = _plan(source, options, num_shards)
    work = "part-{}-of-{}".format(*options.part_numbers) if options.part else "all-of-it"
    with name_path_in_errors(dest), partial.locked(work):
        if partial.is_published(plan):
            partial.clean_up()
            return dest
        conversion = _Conversion(source, options, partial, np.array_split(order, num_shards), equal, plan)
        if completed and completed == conversion.digest():
            made = "the same options made it from the same pictures; `overwrite` writes it again"
            note(f"{partial.place} is complete: {made}")
            return dest
        _check_dest(partial.place, options.overwrite)
        partial.create_or_resume(plan, options.restart)
        try:
            if not options.join:
                conversion.write_shards(progress)
            if not options.part:
                conversion.finish(note)
        except BaseException:
            partial.discard_unfinished(keep_folder=bool(options.part or options.join))
            raise
    return None if options.part else dest


class _Conversion:
    """One run: some shards of a set, or all."""

    def __init__(
        self,
        source,
        options: WriteOptions,
        partial: PartialDataset,
        shards: list[np.ndarray],
        equal: Mapping[int, int],
        plan: Mapping,
    ):
        self.source, self.options, self.partial, self.shards = source, options, partial, shards
        self.name, self._equal, self._plan = partial.name, equal, plan

    def digest(self) -> str:
        """Digest of the pictures with their labels, and of how they are converted."""
        return self._digest_of(map(self._digest, range(len(self.shards))))

    def _digest_of(self, shards: Iterable[Optional[str]]) -> str:
        digest = hashlib.sha256(json.dumps([self._plan, *shards], sort_keys=True).encode())
        if self.source.labels is not None:
            digest.update(np.asarray(self.source.labels, np.float32).tobytes())
        return digest.hexdigest()[:16]

    def write_shards(self, progress: StartProgress) -> None:
        """Those of this run that are not finished yet."""
        part, parts = self.options.part_numbers or (1, 1)
        mine = range(part - 1, len(self.shards), parts)
        reports = {shard: self.partial.shard(shard) for shard in mine}
        digests = {shard: self._digest(shard) for shard in mine}
        # A shard is written again if its pictures have changed since, so that repaired ones come in.
        to_do = [
            shard
            for shard, found in reports.items()
            if found is None or found.get("pictures") != digests[shard] or (found["bad"] and not self.options.skip_bad)
        ]
        total = sum(len(self.shards[shard]) for shard in mine)
        done = total - sum(len(self.shards[shard]) for shard in to_do)
        chunks = {shard: record_workers.chunks_of(self.source, self.shards[shard]) for shard in to_do}
        indices = (chunk for shard in to_do for chunk in chunks[shard])
        num_workers = _num_workers(self.options, sum(map(len, chunks.values())))
        job = (self.source, self.options.encoding)
        results = record_workers.map_chunks(record_workers.convert_chunk, job, indices, num_workers)

        with progress(total, f"Writing {self.name}", "images") as bar, contextlib.closing(results):
            bar.skip(done)

            def converted(shard: int) -> Iterator[record_workers.Chunk]:
                nonlocal done
                for chunk in itertools.islice(results, len(chunks[shard])):
                    yield chunk
                    done += chunk.report.count + len(chunk.report.bad)
                    bar.update(done)

            for shard in to_do:
                self._write_shard(shard, digests[shard], converted(shard))
        self._check_bad([bad for shard in mine for bad in self.partial.shard(shard)["bad"]])

    def _write_shard(self, shard: int, digest: str, chunks: Iterable[record_workers.Chunk]) -> None:
        """Writes a file per level under a temporary name, and names all of them at the end."""
        reports, streams, files = [], {}, []
        with contextlib.ExitStack() as stack:
            for chunk in chunks:
                for resolution, data in chunk.levels.items():
                    if resolution not in streams:
                        name = records.shard_file_name(self.name, resolution, shard, len(self.shards))
                        stream, temporary = self.partial.open_temporary(name)
                        streams[resolution] = stack.enter_context(stream)
                        files.append((temporary, name))
                    streams[resolution].write(data)
                reports.append(chunk.report)
            sizes = {}
            for resolution, stream in streams.items():
                stream.flush()
                sizes[resolution] = stream.tell()
            # They are open until they are renamed: else they would be taken for leftovers.
            report = Report.total(reports)._asdict()
            self.partial.finish_shard(shard, files, {**report, "bytes": sizes, "pictures": digest})

    def _digest(self, shard: int) -> str:
        """Changes when a picture of the shard does."""
        digest = hashlib.sha256()
        for index in self.shards[shard]:
            digest.update(self.source.fingerprint(int(index)).encode() + b"\0")
        return digest.hexdigest()[:16]

    def finish(self, note: Note) -> None:
        """After the last shard: writes labels and description, and publishes the set."""
        reports = [self.partial.shard(shard) for shard in range(len(self.shards))]
        missing = [str(shard) for shard, found in enumerate(reports) if found is None]
        if missing:
            raise UserError(f"{len(missing)} of {len(reports)} shards are not written yet: {', '.join(missing[:20])}.")
        report = Report.total([Report.stored(found) for found in reports])
        self._check_bad(report.bad)
        self._check_counts(reports)
        self._check_files(reports)
        folder = self.partial.files
        labels = self._kept_labels(report.bad)
        if labels is not None:
            with open(folder / records.labels_file_name(self.name), "wb") as stream:
                np.save(stream, labels)
        made_by = {"conversion": self._digest_of(found.get("pictures") for found in reports)}
        description = json.dumps({**self._describe(report), **made_by}, indent=1) + "\n"
        (folder / DESCRIPTION_FILE).write_text(description, encoding="utf-8")
        skipped = [*self.source.skipped, *(Skipped(reason, "that cannot be read") for _, reason in report.bad)]
        name = self.source.name
        skipped += [Skipped(f"{name(one)} as {name(other)}", "duplicates") for one, other in self._equal.items()]
        list_skipped(skipped, folder)
        self.partial.publish()
        for line in summary_lines(self.source, labels, report, skipped, self.partial.place):
            note(line)

    def _kept_labels(self, bad: Sequence[tuple[int, str]]) -> Optional[np.ndarray]:
        """In the order of the records; None without labels."""
        if self.source.labels is None:
            return None
        skipped = {index for index, _ in bad}
        kept = [index for index in np.concatenate(self.shards) if index not in skipped]
        return np.asarray(self.source.labels, np.float32)[kept]

    def _check_bad(self, bad: Sequence[tuple[int, str]]) -> None:
        if bad and not self.options.skip_bad:
            path = self.partial.list_unreadable(reason for _, reason in bad)
            kept = "; finished shards are not written again" if path else ""
            raise UserError(
                f"{len(bad)} of {len(self.source)} pictures cannot be read: {_listed(bad, path)}. Repair them, or pass "
                f"`skip_bad` to leave them out{kept}."
            )

    def _check_counts(self, reports: list[dict]) -> None:
        """Every shard has a record: files without any are not offered by TFRecord's readers."""
        bad = [entry for found in reports for entry in found["bad"]]
        if len(bad) == sum(map(len, self.shards)):
            raise UserError(f"none of the {len(bad)} pictures can be read: {_listed(bad[:1])}.")
        for shard, found in enumerate(reports):
            if not found["count"]:
                raise UserError(
                    f"none of the {len(found['bad'])} pictures of shard {shard} can be read: {_listed(found['bad'])}. "
                    f"Repair them, or take fewer `shards` than {len(reports)}, so that each holds others as well."
                )

    def _check_files(self, reports: list[dict]) -> None:
        """Every shard has its files, of the size that was written; after parts their checksums are also compared."""
        for shard, found in enumerate(reports):
            for resolution, size in found["bytes"].items():
                name = records.shard_file_name(self.name, int(resolution), shard, len(reports))
                path = self.partial.files / name
                if not path.is_file() or path.stat().st_size != size:
                    raise UserError(f"{path} is not what was written: {self.partial.restart_advice}.")
                if self.options.join:
                    damaged = next((r for r in tfrecord_files.scan(path, verify=True) if r.damage), None)
                    if damaged is not None:
                        raise UserError(f"{path} is damaged: {self.partial.restart_advice}.")

    def _describe(self, report: Report) -> dict:
        """The content of dataset.json."""
        source, box = self.source, report.box
        return {
            "name": self.name,
            "count": report.count,
            "resolution": source.resolution,
            "num_channels": source.num_channels,
            "has_planes": source.has_planes,
            "levels": [2**log2 for log2 in range(source.resolution.bit_length() - 1, 1, -1)],
            "encoding": self.options.encoding,
            "num_shards": len(self.shards),
            "label_size": 0 if source.labels is None else source.labels.shape[1],
            "label_names": list(source.label_names),
            # Where pictures were stretched: width by height of what they were.
            "aspect_ratio": report.statistics.aspect_ratio,
            # Where pictures are letterboxed: left, top, right, bottom in pixels of the largest level.
            "content_box": None if box == (0, 0, source.resolution, source.resolution) else list(box),
        }


def _duplicates(source, options: WriteOptions, progress: StartProgress) -> dict[int, int]:
    """Number of a picture -> of the first one with the same pixels. Decodes all pictures."""
    first: dict[str, int] = {}
    equal: dict[int, int] = {}
    chunks, index = record_workers.chunks_of(source, range(len(source))), 0
    found = record_workers.map_chunks(record_workers.digests_of, (source,), chunks, _num_workers(options, len(chunks)))
    with progress(len(source), "Looking for duplicates", "images") as bar, contextlib.closing(found):
        for digest in itertools.chain.from_iterable(found):
            if digest and first.setdefault(digest, index) != index:
                equal[index] = first[digest]
            index += 1
            bar.update(index)
    return equal


def _num_workers(options: WriteOptions, num_chunks: int) -> int:
    """Starting processes takes as long as a few chunks."""
    return min(options.workers or record_workers.available_cores(), num_chunks // 4)


def _plan(source, options: WriteOptions, num_shards: int) -> dict:
    """What two runs must have in common to write shards of one set."""
    names = hashlib.sha256()
    for index in range(len(source)):
        names.update(source.name(index).encode("utf-8", "backslashreplace") + b"\0")
    pictures = getattr(source, "options", None)
    described = {name: getattr(pictures, name) for name in _PICTURE_OPTIONS} if pictures else {}
    if pictures:
        described["background"] = list(parse_background(pictures.background))
    return {
        "source": f"{len(source)} pictures, {names.hexdigest()[:16]}",
        "resolution": source.resolution,
        "channels": source.num_channels,
        **described,
        "shards": num_shards,
        "seed": options.seed if options.shuffle else None,
        "encoding": options.encoding,
        "labels": list(source.label_names),
        "drop_duplicates": options.drop_duplicates or None,
    }


def _num_shards(count: int, options: WriteOptions, expected: Estimate) -> int:
    num_shards = min(4, count) if options.shards is None else options.shards
    if options.shard_mb is not None:
        shard_bytes = max(1, int(options.shard_mb * 1e6))
        num_shards = min(count, 99999, -(-count * expected.largest_level_bytes // shard_bytes))
    if num_shards > min(count, 99999):
        raise UserError(f"`shards` must be between 1 and the number of images ({count}), got {num_shards}.")
    if options.part and options.part_numbers[1] > num_shards:
        raise UserError(f"`part` i/n needs 1 <= i <= n <= {num_shards} (the number of shards), got {options.part}.")
    return num_shards


def _listed(bad: Sequence[tuple[int, str]], path: Optional[pathlib.Path] = None) -> str:
    everything = f", all in {path}" if path else ""
    more = f"; and {len(bad) - _LISTED} more{everything}" if len(bad) > _LISTED else ""
    return "; ".join(reason for _, reason in bad[:_LISTED]) + more


def _check_dest(dest: Union[pathlib.Path, str], overwrite: bool) -> None:
    """UserError if a dataset must not be written there. What an interrupted upload has left is replaced."""
    if isinstance(dest, str):  # An address.
        names = Store(dest).names()
        if UPLOADING not in names or DESCRIPTION_FILE in names:
            _check_names(dest, {name.partition("/")[0] for name in names}, overwrite)
    elif dest.exists():
        if not dest.is_dir():
            raise UserError(f"`dest` {dest} is a file: give the name of a new folder.")
        _check_names(dest, {path.name for path in dest.iterdir()}, overwrite)


def _check_names(dest: Union[pathlib.Path, str], names: Collection[str], overwrite: bool) -> None:
    if not names:
        return
    if not overwrite:
        raise UserError(f"`dest` {dest} exists and is not empty: give another folder, or `overwrite` to replace it.")
    if not any(map(records.parse_shard_file_name, names)):  # Never delete what may be somebody's photographs.
        raise UserError(f"`dest` {dest} exists and holds no dataset: `overwrite` replaces datasets only.")
    foreign = sorted(name for name in names if not _is_of_dataset(name))
    if foreign:
        raise UserError(
            f"`dest` {dest} also holds {foreign[0]}, which belongs to no dataset and which `overwrite` would delete: "
            "move it away, or give another folder."
        )


def _is_of_dataset(name: str) -> bool:
    is_labels = name.endswith(records.labels_file_name(""))
    others = (DESCRIPTION_FILE, LEFT_OUT_FILE, UPLOADING)
    return is_labels or name in others or records.parse_shard_file_name(name) is not None
