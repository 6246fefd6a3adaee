"""Removing old claims without forgetting them: their keys stay, 16 bytes each, so that nothing runs again."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_provider_aiopt.uploads.claims import ClaimStore

_AT_ONCE = 10_000


def prune(claims: ClaimStore, *, before: float, consumers: Iterable[str] | None = None) -> int:
    """Replace claims by their keys.

    May be stopped at any point and run beside whatever claims: the keys are written before the claims are
    removed.

    :param claims: the claims of a watch
    :param before: claims made earlier than this are pruned, in seconds since the epoch
    :param consumers: whose; default: everybody's
    :returns: how many claims were pruned
    """
    pruned = 0
    for consumer in claims.consumers() if consumers is None else consumers:
        old = [claim for claim in claims.all(consumer) if claim.claimed_at < before]
        keys = claims.pruned(consumer)
        for start in range(0, len(old), _AT_ONCE):
            some = old[start : start + _AT_ONCE]
            keys.add(bytes.fromhex(claim.key) for claim in some)
            claims.remove(some)
            pruned += len(some)
        keys.merge()
    return pruned
