"""What was offered and is not known to be claimed, and the cutting of ready uploads into events."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

from airflow_provider_aiopt.data.uploads import Upload
from airflow_provider_aiopt.spec.uploads import MAX_REOFFER_S

_FIRST_LOOK_S = 5.0
_LONGEST_LOOK_S = 60.0


@dataclass(slots=True)
class Offer:
    """An upload that was offered.

    :param upload: the upload
    :param consumer: whose claim ends the offer; None: anybody's
    :param seen: when its version was last seen in its place
    :param look_at: when to look for its claim
    :param look_s: seconds between the last looks
    :param offer_at: when to offer it again
    :param offer_s: seconds between the last offers
    """

    upload: Upload
    consumer: str | None
    seen: float
    look_at: float
    look_s: float
    offer_at: float
    offer_s: float


class Offers:
    """The offers that no claim has answered yet; all times are of the monotonic clock, in seconds.

    :param reoffer_s: seconds before the second offer; it doubles from one to the next, up to an hour
    """

    def __init__(self, *, reoffer_s: float) -> None:
        self._reoffer_s = reoffer_s
        self._offers: dict[str, Offer] = {}
        self._times: list[
            tuple[float, str]
        ] = []  # a heap; entries of ended offers are dropped when they come up

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._offers)

    def __contains__(self, key: str) -> bool:
        """Whether the upload with that key is on offer."""
        return key in self._offers

    def add(self, upload: Upload, now: float, *, consumer: str | None = None) -> None:
        """Note that *upload* is offered."""
        self._offers[upload.key] = Offer(
            upload,
            consumer,
            seen=now,
            look_at=now + _FIRST_LOOK_S,
            look_s=_FIRST_LOOK_S,
            offer_at=now + self._reoffer_s,
            offer_s=self._reoffer_s,
        )
        self._schedule(upload.key)

    def see(self, key: str, now: float) -> None:
        """Note that the version is still in its place."""
        self._offers[key].seen = now

    def end(self, key: str) -> None:
        """Forget an offer: it was claimed, or there is nothing left to offer."""
        self._offers.pop(key, None)

    def end_unseen(self, since: float) -> None:
        """Forget what was not seen since a complete listing was begun: there is nothing left to offer."""
        for key in [key for key, offer in self._offers.items() if offer.seen < since]:
            del self._offers[key]

    def to_look_up(self, now: float) -> list[Offer]:
        """Return the offers whose claim is to be looked for now."""
        due = {}
        while self._times and self._times[0][0] <= now:
            _, key = heapq.heappop(self._times)
            if key in self._offers:
                due[key] = self._offers[key]
        return list(due.values())

    def unanswered(self, offers: Iterable[Offer], now: float) -> list[Upload]:
        """Note that no claim was found for *offers*, and return what of them is to be offered again now."""
        again = []
        for offer in offers:
            if offer.upload.key not in self._offers:
                continue
            offer.look_s = min(offer.look_s * 2, _LONGEST_LOOK_S)
            offer.look_at = now + offer.look_s
            if offer.offer_at <= now:
                offer.offer_s = min(offer.offer_s * 2, MAX_REOFFER_S)
                offer.offer_at = now + offer.offer_s
                again.append(offer.upload)
            self._schedule(offer.upload.key)
        return again

    def next_look(self) -> float | None:
        """Return when the next claim is to be looked for."""
        return self._times[0][0] if self._times else None

    def _schedule(self, key: str) -> None:
        offer = self._offers[key]
        heapq.heappush(self._times, (min(offer.look_at, offer.offer_at), key))


class MicroBatcher:
    """Collects ready uploads and cuts them into events.

    :param window_s: seconds for which the first upload of an event waits for others
    :param max_batch: most uploads in one event
    """

    def __init__(self, *, window_s: float, max_batch: int) -> None:
        self._window_s = window_s
        self._max_batch = max_batch
        self._ready: dict[str, tuple[Upload, float]] = {}

    def __len__(self) -> int:
        """Return how many uploads wait."""
        return len(self._ready)

    def __contains__(self, key: str) -> bool:
        """Whether the upload with that key waits."""
        return key in self._ready

    def add(self, upload: Upload, now: float) -> None:
        """Add a ready upload; one that waits already is not added twice."""
        self._ready.setdefault(upload.key, (upload, now))

    def next_cut(self) -> float | None:
        """Return when the next event is to be cut."""
        if not self._ready:
            return None
        _, since = next(iter(self._ready.values()))
        return since if len(self._ready) >= self._max_batch else since + self._window_s

    def cut(self, now: float) -> list[Upload]:
        """Return the uploads of the next event, none where it is too early."""
        due = self.next_cut()
        if due is None or due > now:
            return []
        keys = list(self._ready)[: self._max_batch]
        return [self._ready.pop(key)[0] for key in keys]
