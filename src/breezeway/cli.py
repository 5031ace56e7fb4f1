"""The command line: `breezeway MODULE:NAME`, `breezeway demo`.

The options come from the table of settings. What serves is imported by the command that needs it,
so that `--help` and a mistake are quick and a server holds nothing that it does not use. Every
mistake ends in `main`, which prints it as a sentence or two and chooses the exit status.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from breezeway import __version__, terminal
from breezeway.config import options
from breezeway.config.settings import TABLE
from breezeway.errors import UsageError, UserError

if TYPE_CHECKING:
    from breezeway.config.sources import Resolved

INTERRUPTED = 130
"""Exit status after Ctrl-C before there was anything to stop: 128 and SIGINT, as a shell has it."""

DEMO_DEFAULTS = {"access_log": True}
DEV_DEFAULTS: dict[str, Any] = {"reload": True, "workers": 1}

USAGE = """\
Usage: breezeway [MODULE:NAME] [OPTIONS]
       breezeway COMMAND [OPTIONS]
"""

APPLICATIONS = """\
  MODULE:NAME          an attribute of a module: shop.wsgi:application
  MODULE:make_app()    what a factory returns; arguments may be literals
  MODULE               its 'application', else its 'app'
"""

EXAMPLES = """\
  breezeway shop.wsgi:application
  breezeway 'shop:make_app("production")' --bind :8000 --threads 16
  breezeway app --bind unix:/run/shop.sock --unix-mode 660 --access-log
  breezeway new shop
  breezeway dev shop.app:app
  breezeway demo
"""

EXIT_STATUS = """\
  0 stopped in good order; 2 wrong usage; 3 the application could not be loaded;
  4 an address could not be listened on.
