"""The supervisor's view of one worker."""

from types import SimpleNamespace

from breezeway.config.settings import Settings
from breezeway.supervisor.handle import Handle


def test_name_has_the_pid_when_it_is_known():
    """Of a worker that a zygote has not forked yet there is none to be told."""
    generation = SimpleNamespace(settings=Settings(), zygote=None)
    worker = Handle(3, generation, channel=None, row=None, dump=-1)
    assert str(worker) == "worker 3"
    worker.pid = 1234
    assert str(worker) == "worker 3 (pid 1234)"
