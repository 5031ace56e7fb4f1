"""From root to a user that can do less: --user, --group and --umask.

The supervisor stays root, so that it can bind again at a reload and reopen logs. Each worker drops
its privileges right after the fork, before it loads the application; the listeners are bound by then
and come with the fork. The supervisor calls `resolve` before it binds, so that a name that nobody
has is said at the start.

- A user comes with its primary group, unless `group` names another, and with the supplementary
  groups that the system's database has for it. A number without an entry there needs `group`.
- `group` alone leaves the user, and takes all other groups away.
- It is done for good: real, effective and saved ids are set, and root is tried to be had again.
- HOME, USER and LOGNAME stay as they are: the application sees the environment that the server was
  given. Set them there if it needs them.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
from dataclasses import dataclass
from typing import Final

from breezeway.errors import UserError

HIGHEST_ID: Final = 2**32 - 2
"""Of users and groups; the number above it means "leave as it is" to the system."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a worker becomes: numbers, and the supplementary groups, `gid` included."""

    uid: int
    gid: int
    groups: tuple[int, ...]


def resolve(user: str | None, group: str | None) -> Identity | None:
    """Look the names or numbers up; None if a worker stays who the supervisor is.

    Raises `UserError` for a name that there is not, and if only root could do it and we are not.
    """
    if user is None and group is None:
        return None
    gid = None if group is None else _gid(group)
    if user is None:
        uid, entry = os.geteuid(), None
    else:
        uid, entry = _uid(user)
    if gid is None:
        if entry is None:
            hint = "Name the group, too: --group."
            raise UserError(f"user {user} (--user) is in no group that the system knows.", hint)
        gid = entry.pw_gid
    if (uid, gid) == (os.geteuid(), os.getegid()):
        return None
    if os.geteuid() != 0:
        raise _not_root(user, group)
    groups = {gid, *os.getgrouplist(entry.pw_name, gid)} if entry else {gid}
    return Identity(uid, gid, tuple(sorted(groups)))


def drop(user: str | None, group: str | None, umask: int | None) -> None:
    """Become that user and group for good, and set the umask; what is None stays.

    Raises `UserError` as `resolve` does, and if the system does not let us, or would let us back.
    """
    identity = resolve(user, group)
    if identity is not None:
        _become(identity)
    if umask is not None:
        os.umask(umask)


def _become(identity: Identity) -> None:
    try:
        os.setgroups(identity.groups)
        # As root, each of these two sets the real, the effective and the saved id.
        os.setgid(identity.gid)
        os.setuid(identity.uid)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        who = f"user {identity.uid} and group {identity.gid}"
        raise UserError(f"cannot become {who} (--user, --group): {reason}.") from None
    if identity.uid != 0 and _can_be_root(identity.gid):
        # To go on would be to run the application as root for whoever knows how.
        raise UserError(f"user {identity.uid} (--user) could become root again.")


def _can_be_root(gid: int) -> bool:
    """Try to be root again, or of its group, unless `gid` is just that."""
    with contextlib.suppress(OSError):
        os.setuid(0)
        return True
    if gid != 0:
        with contextlib.suppress(OSError):
            os.setgid(0)
            return True
    return False


def _uid(user: str) -> tuple[int, pwd.struct_passwd | None]:
    """Return a user's number and its entry; a number needs none."""
    try:
        entry = pwd.getpwnam(user)
    except (KeyError, ValueError):
        number = _number(user)
        if number is None:
            raise UserError(f"there is no user {user!r} (--user).") from None
        try:
            return number, pwd.getpwuid(number)
        except KeyError:
            return number, None
    return entry.pw_uid, entry


def _gid(group: str) -> int:
    try:
        return grp.getgrnam(group).gr_gid
    except (KeyError, ValueError):
        number = _number(group)
        if number is None:
            raise UserError(f"there is no group {group!r} (--group).") from None
        return number


def _number(text: str) -> int | None:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(HIGHEST_ID))):
        return None
    number = int(text)
    return number if number <= HIGHEST_ID else None


def _not_root(user: str | None, group: str | None) -> UserError:
    wanted = " and ".join(
        f"{flag} {value}" for flag, value in (("--user", user), ("--group", group)) if value
    )
    hint = "Start it as root, or as that user and without the setting."
    return UserError(f"{wanted}: only root may become another user or group.", hint)
