from __future__ import annotations

from upload_watching import make_upload

from airflow_provider_aiopt.uploads.offers import MicroBatcher, Offers


def offered_at(offers: Offers, until: float) -> list[float]:
    """The times at which the one upload is offered again, if no claim is ever found."""
    times = []
    while (now := offers.next_look()) is not None and now <= until:
        times.extend(now for _ in offers.unanswered(offers.to_look_up(now), now))
    return times


def test_waits_between_offers_double_up_to_an_hour() -> None:
    offers = Offers(reoffer_s=600)
    offers.add(make_upload(), 0)
    times = offered_at(offers, 20_000)
    waits = [later - earlier for earlier, later in zip([0.0, *times], times, strict=False)]
    assert [round(wait, -2) for wait in waits] == [600, 1200, 2400, 3600, 3600, 3600, 3600]


def test_an_ended_offer_comes_up_no_more() -> None:
    offers = Offers(reoffer_s=600)
    offers.add(make_upload("a"), 0)
    offers.add(make_upload("b"), 0)
    offers.end(make_upload("a").key)
    assert [offer.upload for offer in offers.to_look_up(5)] == [make_upload("b")]


def test_what_a_listing_does_not_show_is_offered_no_more() -> None:
    offers = Offers(reoffer_s=600)
    for name in "ab":
        offers.add(make_upload(name), 0)
    offers.see(make_upload("a").key, 10)
    offers.end_unseen(10)
    assert [make_upload(name).key in offers for name in "ab"] == [True, False]


def test_a_batch_waits_for_its_window_or_for_being_full() -> None:
    batcher = MicroBatcher(window_s=5, max_batch=3)
    assert batcher.next_cut() is None
    batcher.add(make_upload("a"), 0)
    batcher.add(make_upload("a"), 1)
    batcher.add(make_upload("b"), 4)
    assert [batcher.cut(4.9), len(batcher.cut(5.0)), len(batcher)] == [[], 2, 0]
    for name in "abcd":
        batcher.add(make_upload(name), 10)
    assert [len(batcher.cut(10)), len(batcher.cut(10)), len(batcher.cut(15))] == [3, 0, 1]
