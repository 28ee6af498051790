"""The verdict on a file: the chain from its first event to its head, and every checkpoint that a given key signed.

TAMPERED is proven; UNVERIFIABLE says that nothing is. Whoever can write the file can write its header, so the file is
believed to be whole only as far as a checkpoint says so: best one that was kept elsewhere.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Final

from audit_verifier.chain import Chain, TamperedError
from audit_verifier.export import ExportError, Header, checkpoint_of, header_of
from audit_verifier.note import (
    Checkpoint,
    ForgedError,
    KeyFormatError,
    NoteError,
    PublicKey,
    UnknownKeyError,
    notes_in,
    opened,
)

CODES: Final = {"OK": 0, "REDACTED": 0, "PARTIAL": 0, "TAMPERED": 1, "UNVERIFIABLE": 2}


@dataclass
class Report:
    """What was found. `first_bad_seq` is the event, or the first of those among which it is."""

    verdict: str
    reason: str | None = None
    first_bad_seq: int | None = None
    organization_id: str | None = None
    checked: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def code(self) -> int:
        """The exit code: 0 verified, 1 tampered, 2 cannot be verified."""
        return CODES[self.verdict]

    def lines(self) -> list[str]:
        """For people: the verdict first."""
        head = f"{self.verdict}: {self.reason or f'{self.checked} events of organization {self.organization_id}'}"
        first = [] if self.first_bad_seq is None else [f"first bad seq: {self.first_bad_seq}"]
        return [head, *first, *self.notes]


class UnverifiableError(Exception):
    """Nothing can be said: a bad file, the wrong key, no checkpoint."""


def verify(path: Path, keys: Sequence[str], checkpoints: Path | None = None, *, is_partial: bool = False) -> Report:
    """Verify an export. `keys` are public keys in text, `checkpoints` a file of notes kept outside the database.

    `is_partial` accepts a file that says itself that it holds a part: a range, or what is left after pruning.
    """
    report = Report("OK")
    try:
        trusted = [PublicKey.parse(key) for key in keys]
        with path.open(encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            header = header_of(file.readline())
            report.organization_id = header.organization_id
            kept = _kept(checkpoints, header, trusted) if checkpoints else []
            _verify(file, header, trusted, kept, report, is_partial=is_partial)
    except TamperedError as error:
        report.verdict, report.reason, report.first_bad_seq = "TAMPERED", str(error), error.seq
    except KeyFormatError as error:
        report.verdict, report.reason = "UNVERIFIABLE", f"the key cannot be used: {error}"
    except ExportError as error:
        report.verdict, report.reason = "UNVERIFIABLE", f"{path.name} is not a whole export: {error}"
    except UnverifiableError as error:
        report.verdict, report.reason = "UNVERIFIABLE", str(error)
    except OSError as error:
        report.verdict, report.reason = "UNVERIFIABLE", f"{error.filename or path} cannot be read: {error.strerror}"
    return report


def _verify(
    file: IO[str],
    header: Header,
    keys: Sequence[PublicKey],
    kept: list[Checkpoint],
    report: Report,
    *,
    is_partial: bool,
) -> None:
    chain = Chain(header, frozenset(header.sizes) | {checkpoint.size for checkpoint in kept})
    chain.follow(islice(file, header.to_seq - header.from_seq + 1))
    report.checked = chain.seq - header.from_seq + 1
    _ends_at_its_head(header, chain)
    signed = [*kept, *_stored(file, header, keys)]
    checked = _agree(chain, header, signed)
    if not header.is_whole and not is_partial:
        raise UnverifiableError(f"the file holds {_part(header)} alone; --partial verifies that part")
    if not checked:
        raise UnverifiableError(
            "no checkpoint covers any of these events: nothing says that they are the original ones"
        )
    if chain.redacted_count:
        report.notes.append(f"{chain.redacted_count} payloads were redacted; their events are as they were written")
    report.verdict = "REDACTED" if chain.redacted_count else "OK" if header.is_whole else "PARTIAL"
    report.notes += _remarks(header, chain, checked, has_kept=bool(kept))


def _ends_at_its_head(header: Header, chain: Chain) -> None:
    if chain.seq < header.to_seq:
        raise TamperedError(chain.seq + 1, f"event {chain.seq + 1} is missing")
    if header.head_seq is None:
        if chain.seq:
            raise TamperedError(chain.seq, "the head of the chain is missing")
    elif chain.seq > header.head_seq:
        raise TamperedError(header.head_seq + 1, f"event {header.head_seq + 1} stands beyond the head of the chain")
    elif chain.seq == header.head_seq > 0 and header.head_hash != chain.head.hex():
        raise TamperedError(chain.seq, f"the head of the chain does not hold the hash of event {chain.seq}")


def _stored(file: IO[str], header: Header, keys: Sequence[PublicKey]) -> Iterator[Checkpoint]:
    """The checkpoints at the end of the file: each is what its row says, and all that were announced are there."""
    sizes = []
    for line in file:
        if line.startswith("["):
            raise TamperedError(header.to_seq + 1, f"event {header.to_seq + 1} stands beyond the end of the chain")
        row = checkpoint_of(line)
        size = row["tree_size"]
        sizes.append(size)
        origins = [key.origin(header.organization_id) for key in keys]
        try:
            checkpoint = opened(str(row["note"]), keys)
        except UnknownKeyError:
            raise UnverifiableError(
                f"the checkpoint of {size} events is not signed by this key, but by {row['key_id']}"
            ) from None
        except ForgedError:
            raise TamperedError(
                _first_covered(sizes), f"the signature of the checkpoint of {size} events is wrong"
            ) from None
        except NoteError as error:
            raise TamperedError(
                _first_covered(sizes), f"the checkpoint of {size} events was changed: {error}"
            ) from None
        labels = {key.label for key in keys}
        if (checkpoint.size, checkpoint.root.hex()) != (size, row["root_hash"]) or row["key_id"] not in labels:
            raise TamperedError(_first_covered(sizes), f"the row of the checkpoint of {size} events was changed")
        if checkpoint.origin not in origins:
            raise TamperedError(_first_covered(sizes), f"the checkpoint of {size} events is another organization's")
        yield checkpoint
    if tuple(sizes) != header.sizes:
        raise ExportError("not all of its checkpoints are there")


def _first_covered(sizes: Sequence[int]) -> int:
    return sizes[-2] + 1 if len(sizes) > 1 else 1


def _agree(chain: Chain, header: Header, signed: Sequence[Checkpoint]) -> list[Checkpoint]:
    """The checkpoints that speak about these events; each agrees with them, or the events were made anew."""
    agreed = header.from_seq - 1
    checked = []
    for checkpoint in sorted(signed, key=lambda each: each.size):
        if checkpoint.size > header.last_seq:
            reason = (
                f"a checkpoint has {checkpoint.size} events, the chain {header.last_seq}:"
                " its tail was cut, or an old backup restored"
            )
            raise TamperedError(header.last_seq + 1, reason)
        if not header.from_seq - 1 <= checkpoint.size <= chain.seq or checkpoint.size == 0:
            continue
        if chain.roots[checkpoint.size] != checkpoint.root:
            reason = f"events {agreed + 1} to {checkpoint.size} are not those that were signed: the chain was made anew"
            raise TamperedError(agreed + 1, reason)
        agreed = checkpoint.size
        checked.append(checkpoint)
    return checked


def _kept(path: Path, header: Header, keys: Sequence[PublicKey]) -> list[Checkpoint]:
    """The checkpoints of the export's organization in a file of notes. Raises UnverifiableError."""
    origins = {key.origin(header.organization_id) for key in keys}
    found = []
    with path.open(encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        for number, note in notes_in(file):
            if note is None:
                continue  # a crash cut it: what it would have said, nobody was told
            try:
                if note.partition("\n")[0] in origins:
                    found.append(opened(note, keys))
                else:
                    Checkpoint.parse(note)
            except NoteError as error:
                raise UnverifiableError(f"{path.name}, line {number}: {error}") from None
    if not found:
        raise UnverifiableError(f"{path.name} has no checkpoint of organization {header.organization_id} by this key")
    return found


def _part(header: Header) -> str:
    if header.pruned_seq and header.from_seq == header.pruned_seq + 1:
        return f"what is left after events up to {header.pruned_seq} were pruned"
    return f"events {header.from_seq} to {header.to_seq}"


def _remarks(header: Header, chain: Chain, checked: Sequence[Checkpoint], *, has_kept: bool) -> list[str]:
    last = max(checkpoint.size for checkpoint in checked)
    remarks = [f"{len({checkpoint.size for checkpoint in checked})} checkpoints agree, the last of {last} events"]
    if not header.is_whole:
        remarks.append(f"verified: {_part(header)}")
    if last < chain.seq:
        remarks.append(f"events {last + 1} to {chain.seq} are not covered by a checkpoint yet")
    if not has_kept:
        remarks.append("without --checkpoint, a tail cut off together with its checkpoints would not be seen")
    return remarks
