"""What an operator asks for: what cannot be done is refused, in words."""

from types import SimpleNamespace

import pytest

from breezeway.errors import UsageError
from breezeway.supervisor.commands import Commands
from breezeway.supervisor.handle import READY, RETIRING


def commands(*states, **flags):
    """Return the commands of a supervisor with workers in these states, and pids from 11 on."""
    workers = [SimpleNamespace(state=state, pid=at) for at, state in enumerate(states, 11)]
    supervisor = SimpleNamespace(
        **{"workers": workers, "stopping": False, "upgrading": False, **flags}
    )
    return Commands(supervisor, rollouts=None, upgrade=None, events=None)


@pytest.mark.parametrize("request_", [{"command": "recycle"}, {"command": "scale", "workers": 3}])
def test_stopping(request_):
    """A server that ends starts no workers."""
    with pytest.raises(UsageError, match=r"^the server is stopping\.$"):
        commands(READY, stopping=True).execute(request_, caller=None)


@pytest.mark.parametrize(
    ("states", "message"),
    [
        ((READY, READY, RETIRING), "no worker that serves has the pid 13; there are 11, 12."),
        ((), "no worker that serves has the pid 13; none does."),
    ],
)
def test_recycle_nobody(states, message):
    """It is said who could be recycled."""
    with pytest.raises(UsageError) as caught:
        commands(*states).execute({"command": "recycle", "pid": 13}, caller=None)
    assert caught.value.message == message
