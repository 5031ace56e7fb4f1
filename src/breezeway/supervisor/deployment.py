"""What is served and how: what a reload makes anew, and what workers are made from."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from breezeway.config.settings import Settings
from breezeway.errors import UsageError
from breezeway.gateway.types import Application
from breezeway.worker.listener import Listener

if TYPE_CHECKING:
    from breezeway.supervisor.zygote import Zygote


@dataclass(frozen=True)
class Deployment:
    """The settings as they were read, and the application that they are for.

    `load` imports the application; it is called in a worker, or in the zygote. `call_hook` imports
    and calls what a setting names. Both raise `UserError`. `name` is what messages call the
    application. `directory` is where relative paths start, and `files` are those from which the
    settings were read. `shown` returns the settings with their sources, without secrets, as JSON can
    hold them.
    """

    settings: Settings
    name: str
    load: Callable[[], Application]
    call_hook: Callable[[str], None]
    directory: str = ""
    files: tuple[str, ...] = ()
    shown: Callable[[], dict[str, Any]] = dict

    def enter(self) -> None:
        """Make its directory the working directory, in a process that is about to load it.

        A deploy may have moved the link `current`, by which it is named, to another release.

        Raises:
            UsageError: there is none.
        """
        if self.directory:
            try:
                os.chdir(self.directory)
            except OSError as error:
                raise UsageError(f"cannot enter {self.directory}: {error.strerror}.") from None

    def want_files(self) -> None:
        """Want the files there from which the settings were read, before they are read again.

        Raises:
            UsageError: one has gone. The defaults would be served: on another address, for one thing.
        """
        for path in self.files:
            if not os.path.lexists(path):
                hint = "Put it back. To do without it, stop the server and start it again."
                text = f"{path} is not there any more, and has some of the settings."
                raise UsageError(text, hint)


@dataclass(eq=False)
class Generation:
    """Workers that came out of one start or reload have this in common."""

    number: int
    deployment: Deployment
    listeners: list[Listener]
    zygote: Zygote | None = None

    @property
    def settings(self) -> Settings:
        """The settings of its workers."""
        return self.deployment.settings
