"""The blocking half of a watch: scans, looks and claims, a bounded piece of work at each turn."""

from __future__ import annotations

import logging
from array import array
from collections.abc import Iterable, Sequence

from airflow_provider_aiopt.data.folder import reason_of
from airflow_provider_aiopt.data.uploads import Upload
from airflow_provider_aiopt.exceptions import AioptError, StorageError
from airflow_provider_aiopt.spec.uploads import UploadWatchSpec
from airflow_provider_aiopt.uploads.clocks import Clocks
from airflow_provider_aiopt.uploads.detector import Detector
from airflow_provider_aiopt.uploads.known import KnownVersions, digest_of, packed
from airflow_provider_aiopt.uploads.local import LocalLocation
from airflow_provider_aiopt.uploads.offers import Offer
from airflow_provider_aiopt.uploads.remote import RemoteLocation
from airflow_provider_aiopt.uploads.scan import Scan, interval_after
from airflow_provider_aiopt.uploads.settling import Sighting
from airflow_provider_aiopt.uploads.state import UploadState

log = logging.getLogger(__name__)

_LOCAL_SHARE, _REMOTE_SHARE = 0.01, 0.02  # of one core, for scans
_AGAIN_S = 1.0  # events of a folder that has just appeared may have been missed until then
_BURST = 1000  # changes at once after which the kernel may have dropped some
_RELEASES_S = 10.0
_FLUSH_S, _FLUSH = 30.0, 1000
_LEAST_BACKOFF_S, _MOST_BACKOFF_S = 1.0, 60.0


