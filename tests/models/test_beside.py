"""Work beside its maker: in order, bounded, quicker than both in turn; errors and cancels come across."""

import threading
import time

import pytest
from talking_portrait.models.media.beside import Beside

PAUSE = 0.02


def test_all_is_done_in_order_in_another_thread():
    done = []
    with Beside(lambda item: done.append((item, threading.get_ident()))) as beside:
        for item in range(50):
            beside.give(item)
    assert [item for item, _ in done] == list(range(50))
    assert {thread for _, thread in done}.isdisjoint({threading.get_ident()}) and len(
        {t for _, t in done}
    ) == 1


def test_it_takes_as_long_as_the_slower_of_both_not_as_their_sum():
    started = time.monotonic()
    with Beside(lambda item: time.sleep(PAUSE)) as beside:
        for item in range(20):
            time.sleep(PAUSE)
            beside.give(item)
    assert time.monotonic() - started < 0.8 * 40 * PAUSE


def test_no_more_wait_than_may():
    go, begun = threading.Event(), []

    def held(item: int) -> None:
        begun.append(item)
        go.wait(10)

    with Beside(held, most=3) as beside:
        maker = threading.Thread(target=lambda: [beside.give(item) for item in range(10)], daemon=True)
        maker.start()
        time.sleep(0.2)
        assert begun == [0] and maker.is_alive(), "it gave more than may wait"
        assert len(beside._given) <= 3
        go.set()
        maker.join()
    assert begun == list(range(10))


@pytest.mark.parametrize("wrong", [0, 5, 9])
def test_an_error_is_raised_where_it_can_be_and_nothing_follows_it(wrong):
    done = []

    def work(item: int) -> None:
        if item == wrong:
            raise OSError(28, "No space left on device", "film.mp4")
        done.append(item)

    with pytest.raises(OSError, match="No space left"):
        with Beside(work) as beside:
            for item in range(10):
                beside.give(item)
    assert done == list(range(wrong))


def test_a_cancel_throws_away_what_waits_and_leaves_no_thread():
    done, threads = [], threading.active_count()
    with pytest.raises(InterruptedError):
        with Beside(lambda item: (time.sleep(PAUSE), done.append(item))) as beside:
            for item in range(4):
                beside.give(item)
            raise InterruptedError
    assert len(done) < 4 and threading.active_count() == threads
