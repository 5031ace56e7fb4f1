"""How many CPUs may be used: affinity and quota, with the files of cgroups made up."""

import pytest

from breezeway.config import cpus


@pytest.fixture
def machine(tmp_path):
    """Return a function that makes files and asks for the quota."""

    def quota(membership, **files):
        (tmp_path / "membership").write_text(membership)
        for name, text in files.items():
            file = tmp_path / "cgroup" / name.replace("__", "/").replace("_DOT_", ".")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return cpus.quota(str(tmp_path / "cgroup"), str(tmp_path / "membership"))

    return quota


@pytest.mark.parametrize(
    ("available", "share", "count"),
    [(8, None, 8), (8, 2.0, 2), (8, 1.5, 2), (8, 0.1, 1), (2, 16.0, 2), (0, None, 1)],
)
def test_the_smaller_counts(available, share, count):
    """The affinity or the quota, whichever is less; parts are rounded up; never less than 1."""
    assert cpus.count(available, share) == count


class TestV2:
    def test_quota(self, machine):
        """The two numbers of cpu.max are a share."""
        assert machine("0::/\n", cpu_DOT_max="150000 100000\n") == 1.5

    def test_no_quota(self, machine):
        """`max` is no quota."""
        assert machine("0::/\n", cpu_DOT_max="max 100000\n") is None

    def test_smallest_on_the_way_to_the_top(self, machine):
        """A cgroup is held by those above it."""
        assert (
            machine(
                "0::/system.slice/shop.service\n",
                **{"system.slice__shop.service__cpu.max": "max 100000\n"},
                **{"system.slice__cpu.max": "200000 100000\n"},
                **{"other__cpu.max": "100000 100000\n"},
            )
            == 2.0
        )

    @pytest.mark.parametrize("path", ["/../../docker/4711", "/docker/4711"])
    def test_path_of_the_host(self, machine, path):
        """In a container whose path only the host knows, the top of the mount counts."""
        assert machine(f"0::{path}\n", cpu_DOT_max="50000 100000\n") == 0.5

    def test_hybrid(self, machine):
        """Beside the hierarchies of v1, v2 is mounted below them."""
        assert machine("0::/a\n", **{"unified__a__cpu.max": "300000 100000\n"}) == 3.0


class TestV1:
    @pytest.mark.parametrize("mount", ["cpu,cpuacct", "cpu"])
    def test_quota(self, machine, mount):
        """Quota and period have a file each, in the hierarchy of the controller."""
        files = {
            f"{mount}__docker__1__cpu.cfs_quota_us": "250000\n",
            f"{mount}__docker__1__cpu.cfs_period_us": "100000\n",
        }
        assert machine("9:memory:/x\n4:cpu,cpuacct:/docker/1\n", **files) == 2.5

    def test_no_quota(self, machine):
        """-1 is no quota."""
        files = {"cpu__cpu.cfs_quota_us": "-1\n", "cpu__cpu.cfs_period_us": "100000\n"}
        assert machine("4:cpu:/\n", **files) is None

    def test_container(self, machine):
        """In a container the files are at the top of the mount."""
        files = {"cpu__cpu.cfs_quota_us": "100000\n", "cpu__cpu.cfs_period_us": "100000\n"}
        assert machine("4:cpu:/docker/4711\n", **files) == 1.0


@pytest.mark.parametrize("text", ["", "1", "a b", "1 0", "-1 100000"])
def test_files_that_say_nothing(machine, text):
    """What cannot be read as a quota is none."""
    assert machine("0::/\n", cpu_DOT_max=text) is None


def test_no_cgroups(tmp_path):
    """Without any of the files there is no quota."""
    assert cpus.quota(str(tmp_path / "none"), str(tmp_path / "none")) is None


def test_this_machine():
    """There is a CPU here."""
    assert 1 <= cpus.available() <= cpus.affinity()
