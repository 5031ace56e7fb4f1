"""What has happened to the server lately."""

import logging

from breezeway.supervisor.events import KEPT, TEXT_CHARACTERS, Events

logger = logging.getLogger("breezeway.supervisor")


def test_keeps_the_last_lines(caplog):
    """Lines are numbered, the last ones are kept, long ones are cut, and it ends."""
    caplog.set_level(logging.INFO, "breezeway.supervisor")
    events = Events()
    try:
        for number in range(KEPT + 2):
            logger.info("line %d", number)
        logger.error("x" * 2 * TEXT_CHARACTERS)
        found = events.since(0)
        assert len(found) == KEPT
        assert found[0]["text"] == "line 3"
        assert found[-1]["number"] == KEPT + 3
        assert (found[-1]["level"], len(found[-1]["text"])) == ("error", TEXT_CHARACTERS)
        assert events.since(KEPT + 2) == found[-1:]
        assert events.since(KEPT + 3) == []
    finally:
        events.close()
    logger.info("later")
    assert events.since(KEPT + 3) == []
