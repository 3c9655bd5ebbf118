# SPDX-License-Identifier: BSD-2-Clause
"""Whether a gateway kept its certificates alive, from what others saw of it: when the registrar issued
which certificate (its ledger), which of them were found in force on the disk, and what was broken when
(the fault plan). Pure arithmetic on seconds; nothing here asks the daemon.

A minute without a valid certificate could have been avoided, unless something was broken that no
daemon can do anything about, or it is within RECOVERY of its end. All of a gap could have been avoided
when the certificate that ended was due for renewal and the way was open for long enough before.
"""
import dataclasses

MINUTE, HOUR, DAY = 60, 3600, 86400

# A daemon without a valid certificate tries once an hour at least, give or take a fifth, and an attempt
# takes some minutes.
RECOVERY = 75 * MINUTE
# With one it tries so often that a tenth of the life that is left never passes unused, give or take a
# fifth of that.
TRY_SHARE, TRY_LEAST = 0.15, 6 * MINUTE
# Renewal is due after two thirds of the life, and a twentieth of it that differs between machines.
DUE_SHARE = 0.72
# So many datagrams that begin a handshake an identity may send a day, whatever happens: even with all
# their repetitions that is some hundred attempts.
HELLOS_A_DAY = 1000


@dataclasses.dataclass(frozen=True)
class Certificate:
    """One that was found in force. Where from and until when: seconds since 1970."""
    serial: str
    issued_at: float
    not_before: float
    not_after: float

    @property
    def due(self):
        return self.not_before + DUE_SHARE * (self.not_after - self.not_before)


def length(spans):
    return sum(end - begin for begin, end in spans)


def clip(spans, begin, end):
    """The parts of the spans between begin and end."""
    cut = ((max(a, begin), min(b, end)) for a, b in spans)
    return [(a, b) for a, b in cut if a < b]


def merge(spans):
    """Spans in order, those that touch made one."""
    merged = []
    for a, b in sorted(spans):
        if merged and a <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(b, merged[-1][1]))
        elif a < b:
            merged.append((a, b))
    return merged


def without(begin, end, spans):
    """What of begin to end is in none of the spans."""
    left, at = [], begin
    for a, b in merge(clip(spans, begin, end)):
        if at < a:
            left.append((at, a))
        at = b
    return left + ([(at, end)] if at < end else [])


class Life:
    """One identity from `begin` to `end`, with what was broken: spans (from, to)."""

    def __init__(self, certificates, broken, begin, end):
        self.certificates = sorted(certificates, key=lambda c: c.issued_at)
        self.broken = merge(broken)
        self.begin, self.end = begin, end

    def gaps(self):
        """When no certificate was valid."""
        valid = [(c.issued_at, c.not_after) for c in self.certificates]
        return without(self.begin, self.end, valid)

    def could_renew(self, gap_begin):
        """Whether the certificate that ended with the gap's begin could have been renewed in time."""
        ended = [c for c in self.certificates if c.not_after == gap_begin]
        if not ended:
            return False
        for a, b in without(max(ended[-1].due, ended[-1].issued_at), gap_begin, self.broken):
            if b - a >= TRY_SHARE * (gap_begin - a) + TRY_LEAST:
                return True
        return False

    def avoidable(self):
        """Spans without a valid certificate that need not have been."""
        excused = [(a, b + RECOVERY) for a, b in self.broken] + [(self.begin, self.begin + RECOVERY)]
        spans = []
        for a, b in self.gaps():
            spans += [(a, b)] if self.could_renew(a) else without(a, b, excused)
        return spans

    def recovering(self):
        """Spans without a valid certificate after what was broken was mended."""
        return [span for a, b in self.gaps() for span in without(a, b, self.broken)]

    def remaining(self):
        """For each renewal the share of the certificate's life that was left, and whether the way
        was open for all the time that it was due."""
        found = []
        for old, new in zip(self.certificates, self.certificates[1:]):
            left = (old.not_after - new.issued_at) / (old.not_after - old.not_before)
            found.append((left, not clip(self.broken, old.due, new.issued_at)))
        return found

    def too_many(self):
        """How many more certificates were issued than two for each that was due, or None."""
        may, at = 2, self.begin
        for certificate in self.certificates:
            may += 2 * (certificate.issued_at >= at)
            at = certificate.not_before + 0.6 * (certificate.not_after - certificate.not_before)
        return max(0, len(self.certificates) - may - 4 * len(self.broken)) or None
