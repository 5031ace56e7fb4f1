"""Configuration: typed, every fault with its place, and no secret where anybody sees it."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import enum
import json
import logging
import pickle
import traceback
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pytest

from breezeway.middleware import Debugger
from breezeway.web import App, ConfigError, Secret, load_config
from breezeway.web.config_file import lines_of
from breezeway.web.response import dumps

from ..middleware.calling import call

HIDDEN = "hunter2-and-more"


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


@dataclass(frozen=True)
class Pool:
    size: int = 5
    timeout: float = 1.5


@dataclass(frozen=True)
class Database:
    url: str
    password: Secret
    pool: Pool = field(default_factory=Pool)


@dataclass(frozen=True)
class Mail:
    host: str


@dataclass(frozen=True)
class Config:
    name: str
    database: Database
    debug: bool = False
    level: Level = Level.LOW
    mode: Literal["a", "b"] = "a"
    data: Path = Path("data")
    hosts: list[str] = field(default_factory=list)
    ports: tuple[int, ...] = ()
    since: datetime.date | None = None
    at: datetime.datetime | None = None
    price: Decimal = Decimal(1)
    limits: dict[str, int] = field(default_factory=dict)
    keys: list[Secret] = field(default_factory=list)
    mail: Mail | None = None


@dataclass
class Failing:
    """Has a check that fails in a way that is no fault of the configuration."""

    password: Secret

    def __post_init__(self) -> None:
        raise KeyError("failed")


@dataclass
class Outer:
    database: Failing


FILE = f"""\
# The shop
name = "Shop"
debug = true
level = "high"
mode = "b"
data = "/srv/data"
hosts = ["a", "b"]
ports = [
  80,
  443,
]
since = 2026-11-22
at = 2026-11-22T10:00:00Z
price = "1.50"
keys = ["{HIDDEN}"]

[limits]
a = 1

[database]
url = "sqlite:a"
password = "{HIDDEN}"
pool.size = 9