class Follower:
    """Follows one location; :meth:`turn` is called again and again, on one thread at a time.

    :param spec: the watch
    :param location: what is watched
    :param state: what is kept of it
    :param clocks: where to read the time
    """

    def __init__(
        self,
        spec: UploadWatchSpec,
        location: LocalLocation | RemoteLocation,
        state: UploadState,
        clocks: Clocks,
    ) -> None:
        self._spec = spec
        self._location = location
        self._state = state
        self._clocks = clocks
        self._detector: Detector | None = None
        self._baseline: array[int] | None = None
        self._scan: Scan | None = None
        self._is_full = self._has_scanned = False
        self._caught_up = False
        now = clocks.monotonic()
        self._full_at = self._newest_at = now
        self._folders: dict[str, float] = {}
        self._paths: set[str] = set()
        self._releases_at = now
        self._claimed: list[int] = []
        self._flush_at = now + _FLUSH_S
        self._trouble = ""
        self._backoff_s = _LEAST_BACKOFF_S
        self._rests_until = now

    @property
    def is_ready(self) -> bool:
        """Whether all that appears from now on is sure to be offered."""
        return self._caught_up

    def look_soon(self) -> None:
        """Make the next scan at once."""
        self._full_at = self._rests_until = self._clocks.monotonic()

    def without_events(self, error: Exception | None) -> None:
        """Say that there are no file-system events, if *error* says why."""
        if error is not None:
            log.warning(
                "%s is watched by scans alone, every %g s or less often: %s. On Linux raise "
                "fs.inotify.max_user_watches or fs.inotify.max_user_instances",
                self._spec.uri,
                self._spec.rescan_s,
                error,
            )

    def note(self, paths: set[str], overflowed: bool) -> None:
        """Note where file-system events say that something changed.

        :param paths: where
        :param overflowed: whether there were more of them
        """
        self._paths |= paths
        if overflowed or len(paths) > _BURST:
            self._full_at = min(self._full_at, self._clocks.monotonic() + _AGAIN_S)

    def scan_folders(self, folders: Iterable[str]) -> None:
        """Look into these sub-folders at the next turn."""
        now = self._clocks.monotonic()
        self._folders.update(dict.fromkeys(folders, now))

    def turn(self) -> None:
        """Do what is to be done now, up to one page of a scan.

        Storage that fails is said once, and tried again later.
        """
        if self._clocks.monotonic() < self._rests_until and not (self._paths and self._caught_up):
            return
        try:
            self._work()
        except (OSError, AioptError) as error:
            if isinstance(error, AioptError) and not (isinstance(error, StorageError) and error.retryable):
                raise
            self._fail(error)
        else:
            self._recover()

    def batch(self) -> list[Upload]:
        """Return the uploads of the next event, none where there is none to be made yet."""
        return self._detector.batch() if self._detector is not None and self._caught_up else []

    def due_at(self) -> float:
        """Return when the next turn has something to do, by the monotonic clock."""
        now = self._clocks.monotonic()
        if self._rests_until > now:
            return self._rests_until
        if self._scan is not None or self._detector is None:
            return now
        times = [self._full_at, self._releases_at, *self._folders.values()]
        if not self._location.is_local:
            times.append(self._newest_at)
        deadline = self._detector.next_deadline()
        return min([*times, deadline] if deadline is not None else times)

    def close(self) -> None:
        """Keep what is known to be claimed, so that the next start need not ask for it."""
        try:
            self._flush()
        except StorageError as error:  # claims are the truth; this is only a shortcut
            log.warning("%s", error)

    def _work(self) -> None:
        if self._detector is None:
            self._begin()
        if self._detector is not None:
            self._follow(self._detector)

    # The beginning: what was there before.

    def _begin(self) -> None:
        if self._baseline is None:
            self._state.describe(self._spec)
            known = self._state.known()
            if known is not None:
                self._detector = self._made_detector(known)
                return
            self._baseline = array("Q")
            if self._spec.existing == "offer":
                self._end_baseline()
                return
        page = self._next_page(full=True)
        if page is None:
            self._end_baseline()
            return
        self._baseline.extend(digest_of(sighting.key) for sighting in page)

    def _end_baseline(self) -> None:
        """Take what is there for old, except for what an event told of meanwhile."""
        fresh: list[Sighting] = []
        if isinstance(self._location, LocalLocation):
            fresh, _ = self._location.changed(self._paths)
        news = [digest_of(sighting.key) for sighting in fresh]
        is_first = self._state.begin(packed(self._baseline or (), without=news))
        known = self._state.known()
        if known is None:
            raise StorageError(f"{self._state.folder.uri} lost its baseline while it was written")
        self._detector = self._made_detector(known)
        self._baseline = None
        # Another process was first: what came since its baseline is to be offered.
        self._caught_up = is_first and self._spec.existing == "skip"

    def _made_detector(self, known: KnownVersions) -> Detector:
        return Detector(
            self._spec,
            known,
            is_local=self._location.is_local,
            clock=self._clocks.monotonic,
            wall=self._clocks.wall,
        )

    # From then on.

    def _follow(self, detector: Detector) -> None:
        self._take_events(detector)
        self._scan_on(detector)
        self._look_again(detector)
        self._look_up(detector)
        self._take_releases(detector)
        if len(self._claimed) >= _FLUSH or (self._claimed and self._clocks.monotonic() >= self._flush_at):
            self._flush()

    def _take_events(self, detector: Detector) -> None:
        if not isinstance(self._location, LocalLocation):
            return
        now = self._clocks.monotonic()
        paths, self._paths = self._paths, set()
        files, folders = self._location.changed(paths)
        again = {folder for folder, due in self._folders.items() if due <= now}
        for folder in again:
            del self._folders[folder]
        self._folders.update(dict.fromkeys(folders, now + _AGAIN_S))
        for folder in folders | again:
            try:
                files.extend(sighting for page in self._location.pages(folder) for sighting in page)
            except OSError:
                continue  # it is gone again
        self._see(detector, detector.news(files))

    def _scan_on(self, detector: Detector) -> None:
        now = self._clocks.monotonic()
        if self._scan is None and now < self._full_at and (self._location.is_local or now < self._newest_at):
            return
        page = self._next_page(full=now >= self._full_at)
        if page is not None:
            news = detector.news(page)
            if not self._caught_up and news:
                news = self._unclaimed(detector, news)
            self._see(detector, news)

    def _next_page(self, *, full: bool) -> list[Sighting] | None:
        """Return the next page of the scan under way or of a new one; None at its end."""
        scan = self._scan or self._start(full=full)
        try:
            page = scan.next_page()
        except StorageError as error:
            self._scan = None
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
            self._say(f"{self._spec.uri} does not exist; it is watched for")
            page = None
        if page is None:
            self._end(scan)
        return page

    def _start(self, *, full: bool) -> Scan:
        location = self._location
        pages = None
        if not full and isinstance(location, RemoteLocation):
            pages = location.newest_pages()
        self._is_full = pages is None
        self._scan = Scan(
            location.pages() if pages is None else pages,
            self._spec.uri,
            began=self._clocks.monotonic(),
            cpu=location.cpu_clock(),
        )
        return self._scan

    def _end(self, scan: Scan) -> None:
        self._scan = None
        now = self._clocks.monotonic()
        self._newest_at = now + self._spec.poll_interval_s
        if not self._is_full:
            return
        least, share = self._spec.poll_interval_s, _REMOTE_SHARE
        if self._location.is_local:
            least, share = self._spec.rescan_s, _LOCAL_SHARE
        cost = scan.cost_s if self._has_scanned else 0.0  # drivers load what they need at their first call
        self._has_scanned = True
        self._full_at = now + interval_after(cost, least_s=least, share=share)
        if self._detector is not None:
            self._caught_up = True
            self._detector.listed(scan.began)

    def _unclaimed(self, detector: Detector, news: list[Sighting]) -> list[Sighting]:
        """Pass over what was claimed while nobody watched, or was known to another process alone."""
        claimed = self._state.claimed([sighting.key for sighting in news])
        for key in claimed:
            detector.known.add(digest_of(key))
            self._claimed.append(digest_of(key))
        return [sighting for sighting in news if sighting.key not in claimed]

    def _see(self, detector: Detector, news: Sequence[Sighting]) -> None:
        location = self._location
        for sighting in news:
            closed = location.closed(sighting.uri) if isinstance(location, LocalLocation) else None
            detector.see(sighting, closed=closed)

    def _look_again(self, detector: Detector) -> None:
        for uri in detector.to_look_at():
            if not isinstance(self._location, LocalLocation):
                detector.see_again(uri)  # objects appear whole: only their age was waited for
            elif (look := self._location.look(uri)) is None:
                detector.gone(uri)
            else:
                sighting, closed = look
                detector.see(sighting, closed=closed)

    def _look_up(self, detector: Detector) -> None:
        offers = detector.to_look_up()
        if not offers:
            return
        try:
            claimed = self._claimed_of(offers)
        except StorageError:
            detector.looked_up(offers, ())  # they stay on offer, and are looked for again
            raise
        self._claimed.extend(digest_of(key) for key in claimed)
        detector.looked_up(offers, claimed)

    def _claimed_of(self, offers: list[Offer]) -> set[str]:
        claims = self._state.claims
        found = self._state.claimed([offer.upload.key for offer in offers if offer.consumer is None])
        for consumer in {offer.consumer for offer in offers if offer.consumer is not None}:
            keys = [offer.upload.key for offer in offers if offer.consumer == consumer]
            found |= claims.claimed_by(consumer, keys)
        return found

    def _take_releases(self, detector: Detector) -> None:
        now = self._clocks.monotonic()
        if now >= self._releases_at:
            self._releases_at = now + _RELEASES_S
            for release in self._state.releases():
                detector.release(release.upload, release.consumer)

    def _flush(self) -> None:
        self._flush_at = self._clocks.monotonic() + _FLUSH_S
        self._state.deliver(self._claimed)
        self._claimed = []

    # Trouble.

    def _fail(self, error: Exception) -> None:
        self._scan = None
        self._say(f"{self._spec.uri} cannot be watched now, it is tried again: {reason_of(error)}")
        self._rests_until = self._clocks.monotonic() + self._backoff_s
        self._backoff_s = min(self._backoff_s * 2, _MOST_BACKOFF_S)

    def _recover(self) -> None:
        if self._scan is None and self._backoff_s > _LEAST_BACKOFF_S:
            self._backoff_s = _LEAST_BACKOFF_S
            log.info("%s is watched again", self._spec.uri)
            self._trouble = ""

    def _say(self, message: str) -> None:
        """Log what is wrong once, however often it is tried again."""
        if message != self._trouble:
            self._trouble = message
            log.warning("%s", message)
