from __future__ import annotations

import threading

from memviz.trace.recent import Recent


def test_what_was_used_longest_ago_goes_first():
    made = []
    cache: Recent[str, int] = Recent(2)

    def get(key):
        return cache.get(key, lambda: made.append(key) or len(made))

    for key in ("a", "b", "a", "c", "a", "b"):
        get(key)
    assert made == ["a", "b", "c", "b"]
    cache.clear()
    get("a")
    assert made[-1] == "a"


def test_weights_bound_what_is_kept():
    made = []
    cache: Recent[str, bytes] = Recent(100, len)

    def get(key, size):
        return cache.get(key, lambda: made.append(key) or bytes(size))

    get("too large", 101)
    get("too large", 101)
    assert made == ["too large", "too large"]
    for key in ("a", "b", "c"):
        get(key, 40)
    assert made[2:] == ["a", "b", "c"]
    get("a", 40)
    assert made[-1] == "a"  # a made room for c
    assert cache._weight <= 100


def test_threads_share_it():
    cache: Recent[int, int] = Recent(5)
    wrong = []

    def use():
        wrong.extend(i for i in range(2000) if cache.get(i % 9, lambda i=i: i % 9) != i % 9)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert cache._weight == len(cache._entries) <= 5
