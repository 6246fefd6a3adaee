"""The decisions of a watch, without any I/O: what is news, what is ready, and what is offered when."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from airflow_provider_aiopt.data.uploads import Upload
from airflow_provider_aiopt.spec.uploads import UploadWatchSpec
from airflow_provider_aiopt.uploads.known import KnownVersions, digest_of
from airflow_provider_aiopt.uploads.offers import MicroBatcher, Offer, Offers
from airflow_provider_aiopt.uploads.settling import Settling, Sighting

_LOCAL_SETTLE_S = 1.0
_MAX_OPEN = 50_000  # what is beyond them stays in its place and is found by a later scan


class Detector:
    """Follows the uploads of one location from the first sighting to the claim.

    :param spec: the watch
    :param known: what needs no offer
    :param is_local: whether files may be seen while they are written
    :param clock: a monotonic clock, in seconds
    :param wall: seconds since the epoch, only for what is recorded
    """

    def __init__(
        self,
        spec: UploadWatchSpec,
        known: KnownVersions,
        *,
        is_local: bool,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self.known = known
        self._clock = clock
        self._wall = wall
        self._settling = Settling(
            settle_s=spec.settle_s,
            default_s=_LOCAL_SETTLE_S if is_local else 0.0,
            min_age_s=spec.min_age_s,
        )
        self._batcher = MicroBatcher(window_s=spec.window_s, max_batch=spec.max_batch)
        self._offers = Offers(reoffer_s=spec.reoffer_s)

    @property
    def unclaimed(self) -> int:
        """How many uploads were offered and are not known to be claimed."""
        return len(self._offers)

    def news(self, sightings: Sequence[Sighting]) -> list[Sighting]:
        """Return those of *sightings* that have yet to be offered."""
        unknown = self.known.unknown([digest_of(sighting.key) for sighting in sightings])
        now = self._clock()
        fresh = []
        for sighting in map(sightings.__getitem__, unknown):
            if sighting.key in self._offers:
                self._offers.see(sighting.key, now)
            elif sighting.key not in self._batcher:
                fresh.append(sighting)
        return fresh

    def see(self, sighting: Sighting, *, closed: bool | None = None) -> None:
        """Note that news was seen.

        :param closed: whether nobody has the file open for writing; None where that cannot be told
        """
        if sighting.key in self._offers or sighting.key in self._batcher:
            return  # an event and a scan told of it in the same moment
        full = len(self._offers) + len(self._batcher) + len(self._settling) >= _MAX_OPEN
        if full and sighting.uri not in self._settling:
            return
        now = self._clock()
        upload = self._settling.see(sighting, closed=closed, now=now, wall=self._wall())
        if upload is not None:
            self._batcher.add(upload, now)

    def see_again(self, uri: str) -> None:
        """Note that a version that is not ready yet is still there, as nothing else was heard."""
        self.see(self._settling.waiting(uri))

    def gone(self, uri: str) -> None:
        """Note that there is no object at *uri*."""
        self._settling.forget(uri)

    def listed(self, since: float) -> None:
        """Note that a complete listing, begun at *since*, is done: what it did not show is gone."""
        self._settling.forget_unseen(since)
        self._offers.end_unseen(since)

    def release(self, upload: Upload, consumer: str) -> None:
        """Offer an upload again whose claim *consumer* gave back."""
        self.known.discard(digest_of(upload.key))
        if upload.key not in self._offers:
            now = self._clock()
            self._offers.add(upload, now, consumer=consumer)
            self._batcher.add(upload, now)

    def to_look_at(self) -> list[str]:
        """Return the URIs of the files that are to be looked at again now."""
        return self._settling.due(self._clock())

    def to_look_up(self) -> list[Offer]:
        """Return the offers whose claim is to be looked for now; :meth:`looked_up` takes the answer."""
        return self._offers.to_look_up(self._clock())

    def looked_up(self, offers: Collection[Offer], claimed: Collection[str]) -> None:
        """Note which of *offers* have a claim; of the others, those that are due are offered again.

        :param claimed: keys of the uploads that are claimed
        """
        now = self._clock()
        for offer in offers:
            if offer.upload.key in claimed:
                self._offers.end(offer.upload.key)
                self.known.add(digest_of(offer.upload.key))
        for upload in self._offers.unanswered(offers, now):
            self._batcher.add(upload, now)

    def batch(self) -> list[Upload]:
        """Return the uploads of the next event, now on offer; none where there is none to be made yet."""
        now = self._clock()
        uploads = self._batcher.cut(now)
        for upload in uploads:
            if upload.key not in self._offers:
                self._offers.add(upload, now)
        return uploads

    def next_deadline(self) -> float | None:
        """Return when there is something to do without any further sighting, by the monotonic clock."""
        times = (self._settling.next_look(), self._batcher.next_cut(), self._offers.next_look())
        return min((time for time in times if time is not None), default=None)
