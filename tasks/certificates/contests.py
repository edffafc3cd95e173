"""Somebody else writes the caBundles that a rollout writes (R20, R21)."""

from collections import Counter
from collections.abc import Iterable

from tasks.certificates.webhooks import RegisteredBundle


class Contest:
    """Counts how often caBundles had other bytes again after they had been brought to the right ones."""

    def __init__(self) -> None:
        self._brought: set[tuple[str, str]] = set()
        self._undone: Counter[tuple[str, str]] = Counter()
        self._writers: dict[tuple[str, str], str] = {}

    def note(self, bundles: Iterable[RegisteredBundle], trust: bytes) -> None:
        """What is registered right now; every caBundle is brought to the trust after that."""
        for bundle in bundles:
            webhook = (str(bundle.ref), bundle.name)
            if bundle.ca_bundle != trust and webhook in self._brought:
                self._undone[webhook] += 1
                self._writers[webhook] = bundle.writer
            self._brought.add(webhook)

    def text(self) -> str:
        """The caBundle that was undone most often, and by whom; empty when none was."""
        if not self._undone:
            return ""
        [(webhook, times)] = self._undone.most_common(1)
        configuration, name = webhook
        writer = self._writers[webhook] or "a manager without a name"
        return (
            f"the caBundle of {name} in {configuration} written to other bytes {times} times "
            f"meanwhile, last by {writer}"
        )
