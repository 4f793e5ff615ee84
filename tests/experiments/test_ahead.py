"""What is compiled ahead: in order, one at a time, and no more than is needed."""

import threading

import pytest

from experiments.ahead import Ahead


def _recording(*names):
    """A list of what has begun, and for each name what begins it and waits until it may end."""
    begun, may_end = [], {name: threading.Event() for name in names}

    def one(name):
        begun.append(name)
        assert may_end[name].wait(10)

    return begun, may_end, [lambda name=name: one(name) for name in names]


def test_the_next_one_begins_when_the_one_asked_for_is_there():
    begun, may_end, each = _recording("first", "second", "third")
    may_end["first"].set()
    with Ahead(each) as ahead:
        ahead.wait(0)
        may_end["second"].set()
        ahead.wait(1)
        assert begun[:2] == ["first", "second"]
        may_end["third"].set()
        ahead.wait(2)
    assert begun == ["first", "second", "third"]


def test_what_is_not_asked_for_is_not_begun():
    """As where a run goes on with the last of its programs."""
    begun, may_end, each = _recording("first", "second", "third")
    may_end["third"].set()
    with Ahead(each) as ahead:
        ahead.wait(2)
    assert begun == ["third"]


def test_what_one_raises_is_raised_where_it_is_waited_for():
    with Ahead([lambda: None, lambda: 1 // 0]) as ahead:
        ahead.wait(0)
        with pytest.raises(ZeroDivisionError):
            ahead.wait(1)
