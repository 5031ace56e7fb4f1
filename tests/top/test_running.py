"""Running requests out of stacks."""

from breezeway.top.running import requests

from ..fake_supervisor import STACKS


def test_longest_first():
    """Threads in a request, the longest first; those in none are left out."""
    found = requests(STACKS)
    assert [each.thread for each in found] == ["slow", "quick"]
    assert found[0].seconds == 75.0
    assert found[0].pid == 4712


def test_text_is_clean():
    """A request line comes from a client: nothing of it can control the terminal."""
    slow = requests(STACKS)[0]
    assert slow.line == "GET /report?\N{REPLACEMENT CHARACTER}[2J"
    assert slow.stack == ('File "shop.py", line 3, in report', "  time.sleep(99)")
    assert slow.place == "shop.py:3 report"


def test_without_stack():
    """A thread may have no stack, and a worker that hangs has no threads."""
    assert [each.place for each in requests(STACKS)][1] == ""
    assert requests({"workers": [{"pid": 1, "threads": []}]}) == []
