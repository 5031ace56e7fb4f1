"""Applications of the admin listener, with somebody who answers them."""

import pytest

from breezeway.testing import Client

from .supervisor import TOKEN, Admin, Supervisor


@pytest.fixture
def supervisor():
    """Give somebody who answers."""
    found = Supervisor()
    yield found
    found.close()


@pytest.fixture
def make_admin(supervisor):
    """Give a function that makes applications."""
    made = []

    def make(bind="127.0.0.1:9300", token=None, hosts=()):
        made.append(Admin(supervisor, bind, token, hosts))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def client(make_admin):
    """Give a client of one on loopback, without a token."""
    with Client(make_admin().application, lint=True) as found:
        yield found


@pytest.fixture
def operator(make_admin):
    """Give a client of one with a token, who has not shown it yet."""
    with Client(make_admin(token=TOKEN).application, lint=True) as found:
        yield found
