"""Dropping privileges, in real processes: who one becomes, that there is no way back, mistakes."""

import grp
import json
import os
import pwd
import subprocess
import sys

import pytest

from breezeway.errors import UserError
from breezeway.supervisor import privileges
from breezeway.supervisor.privileges import Identity, resolve

DEADLINE = 20  # seconds
NOBODY = 65534
NOWHERE = 54321  # neither a user nor a group

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")

# Becomes somebody, and says who it is; everything is imported before.
PROGRAM = """
import json, os, sys
from breezeway.errors import UserError
from breezeway.supervisor import privileges

before, user, group, umask = json.loads(sys.argv[1])
exec(before)
home = {name: os.environ.get(name) for name in ("HOME", "USER", "LOGNAME")}
pid = os.fork()
if pid:
    os.waitpid(pid, 0)
    assert os.getresuid()[1] == os.geteuid()
    sys.exit(0)
result = {}
try:
    privileges.drop(user, group, umask)
except UserError as error:
    result["error"] = error.message
result["uids"] = os.getresuid()
result["gids"] = os.getresgid()
result["groups"] = sorted(os.getgroups())
current = os.umask(0)
result["umask"] = current
result["again"] = []
for name, attempt in {
    "setuid": lambda: os.setuid(0),
    "setgid": lambda: os.setgid(0),
    "setresuid": lambda: os.setresuid(-1, 0, -1),
    "setgroups": lambda: os.setgroups([0]),
    "read": lambda: open("/proc/1/environ", "rb").read(),
}.items():
    try:
        attempt()
    except OSError:
        continue
    result["again"].append(name)
result["same environment"] = home == {name: os.environ.get(name) for name in home}
print(json.dumps(result), flush=True)
os._exit(0)
"""


def dropped(user, group=None, umask=None, *, before=""):
    """Drop in a forked process; return who it is afterwards."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps([before, user, group, umask])],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
        umask=0o022,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def somebody():
    """Give a user that is not root and has supplementary groups, if there is one."""
    for entry in pwd.getpwall():
        if entry.pw_uid not in (0, NOBODY):
            return entry
    pytest.skip("there is no other user")


def nobody():
    """Return the entry of the user nobody."""
    try:
        return pwd.getpwuid(NOBODY)
    except KeyError:
        pytest.skip("there is no user nobody")


@needs_root
class TestDrop:
    def check(self, result, uid, gid):
        """Check who it is, and that there is no way back."""
        assert "error" not in result
        assert result["uids"] == [uid] * 3
        assert result["gids"] == [gid] * 3
        assert gid in result["groups"]
        assert 0 not in result["groups"]
        assert not result["again"]

    def test_by_name(self):
        """A user's name brings its primary group."""
        entry = nobody()
        self.check(dropped(entry.pw_name), NOBODY, entry.pw_gid)

    def test_by_number(self):
        """A user's number does, too."""
        self.check(dropped(str(NOBODY)), NOBODY, nobody().pw_gid)

    def test_group(self):
        """--group takes the place of the primary group."""
        other = next(each for each in grp.getgrall() if each.gr_gid not in (0, nobody().pw_gid))
        self.check(dropped("nobody", other.gr_name), NOBODY, other.gr_gid)
        self.check(dropped("nobody", str(other.gr_gid)), NOBODY, other.gr_gid)

    def test_numbers_without_entries(self):
        """A user and a group that nobody has heard of may be had by number, as in containers."""
        result = dropped(str(NOWHERE), str(NOWHERE + 1))
        self.check(result, NOWHERE, NOWHERE + 1)
        assert result["groups"] == [NOWHERE + 1]

    def test_supplementary_groups(self, somebody):
        """The user's own supplementary groups are there, and root's are not."""
        gid = somebody.pw_gid or NOWHERE
        result = dropped(somebody.pw_name, str(gid), before="os.setgroups([0, 4711])")
        assert result["groups"] == sorted(set(os.getgrouplist(somebody.pw_name, gid)))
        assert 4711 not in result["groups"]

    def test_group_alone(self):
        """--group without --user: still root, in that group and no other."""
        result = dropped(None, str(NOWHERE), before="os.setgroups([0, 4711])")
        assert "error" not in result
        assert result["uids"] == [0, 0, 0]
        assert result["gids"] == [NOWHERE] * 3
        assert result["groups"] == [NOWHERE]

    def test_group_of_root(self):
        """A user in the group root, as some container platforms have it, is let be."""
        result = dropped(str(NOWHERE), "0")
        assert "error" not in result
        assert result["uids"] == [NOWHERE] * 3
        assert result["gids"] == [0] * 3
        assert "setuid" not in result["again"]

    def test_umask(self):
        """The umask is set, also without a user; without one it stays."""
        assert dropped("nobody", umask=0o027)["umask"] == 0o027
        assert dropped(None, umask=0)["umask"] == 0
        assert dropped("nobody")["umask"] == 0o022

    def test_nothing_asked(self):
        """Without settings nothing changes."""
        result = dropped(None, before="os.setgroups([0, 4711])")
        assert result["uids"] == [0, 0, 0]
        assert result["groups"] == [0, 4711]

    def test_environment_stays(self):
        """HOME, USER and LOGNAME are the ones that the server was given."""
        assert dropped("nobody")["same environment"]

    def test_way_back_is_an_error(self):
        """A process that could be root again does not go on as if it could not."""
        # SECBIT_KEEP_CAPS and its like: the capabilities outlive the change of the user.
        before = (
            "import ctypes; libc = ctypes.CDLL(None, use_errno=True)\n"
            "assert libc.prctl(28, 0x4 | 0x1, 0, 0, 0) == 0, 'no such bits here'"
        )
        result = dropped("nobody", before=before)
        assert "could become root again" in result["error"]

    def test_refused_by_the_system(self):
        """What the system refuses is a sentence."""
        before = "os.setgroups = lambda _: (_ for _ in ()).throw(PermissionError(1, 'x'))"
        result = dropped("nobody", before=before)
        assert "cannot become user 65534" in result["error"]
        assert "Operation not permitted" in result["error"]
        assert result["uids"] == [0, 0, 0]

    def test_not_root(self):
        """Who is not root cannot become another user, and is told what to do."""
        result = dropped("root", before="os.setgid(65534); os.setuid(65534)")
        assert result["error"] == "--user root: only root may become another user or group."