[mail]
host = "mail.example"
"""

NEEDED = {"SHOP_NAME": "x", "SHOP_DATABASE_URL": "u", "SHOP_DATABASE_PASSWORD": HIDDEN}


@pytest.fixture
def write(tmp_path):
    """Write a file, and return its path."""

    def written(text: str) -> Path:
        path = tmp_path / "shop.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return written


def faults_of(*args: Any, **options: Any) -> list[str]:
    """Load what cannot be loaded; no fault has a secret in it."""
    with pytest.raises(ConfigError) as caught:
        load_config(Config, *args, **options)
    shown = "".join(traceback.format_exception(caught.value))
    assert HIDDEN not in shown
    assert caught.value.__cause__ is None
    assert str(caught.value) == "\n".join(caught.value.faults)
    return caught.value.faults


class TestFile:
    def test_all(self, write):
        """Every value has its type."""
        found = load_config(Config, write(FILE))
        assert found == Config(
            name="Shop",
            database=Database("sqlite:a", Secret(HIDDEN), Pool(9, 1.5)),
            debug=True,
            level=Level.HIGH,
            mode="b",
            data=Path("/srv/data"),
            hosts=["a", "b"],
            ports=(80, 443),
            since=datetime.date(2026, 11, 22),
            at=datetime.datetime(2026, 11, 22, 10, tzinfo=datetime.UTC),
            price=Decimal("1.50"),
            limits={"a": 1},
            keys=[Secret(HIDDEN)],
            mail=Mail("mail.example"),
        )

    def test_all_faults_at_once(self, write):
        """Each is told with its line, and what may have been meant."""
        text = (
            'nam = "x"\ndebug = "yes"\nports = [\n  80,\n  "x",\n]\nmode = "c"\n'
            "[database]\nurl = 5\npassword = 7\n[database.pool]\nsiez = 1\n[mial]\n"
        )
        assert faults_of(write(text), env_prefix="SHOP_", environ={}) == [
            "name is missing: set it as name in shop.toml or as SHOP_NAME in the environment",
            "shop.toml, line 9: database.url must be a string",
            "shop.toml, line 10: database.password must be a string",
            "shop.toml, line 12: database.pool.siez is not known; did you mean size?",
            "shop.toml, line 2: debug must be true or false",
            "shop.toml, line 7: mode must be one of a, b",
            "shop.toml, line 3: ports.1 must be a whole number",
            "shop.toml, line 1: nam is not known; did you mean name?",
            "shop.toml, line 13: mial is not known; did you mean mail?",
        ]

    def test_no_table(self, write):
        """A value is no table."""
        found = faults_of(write('name = "x"\ndatabase = 5\n'))
        assert found == ["shop.toml, line 2: database must be a table"]

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("a = \n", "shop.toml, line 1, column 5 is not TOML"),
            (f"key = {HIDDEN}", "shop.toml, line 1, column 7 is not TOML"),
            ("a = 1\na = 2\n\n", "shop.toml, line 2, column 6 is not TOML"),
            ("[", "is not TOML"),
        ],
    )
    def test_no_toml(self, write, text, told):
        """What is no TOML is told with its place, and is all that is told."""
        (fault,) = faults_of(write(text))
        assert told in fault

    def test_cannot_be_read(self, tmp_path):
        """A file that is not there, or is no text, is an error: a wrong path is soon written."""
        assert faults_of(tmp_path / "none.toml") == [
            f"{tmp_path}/none.toml cannot be read: No such file or directory"
        ]
        (tmp_path / "a.toml").write_bytes(b"a = '\xff'")
        assert faults_of(tmp_path / "a.toml") == ["a.toml is not UTF-8 text"]

    def test_lines(self):
        """Keys are found in tables, dotted, quoted; not within texts of several lines."""
        text = 'a = """\nb = 1\n[c]\n"""\n[x . "y z"]\nk.l = 1\n\'m\' = 2\n[[t]]\nn = 1\n[[t]]\nn = 2\n'
        assert lines_of(text) == {
            ("a",): 1,
            ("x", "y z"): 5,
            ("x", "y z", "k", "l"): 6,
            ("x", "y z", "m"): 7,
            ("t",): 8,
            ("t", "0"): 8,
            ("t", "0", "n"): 9,
            ("t", "1"): 10,
            ("t", "1", "n"): 11,
        }

    def test_lines_of_lists(self):
        """Of several tables each has its own lines, and so have those within it."""
        text = "[[a]]\n[[a.b]]\nc = 1\n[a.d]\n[[a]]\n[[a.b]]\n[[a.b]]\nc = 1\n"
        assert lines_of(text) == {
            ("a",): 1,
            ("a", "0"): 1,
            ("a", "0", "b"): 2,
            ("a", "0", "b", "0"): 2,
            ("a", "0", "b", "0", "c"): 3,
            ("a", "0", "d"): 4,
            ("a", "1"): 5,
            ("a", "1", "b"): 6,
            ("a", "1", "b", "0"): 6,
            ("a", "1", "b", "1"): 7,
            ("a", "1", "b", "1", "c"): 8,
        }

    @pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
    def test_finite_numbers(self, write, number):
        """A number is finite in a file, as in a variable."""
        with pytest.raises(ConfigError) as caught:
            load_config(Pool, write(f"timeout = {number}"), env_prefix="A_", environ={})
        assert caught.value.faults == ["shop.toml, line 1: timeout must be a number"]
        with pytest.raises(ConfigError) as caught:
            load_config(Pool, env_prefix="A_", environ={"A_TIMEOUT": number})
        assert caught.value.faults == ["A_TIMEOUT must be a number"]

    def test_line_in_a_list(self, write):
        """A fault in one of several tables has the line of that one."""
        made = dataclasses.make_dataclass("Made", [("mail", list[Mail])])
        with pytest.raises(ConfigError) as caught:
            load_config(made, write('[[mail]]\nhost = "a"\n[[mail]]\nhost = 5\n[[mail]]\n'))
        assert caught.value.faults == [
            "shop.toml, line 4: mail.1.host must be a string",
            "shop.toml, line 5: mail.2.host is missing",
        ]


class TestEnvironment:
    def test_goes_first(self, write):
        """A variable counts before the file."""
        environ = {"SHOP_NAME": "Other", "SHOP_DATABASE_POOL_SIZE": "3", "OTHER": "x"}
        found = load_config(Config, write(FILE), env_prefix="SHOP_", environ=environ)
        assert (found.name, found.database.pool.size) == ("Other", 3)

    def test_alone(self):
        """Without a file all is in the environment."""
        environ = {
            **NEEDED,
            "SHOP_DEBUG": "on",
            "SHOP_HOSTS": "a, b",
            "SHOP_PORTS": "[80, 443]",
            "SHOP_LIMITS": '{"a": 1}',
            "SHOP_SINCE": "2026-11-22",
            "SHOP_KEYS": "k1,k2",
            "SHOP_MAIL_HOST": "m",
            "SHOP_DATA": "/d",
        }
        found = load_config(Config, env_prefix="SHOP_", environ=environ)
        assert (found.debug, found.hosts, found.ports) == (True, ["a", "b"], (80, 443))
        assert (found.limits, found.since) == ({"a": 1}, datetime.date(2026, 11, 22))
        assert [each.reveal() for each in found.keys] == ["k1", "k2"]
        assert (found.mail, found.data) == (Mail("m"), Path("/d"))

    @pytest.mark.parametrize("text", ["", "  "])
    def test_empty_list(self, text):
        """Nothing is no element."""
        environ = {**NEEDED, "SHOP_HOSTS": text}
        assert load_config(Config, env_prefix="SHOP_", environ=environ).hosts == []

    def test_all_faults_at_once(self):
        """Each is told with its variable."""
        environ = {
            "SHOP_DEBUG": "perhaps",
            "SHOP_PORTS": "80,x",
            "SHOP_LIMITS": "a=1",
            "SHOP_DATABASE_PASSWORD": HIDDEN,
            "SHOP_DATABSE_URL": HIDDEN,
        }
        found = faults_of(env_prefix="SHOP_", environ=environ)
        assert found == [
            "name is missing: set it as SHOP_NAME in the environment",
            "database.url is missing: set it as SHOP_DATABASE_URL in the environment",
            "SHOP_DEBUG must be true or false",
            "SHOP_PORTS must be a whole number",
            "SHOP_LIMITS must be JSON",
            "SHOP_DATABSE_URL is not known; did you mean SHOP_DATABASE_URL?",
        ]

    def test_what_others_set(self):
        """Kubernetes and Docker set variables for a service of the same name."""
        environ = {
            **NEEDED,
            "SHOP_SERVICE_HOST": "10.0.0.1",
            "SHOP_SERVICE_PORT_HTTP": "80",
            "SHOP_PORT": "tcp://10.0.0.1:80",
            "SHOP_PORT_80_TCP_ADDR": "10.0.0.1",
        }
        assert load_config(Config, env_prefix="SHOP_", environ=environ).name == "x"

    def test_left_alone(self, write, monkeypatch):
        """Without a prefix it is not looked at."""
        monkeypatch.setenv("NAME", "no")
        assert load_config(Config, write(FILE)).name == "Shop"
        monkeypatch.setenv("SHOP_NAME", "yes")
        assert load_config(Config, write(FILE), env_prefix="SHOP_").name == "yes"

    @pytest.mark.parametrize("prefix", ["shop_", "SHOP", "_", "1_", "SHOP-"])
    def test_prefix(self, prefix):
        """A prefix is one."""
        with pytest.raises(ValueError, match="env_prefix"):
            load_config(Config, env_prefix=prefix, environ={})

    def test_secret_in_a_file(self, tmp_path):
        """A secret may be in a file of its own, as containers get them."""
        (tmp_path / "secret").write_text(f"{HIDDEN}\n")
        variable = "SHOP_DATABASE_PASSWORD"
        environ = {**NEEDED, f"{variable}_FILE": str(tmp_path / "secret")}
        assert faults_of(env_prefix="SHOP_", environ=environ) == [
            f"{variable} and {variable}_FILE are both there"
        ]
        del environ[variable]
        found = load_config(Config, env_prefix="SHOP_", environ=environ)
        assert found.database.password.reveal() == HIDDEN
        environ[f"{variable}_FILE"] = str(tmp_path / "none")
        (fault,) = faults_of(env_prefix="SHOP_", environ=environ)
        assert fault.startswith(f"{variable}_FILE: ")
        assert fault.endswith("cannot be read: No such file or directory")

    @pytest.mark.parametrize("given", [HIDDEN, "no\0path"])
    def test_secret_for_its_file(self, given):
        """A secret that somebody took for the path of its file is not told."""
        variable = "SHOP_DATABASE_PASSWORD"
        environ = {**NEEDED, f"{variable}_FILE": given}
        del environ[variable]
        (fault,) = faults_of(env_prefix="SHOP_", environ=environ)
        assert fault.startswith(f"{variable}_FILE: what it names cannot be read: ")


class TestClass:
    def test_own_checks(self):
        """A ValueError of the class is a fault."""

        @dataclass
        class Own:
            size: int = 0

            def __post_init__(self) -> None:
                if self.size < 1:
                    raise ValueError("size must be 1 or more")

        with pytest.raises(ConfigError) as caught:
            load_config(Own)
        assert caught.value.faults == ["Own: size must be 1 or more"]

    def test_unknown_annotation(self):
        """A name that is not there is told."""

        @dataclass
        class Odd:
            a: Nothing  # noqa: F821

        with pytest.raises(TypeError, match="names what is not there"):
            load_config(Odd)

    @pytest.mark.parametrize("kind", [dict, int, Config("a", Database("u", Secret("p")))])
    def test_no_dataclass(self, kind):
        """It is loaded into a dataclass."""
        with pytest.raises(TypeError, match="dataclass"):
            load_config(kind)

    def test_no_such_type(self):
        """A type that there is nothing for is told with its member."""
        made = dataclasses.make_dataclass("Made", [("a", complex)])
        with pytest.raises(TypeError, match="a cannot be of type <class 'complex'>: neither text"):
            load_config(made)
        made = dataclasses.make_dataclass("Made", [("a", list[Failing])])
        with pytest.raises(TypeError, match=r"^a cannot be .*'password' of Failing: .*Secret$"):
            load_config(made)

    def test_one_variable_for_two(self):
        """Two members cannot have one variable."""
        inner = dataclasses.make_dataclass("Inner", [("b", str)])
        made = dataclasses.make_dataclass("Made", [("a_b", str), ("a", inner)])
        with pytest.raises(TypeError, match=r"a_b and a\.b would both be the variable X_A_B"):
            load_config(made, env_prefix="X_", environ={})

    def test_within_itself(self):
        """A class that is within itself, by another one as well, has no end."""
        for kind, path in ((Within, "again"), (Around, r"within\.around")):
            with pytest.raises(TypeError, match=f"{path} is within itself"):
                load_config(kind)


@dataclass
class Within:
    again: Within | None = None


@dataclass
class Around:
    within: Between


@dataclass
class Between:
    around: Around | None = None


class TestSecret:
    def test_masked(self, caplog):
        """No way of writing it shows it."""
        secret = Secret(HIDDEN)
        logging.getLogger("test").warning("%s %r", secret, secret)
        shown = [
            str(secret),
            repr(secret),
            f"{secret} {secret!r} {secret:>20}",
            "%s" % secret,  # noqa: UP031
            repr({"a": [secret]}),
            repr(Config("a", Database("u", secret))),
            str(dataclasses.asdict(Database("u", secret))),
            caplog.text,
            str(ValueError(secret)),
        ]
        assert not [each for each in shown if HIDDEN in each]
        assert secret.reveal() == HIDDEN

    @pytest.mark.parametrize("write", [dumps, json.dumps, pickle.dumps, bytes, "".join])
    def test_not_written(self, write):
        """What would write it as it is does not take it."""
        with pytest.raises(TypeError) as caught:
            write([Secret(HIDDEN)] if write == "".join else Secret(HIDDEN))
        assert HIDDEN not in str(caught.value)

    def test_value(self):
        """It is equal to the same one, and true if there is something in it."""
        assert Secret("a") == Secret("a")
        assert Secret("a") != Secret("b")
        assert Secret("a") != "a"
        assert len({Secret("a"), Secret("a"), Secret("ü")}) == 2
        assert (bool(Secret("")), bool(Secret("a"))) == (False, True)
        assert copy.deepcopy([Secret("a")]) == [Secret("a")]
        with pytest.raises(TypeError, match="a secret is a text, not bytes"):
            Secret(b"a")

    def test_no_state(self):
        """What asks for its state gets none."""
        with pytest.raises(TypeError):
            Secret(HIDDEN).__getstate__()

    def test_odd_characters(self):
        """Bytes of a variable that are not UTF-8 are compared like others."""
        assert Secret("a\udcff") == Secret("a\udcff")
        assert Secret("a\udcff") != Secret("a\udcfe")

    def test_failing_check_in_a_list(self, write):
        """No frame has a secret when the check of a class in a list fails, known or misspelt."""
        text = f'password = "{HIDDEN}"\npasword = "{HIDDEN}"\n[[items]]\nsize = 1\n'
        for path, environ in (
            (write(text), {}),
            (None, {"A_PASSWORD": HIDDEN, "A_ITEMS": '[{"size": 1}]'}),
        ):
            given = Hidden(environ)
            with pytest.raises(KeyError) as caught:
                load_config(Listed, path, env_prefix="A_", environ=given)
            shown = [
                repr(frame.frame.f_locals)
                for frame in caught.traceback
                if str(frame.path) != __file__
            ]
            assert len(shown) > 5
            assert not [each for each in shown if HIDDEN in each or "Hidden" in each]

    def test_error_pages(self, write):
        """The Debugger shows variables, and of a secret its mask: of a handler, of loading, of checks."""
        path = write(FILE)
        config = load_config(Config, path)
        app = App(config=config)

        @app.get("/use")
        def use() -> Any:
            settings = config
            password = settings.database.password
            raise LookupError(f"failed with {password}")

        @app.get("/faults")
        def faults() -> Any:
            return load_config(Mail, path)

        @app.get("/checks")
        def checks() -> Any:
            return load_config(Outer, write(f'[database]\npassword = "{HIDDEN}"\n'))

        @app.get("/variable")
        def variable() -> Any:
            return load_config(
                Outer, env_prefix="A_", environ=Hidden({"A_DATABASE_PASSWORD": HIDDEN})
            )

        here = {"REMOTE_ADDR": "127.0.0.1", "SERVER_NAME": "127.0.0.1", "HTTP_HOST": "localhost"}
        source = Path(__file__).read_text(encoding="utf-8")
        assert source.count(HIDDEN) == 1
        for name in ("use", "faults", "checks", "variable"):
            page = call(Debugger(app), f"/{name}", fields={"Accept": "text/html"}, **here)
            assert page.code == 500
            assert b"********" in page.body or name == "faults"
            assert HIDDEN.encode() not in page.body, name


@dataclass
class Item:
    size: int

    def __post_init__(self) -> None:
        raise KeyError("failed")


@dataclass
class Listed:
    items: list[Item]
    password: Secret


class Hidden(dict):
    """An environment that does not show itself."""

    def __repr__(self) -> str:
        return "Hidden"
