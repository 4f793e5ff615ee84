"""A finding: what is wrong with a net, how bad it is, and what would mend it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias

Severity: TypeAlias = Literal["severe", "warning", "note"]
SEVERE: Severity = "severe"
WARNING: Severity = "warning"
NOTE: Severity = "note"
# What happens to a net of which that is said.
MEANINGS = {SEVERE: "won't train", WARNING: "trains slower", NOTE: "for your information"}
_RANK = {SEVERE: 0, WARNING: 1, NOTE: 2}

# One value is then less than the rounding of the other.
BFLOAT16 = 2.0**-8
BFLOAT16_SOURCE = "bfloat16 keeps 8 bits"


@dataclass(frozen=True)
class Finding:
    """``value`` is what was found over ``threshold``, whose origin ``source`` says.

    ``kind``: a short name. ``severity``: severe (it won't train as it is), warning (it trains more
    slowly than it could) or note (on purpose, as far as one can tell). ``sites``: the labels it is
    about, worst first. ``text``: the finding; ``cure``: what would mend it. ``follows``: kinds of
    findings that are its consequences, with their first words. ``factors``: what the cure would
    multiply the kernels of rows by, by their labels.
    """

    kind: str
    severity: Severity
    sites: tuple[str, ...]
    text: str
    cure: str
    value: float = float("nan")
    threshold: float = float("nan")
    source: str = ""
    follows: tuple[str, ...] = ()
    factors: tuple[tuple[str, float], ...] = ()

    @property
    def rank(self) -> int:
        """0 for severe, 1 for a warning, 2 for a note."""
        return _RANK[self.severity]

    def with_severity(self, severity: Severity) -> "Finding":
        """The same, judged otherwise."""
        return replace(self, severity=severity)

    def __str__(self) -> str:
        """Severity, what, threshold and its source, what follows from it, cure."""
        limit = f" (threshold {self.threshold:.3g}: {self.source})" if self.source else ""
        so = f" And so: {'; '.join(self.follows)}." if self.follows else ""
        return f"{self.severity}: {self.text}{limit}.{so} {self.cure}".rstrip()


def named(labels: tuple[str, ...] | list[str]) -> str:
    """``labels`` as they stand in a sentence: a few, or the first, the last and their number."""
    names = list(dict.fromkeys(labels))
    return ", ".join(names) if len(names) <= 3 else f"{names[0]} .. {names[-1]} ({len(names)})"


def without_ignored(findings: Sequence[Finding], ignore: Sequence[str]) -> tuple[Finding, ...]:
    """Less those of a kind in ``ignore``, or of which all sites match a pattern in it.

    A pattern is a shell's: ``head/*``, ``*bias``. Matched sites are also left out of the others.
    """
    kept = []
    for finding in findings:
        sites = tuple(site for site in finding.sites if not _matches(site, ignore))
        if finding.kind not in ignore and (sites or not finding.sites):
            kept.append(replace(finding, sites=sites))
    return tuple(kept)


def _matches(site: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(site, pattern) for pattern in patterns)