class TestResolve:
    def test_nothing(self):
        """Without settings there is nothing to do."""
        assert resolve(None, None) is None

    def test_same_user(self):
        """The user that one is already needs no root."""
        assert resolve(str(os.geteuid()), str(os.getegid())) is None

    @pytest.mark.parametrize(
        ("user", "group", "message"),
        [
            ("no-such-user", None, r"there is no user 'no-such-user' \(--user\)\."),
            ("", None, r"there is no user ''"),
            ("-1", None, r"there is no user '-1'"),
            ("4294967295", None, r"there is no user '4294967295'"),
            ("9" * 30, None, r"there is no user"),
            ("no\0body", None, r"there is no user"),
            ("\u0661", None, r"there is no user"),
            (None, "no-such-group", r"there is no group 'no-such-group' \(--group\)\."),
            ("0", "-5", r"there is no group '-5'"),
            (str(NOWHERE), None, r"user 54321 \(--user\) is in no group that the system knows\."),
        ],
    )
    def test_unknown(self, user, group, message):
        """What there is not is a sentence, before anything is bound."""
        with pytest.raises(UserError, match=message):
            resolve(user, group)

    @needs_root
    def test_identity(self):
        """Names become numbers."""
        assert resolve(str(NOWHERE), "7") == Identity(NOWHERE, 7, (7,))
        identity = resolve("nobody", None)
        assert identity.uid == NOBODY
        assert identity.gid in identity.groups

    def test_not_root(self, monkeypatch):
        """The supervisor finds out before it binds that it is not root."""
        monkeypatch.setattr(os, "geteuid", lambda: NOWHERE)
        with pytest.raises(UserError, match="--user 0 and --group 7: only root may") as caught:
            resolve("0", "7")
        assert "Start it as root" in caught.value.hint

    def test_name_before_number(self, monkeypatch):
        """A name that looks like a number is a name, as in chown(1)."""
        entry = pwd.getpwuid(0)
        monkeypatch.setattr(privileges.pwd, "getpwnam", lambda _: entry)
        assert privileges._uid("4711")[0] == 0