"""


def _write_section(formatter: click.HelpFormatter, title: str, text: str) -> None:
    formatter.write_paragraph()
    formatter.write_heading(title)
    formatter.write(text)


def _write_options(
    ctx: click.Context, formatter: click.HelpFormatter, params: Iterable[click.Parameter]
) -> None:
    """Show the options under the headings of their groups."""
    shown = [param for param in params if isinstance(param, click.Option)]
    for group, members in groupby(shown, _group):
        with formatter.section(group):
            formatter.write_dl(filter(None, (option.get_help_record(ctx) for option in members)))


def _group(param: click.Option) -> str:
    return param.setting.group if isinstance(param, options.SettingOption) else "Other options"


class _Command(click.Command):
    """A command whose help shows the settings by their groups.

    Its parameters are made when it is the one that is asked for: those of all commands would take
    900 KiB of each process, those of `serve` take 180.
    """

    def __init__(self, name: str, make: Callable[[], list[click.Parameter]], **rest: Any) -> None:
        super().__init__(name, **rest)
        self._make = make

    def own_params(self) -> list[click.Parameter]:
        """Return the parameters, without --help."""
        if not self.params:
            self.params = self._make()
        return self.params

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the parameters."""
        self.own_params()
        return super().get_params(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _write_options(ctx, formatter, self.get_params(ctx))


ELSEWHERE = {
    "ctl": "breezeway.ctl",
    "report": "breezeway.report.command",
    "dev-cert": "breezeway.dev_cert",
    "collect": "breezeway.collect",
    "new": "breezeway.project.creation",
    "top": "breezeway.top.command",
}
"""Commands that a module of their own has, under their name; it is imported when it is asked for."""


class _Group(click.Group):
    """The commands; what is none of them, and no option of the group, is for `serve`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name all commands in the order of the help."""
        return [*self.commands, *ELSEWHERE]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name."""
        if cmd_name in ELSEWHERE:
            from importlib import import_module

            module, name = import_module(ELSEWHERE[cmd_name]), cmd_name.replace("-", "_")
            command: click.Command = getattr(module, name)
            return command
        return super().get_command(ctx, cmd_name)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = {name for param in self.get_params(ctx) for name in param.opts}
        if not args or args[0] not in own.union(self.list_commands(ctx)):
            self._check_word(ctx, args)
            args = ["serve", *args]
        return super().parse_args(ctx, args)

    def _check_word(self, ctx: click.Context, args: list[str]) -> None:
        """See whether the first word, which is no command, can name an application.

        Raises:
            UsageError: it is nearly a command, and no module's name or before another word.
        """
        first, second = [*args, "", ""][:2]
        is_no_module = "-" in first or (second and not second.startswith("-"))
        if is_no_module and first[:1].isalpha() and first.replace("-", "_").isidentifier():
            from breezeway import suggest

            hint = suggest.near(first, self.list_commands(ctx), 1)
            if hint:
                raise UsageError(f"there is no command {first!r}.", hint)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write(USAGE)
        self.format_help_text(ctx, formatter)
        _write_section(formatter, "Applications", APPLICATIONS)
        _write_section(formatter, "Examples", EXAMPLES)
        self.format_commands(ctx, formatter)
        _write_options(ctx, formatter, [*SERVE.own_params(), *self.get_params(ctx)])
        _write_section(formatter, "Exit status", EXIT_STATUS)


def _resolver(given: dict[str, Any], **defaults: Any) -> Callable[[], Resolved]:
    """Return a function that reads all sources of settings, with these options, at each call."""
    from breezeway.config import sources

    directory = sources.working_directory()
    return lambda: sources.resolve(given, os.environ, directory, defaults=defaults)


def _named(resolved: Resolved) -> str:
    """Return what names the application; raise `UsageError` if nothing does."""
    if resolved.application is None:
        raise UsageError(
            "which application shall be served?",
            "Name it, as in 'breezeway shop.wsgi:application',"
            " or set 'application' in breezeway.toml. 'breezeway --help' explains.",
        )
    return resolved.application


def _bare(resolved: Resolved) -> Any:
    """Import the application, without the middleware of the file of settings."""
    from breezeway import importer

    return importer.load(_named(resolved), resolved.settings.app_dir)


def _load(resolved: Resolved) -> Any:
    return _wrapped(_bare(resolved), resolved)


def _load_demo(resolved: Resolved) -> Any:
    from breezeway.demo import application

    return _wrapped(application, resolved)


def _wrapped(application: Any, resolved: Resolved) -> Any:
    """Return the application within the middleware of the file of settings."""
    if not resolved.middleware:
        return application
    from breezeway import wrapping

    return wrapping.wrap(application, resolved.middleware, resolved.settings.app_dir)


def serve(**given: Any) -> int:
    """Serve the application that is named on the command line; return the exit status."""
    read = _resolver(given)

    def resolve() -> Resolved:
        resolved = read()
        _named(resolved)
        return resolved

    from breezeway import serving

    return serving.supervise(resolve, _load)


def demo(**given: Any) -> int:
    """Serve the demo; return the exit status."""
    resolve = _resolver(given, **DEMO_DEFAULTS)
    from breezeway import serving

    return serving.supervise(resolve, _load_demo, "the demo")


def show_config(as_json: bool, **given: Any) -> int:
    """Print the settings in force and where each comes from; return the exit status."""
    resolved = _resolver(given)()
    from breezeway.config import view

    if as_json:
        click.echo(view.as_json(resolved))
        return 0
    color = False if os.environ.get("NO_COLOR") else None
    for line, is_given in view.as_toml(resolved):
        click.echo(click.style(line, bold=True) if is_given else line, color=color)
    return 0


def check(lint: bool, path: tuple[str, ...], **given: Any) -> int:
    """Check settings and application without serving; return the exit status."""
    resolved = _resolver(given)()
    application = _named(resolved)
    from breezeway import checking

    click.echo(checking.check(application, resolved, lint=lint or bool(path), paths=path))
    return 0


def dev(debugger: bool, **given: Any) -> int:
    """Serve the application for who writes it; return the exit status."""
    from breezeway.project import development

    read = _resolver(development.options(given))

    def resolve() -> Resolved:
        resolved = development.with_lines(read(), given)
        _named(resolved)
        if debugger:
            development.check(resolved)
        return resolved

    def load(resolved: Resolved) -> Any:
        application = _bare(resolved)
        return development.wrap(application, resolved, _wrapped, debugger=debugger)

    from breezeway import serving

    return serving.supervise(resolve, load)


def routes(as_json: bool, **given: Any) -> int:
    """Print the routes of an application; return the exit status."""
    resolved = _resolver(given)()
    application = _bare(resolved)
    from breezeway.project import finding, routes

    found = routes.rows(finding.toolkit_app(application, _named(resolved)))
    click.echo(routes.as_json(found) if as_json else "\n".join(routes.as_table(found)))
    for each in routes.forgotten():
        terminal.say(f"breezeway: {each}")
    return 0


def shell(plain: bool, **given: Any) -> int:
    """Open a console with the application; return the exit status."""
    resolved = _resolver(given)()
    application = _bare(resolved)
    wrapped = _wrapped(application, resolved)
    from breezeway.project import shell

    names = shell.names(application, wrapped)
    return shell.run(names, shell.banner(_named(resolved), names), plain=plain)


def migrate(file: str) -> int:
    """Print the breezeway.toml that another server's configuration becomes."""
    from breezeway.migrate import migrate

    click.echo(migrate(file), nl=False)
    return 0


def _refuse_daemon(ctx: click.Context, param: click.Parameter, given: bool) -> None:
    """Say what to do in place of `--daemon`, which other servers have."""
    if given:
        raise click.UsageError(
            "Breezeway does not detach itself: a process that does is lost to what started it."
            " Let systemd, a container or another supervisor run it in the foreground"
            " (in a shell: setsid breezeway ... &), and set --log-file and --pid-file if need be.",
            ctx,
        )


def _no_daemon() -> click.Option:
    return click.Option(
        ["-D", "--daemon"], is_flag=True, hidden=True, expose_value=False, callback=_refuse_daemon
    )


def _application() -> click.Argument:
    return click.Argument(["application"], metavar="[MODULE:NAME]", required=False)


def _lint() -> list[click.Parameter]:
    return [
        click.Option(
            ["--lint"],
            is_flag=True,
            help="Ask the application in every way, and tell where it breaks PEP 3333.",
        ),
        click.Option(
            ["--path"],
            multiple=True,
            metavar="PATH",
            help="Another path, beside /, that --lint asks for. May be repeated.",
        ),
    ]


def _importing() -> list[click.Parameter]:
    """Make the options of a command that imports an application, and serves nothing."""
    wanted = ("app_dir", "env_file")
    others = tuple(row.name for row in TABLE if row.name not in wanted)
    return [*options.options(without=others), options.config()]


def _json() -> click.Option:
    return click.Option(["--json", "as_json"], is_flag=True, help="Print JSON, for programs.")


SERVE: Final = _Command(
    "serve",
    callback=serve,
    make=lambda: [_application(), *options.options(), options.config(), _no_daemon()],
    help="Serve an application; the word 'serve' may be left out.",
)

COMMANDS: list[click.Command] = [
    SERVE,
    _Command(
        "demo",
        callback=demo,
        make=lambda: [
            *options.options(without=("app_dir",), **DEMO_DEFAULTS),
            options.config(),
            _no_daemon(),
        ],
        help="Serve a small application that shows what Breezeway can do.",
    ),
    _Command(
        "dev",
        callback=dev,
        make=lambda: [
            _application(),
            *options.options(**DEV_DEFAULTS),
            click.Option(
                ["--debugger/--no-debugger"],
                default=True,
                help="Show failures in the browser, with a console. [default: on]",
            ),
            options.config(),
            _no_daemon(),
        ],
        help="Serve an application for development: reload, debugger.",
    ),
    _Command(
        "routes",
        callback=routes,
        make=lambda: [_application(), *_importing(), _json()],
        help="Print what an application of breezeway.web answers, and where.",
    ),
    _Command(
        "shell",
        callback=shell,
        make=lambda: [
            _application(),
            *_importing(),
            click.Option(
                ["--plain"], is_flag=True, help="Python's own console, also where IPython is."
            ),
        ],
        help="Open a Python console with an application and a client of it.",
    ),
    _Command(
        "check",
        callback=check,
        make=lambda: [_application(), *_lint(), *options.options(), options.config()],
        help="Check the settings and import the application, without serving it.",
    ),
    _Command(
        "config",
        callback=show_config,
        make=lambda: [_application(), *options.options(), options.config(), _json()],
        help="Print the settings in force as TOML, and where each comes from.",
    ),
    _Command(
        "migrate",
        callback=migrate,
        make=lambda: [click.Argument(["file"], metavar="gunicorn.conf.py|uwsgi.ini")],
        help="Print the breezeway.toml for the configuration of gunicorn or uWSGI.",
    ),
]

cli = click.version_option(__version__, message="Breezeway %(version)s")(
    _Group(
        "breezeway",
        help="Serve a WSGI application over HTTP.",
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        commands=COMMANDS,
    )
)


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit."""
    try:
        status = cli.main(args, prog_name="breezeway", standalone_mode=False)
        terminal.settle()
        sys.exit(status)
    except UserError as error:
        terminal.fail(error)
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        command = context.command_path if context else "breezeway"
        hint = f"'{command} --help' explains."
        terminal.say(terminal.complaint(error.format_message(), hint))
        sys.exit(error.exit_code)
    except OSError as error:  # of a closed pipe click has made an exit already
        if error.errno in (errno.EMFILE, errno.ENFILE):
            hint = "Raise that limit: ulimit -n, or LimitNOFILE= of systemd."
            terminal.fail(UserError(f"cannot start: {error.strerror}.", hint))
        if error.errno != errno.ENOSPC:
            raise
        terminal.settle()
        where = f" to {error.filename}" if error.filename else ""
        terminal.fail(UserError(f"cannot write{where}: {error.strerror}."))
    except click.Abort:
        sys.exit(INTERRUPTED)
