"""Walking the chain: every seal, link and signature checked, and the head held against the witness."""

from __future__ import annotations

from collections.abc import Iterator

from headwater.core.gate import Finding, Severity
from headwater.ledger.entries import GENESIS, SIGNERS, Ledger

__all__ = ["check_chain"]


def check_chain(ledger: Ledger) -> Iterator[Finding]:
    """Yield a blocking finding for every entry that was changed, removed, added by another, or cut off the end.

    An entry that no longer matches its seal, link or signature is named by its number. A chain that ends before the
    witness, or holds another entry where the witness saw one, was cut or restored to an older state.
    """
    seen = ledger.witness.read()
    expected_seq, previous, at_witness = 1, GENESIS, None
    for entry in ledger.entries():
        subject = f"ledger:{entry.seq}"
        if entry.seq != expected_seq:
            yield _block("ledger.gap", subject, f"entry {expected_seq} is missing: the next one is {entry.seq}")
        if entry.previous != previous:
            yield _block("ledger.link", subject, f"entry {entry.seq} does not follow the entry before it")
        if entry.seal != entry.expected_seal():
            yield _block("ledger.seal", subject, f"entry {entry.seq} ({entry.kind}) was changed: it does not match its seal")
        elif entry.signature.role != SIGNERS.get(entry.kind) or not ledger.keys.verify(entry.signature, entry.seal.encode()):
            yield _block("ledger.signature", subject, f"entry {entry.seq} ({entry.kind}) is not signed by the key pinned for that kind")
        if seen and entry.seq == seen[0]:
            at_witness = entry.seal
        expected_seq, previous = entry.seq + 1, entry.seal
    if seen and at_witness != seen[1]:
        last = expected_seq - 1
        what = (
            f"ends at entry {last}, the witness saw entry {seen[0]}"
            if last < seen[0]
            else f"has another entry {seen[0]} than the witness saw"
        )
        yield _block("ledger.witness", "ledger", f"the ledger {what}: it was cut short or an old state was restored")


def _block(code: str, subject: str, message: str) -> Finding:
    return Finding(severity=Severity.BLOCK, code=code, subject=subject, message=message)
