"""The files of TLS: what is wrong with them is said in a sentence, and new ones are taken."""

from __future__ import annotations

import datetime
import errno
import logging
import os
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from breezeway.config.settings import Settings
from breezeway.errors import UsageError
from breezeway.worker import certificate
from breezeway.worker import tls as module
from breezeway.worker.tls import Tls

from ..applications import plain
from ..certificates import RSA, Made, local, make
from .tls_client import TlsClient, TlsLive, serving, trusting

LOAD_ROUNDS = 20


def common_name(live: TlsLive, ciphers: str = "") -> bytes:
    """Return what the server's certificate has in it, on a new connection.

    With `ciphers` it is one of TLS 1.2, where they tell the type of the key.
    """
    context = trusting()
    if ciphers:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(ciphers)
    with TlsClient(live.address, context=context) as client:
        der = client.socket.getpeercert(True)
        assert der is not None
        assert client.get().status == 200
        return der


@pytest.fixture(scope="module")
def rsa(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Make a certificate with RSA for this machine; its key takes a while to find."""
    place = tmp_path_factory.mktemp("rsa")
    return make(place, "of-rsa", "DNS:localhost", "IP:127.0.0.1", key=RSA)


def put(made: Made, in_place_of: Made, age: float = 60) -> None:
    """Replace the files of a certificate; they were written `age` seconds ago."""
    then = time.time() - age
    for new, old in zip(made, in_place_of, strict=True):
        shutil.copy(new, new + ".new")
        os.utime(new + ".new", (then, then))
        os.replace(new + ".new", old)


class TestMistakes:
    def missing(self, made: Made) -> dict[str, Any]:
        return {"certfile": (made.certfile + ".gone",), "keyfile": (made.keyfile,)}

    def no_certificate(self, made: Made) -> dict[str, Any]:
        return {"certfile": (made.keyfile,), "keyfile": (made.keyfile,)}

    def no_key(self, made: Made) -> dict[str, Any]:
        return {"certfile": (made.certfile,), "keyfile": (made.certfile + ".txt",)}

    def key_missing_in_certfile(self, made: Made) -> dict[str, Any]:
        return {"certfile": (made.certfile,)}

    def directory(self, made: Made) -> dict[str, Any]:
        return {"certfile": (os.path.dirname(made.certfile),)}

    def pipe(self, made: Made) -> dict[str, Any]:
        os.mkfifo(made.certfile + ".fifo")  # nobody writes to it
        return {"certfile": (made.certfile,), "keyfile": (made.certfile + ".fifo",)}

    def other_key(self, made: Made) -> dict[str, Any]:
        other = make(Path(made.certfile).parent, "other")
        return {"certfile": (made.certfile,), "keyfile": (other.keyfile,)}

    def key_of_another_type(self, made: Made) -> dict[str, Any]:
        key = made.certfile + ".ed25519"
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True)
        return {"certfile": (made.certfile,), "keyfile": (key,)}

    def broken_chain(self, made: Made) -> dict[str, Any]:
        with open(made.certfile, "a") as file:
            file.write(f"{certificate.BEGIN}\nx\n{certificate.END}\n")
        return made.settings

    def joined_without_a_new_line(self, made: Made) -> dict[str, Any]:
        path = Path(made.certfile)
        path.write_text(path.read_text().rstrip() + path.read_text())
        return made.settings

    def cut_key(self, made: Made) -> dict[str, Any]:
        path = Path(made.keyfile)
        path.write_text(path.read_text()[:100])
        return made.settings

    def encrypted(self, made: Made) -> dict[str, Any]:
        return make(Path(made.certfile).parent, "secret", password="geheim").settings

    def wrong_password(self, made: Made) -> dict[str, Any]:
        return {**self.encrypted(made), "keyfile_password": "falsch"}

    def no_authorities(self, made: Made) -> dict[str, Any]:
        return {**made.settings, "ca_certs": made.keyfile, "client_certs": "required"}

    @pytest.mark.parametrize(
        ("mistake", "said"),
        [
            (
                missing,
                r"cannot read .*local\.pem\.gone \(--certfile\): no such file or directory\.",
            ),
            (directory, r"cannot read .* \(--certfile\): is a directory\."),
            (pipe, r"local\.pem\.fifo \(--keyfile\) is a pipe\."),
            (no_certificate, r"local-key\.pem \(--certfile\) holds no certificate in PEM\."),
            (no_key, r"local\.pem\.txt \(--keyfile\) holds no private key in PEM\."),
            (key_missing_in_certfile, r"local\.pem \(--certfile\) holds no private key\."),
            (other_key, r"the key .*other-key\.pem is not that of the certificate .*local\.pem\."),
            (
                key_of_another_type,
                r"the key .*ed25519 is not that of the certificate .*local\.pem\.",
            ),
            (
                broken_chain,
                r"local\.pem \(--certfile\) is damaged: OpenSSL cannot read all of its certificates\.",
            ),
            (
                joined_without_a_new_line,
                r"local\.pem \(--certfile\) is damaged: OpenSSL cannot read all of its certificates\.",
            ),
            (cut_key, r"local-key\.pem \(--keyfile\) is damaged: OpenSSL cannot read the key\."),
            (encrypted, r"\(--keyfile\) has an encrypted key, and there is no password\."),
            (wrong_password, r"\(--keyfile\) has a key that the password does not open\."),
            (
                no_authorities,
                r"local-key\.pem \(--ca-certs\) holds no certificate in PEM, or a damaged",
            ),
        ],
        ids=lambda value: getattr(value, "__name__", ""),
    )
    def test_a_sentence(self, tmp_path: Path, mistake: Callable[..., Any], said: str) -> None:
        """Each mistake is told in a sentence that names the file and the setting."""
        made = local(tmp_path)
        Path(made.certfile + ".txt").write_text("nothing")
        with pytest.raises(UsageError, match=said) as caught:
            Tls(Settings(**mistake(self, made)))
        assert "falsch" not in repr(caught.value) + caught.value.hint

    def test_password(self, tmp_path: Path) -> None:
        """With its password, an encrypted key is as good as any."""
        made = make(tmp_path, "secret", password="geheim")
        settings = Settings(**made.settings, keyfile_password="geheim")
        assert Tls(settings).complaints() == []
        assert "geheim" not in repr(settings)

    def test_key_in_the_file_of_the_certificate(self, tmp_path: Path) -> None:
        """One file may hold both."""
        made = local(tmp_path)
        both = tmp_path / "both.pem"
        both.write_text(Path(made.keyfile).read_text() + Path(made.certfile).read_text())
        Tls(Settings(certfile=(str(both),)))

    @pytest.mark.parametrize(
        ("after_days", "said"),
        [(0, ""), (20, "expires on"), (31, "has expired"), (-2, "is not valid before")],
    )
    def test_expiry(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after_days: int, said: str
    ) -> None:
        """A certificate that is over, or will be soon, is used; but the operator is told."""
        made = local(tmp_path)
        tls = Tls(Settings(**made.settings))
        now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=after_days)

        class Then(datetime.datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return now

        monkeypatch.setattr(module.datetime, "datetime", Then)
        complaints = tls.complaints()
        assert [said in each and made.certfile in each for each in complaints] == [True] * bool(
            said
        )


class TestTwoTypesOfKeys:
    """Certificates for the same names."""

    def test_each_client_gets_its_own(
        self, tmp_path: Path, rsa: Made, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Who knows no ECDSA gets the one with RSA, others get that on a curve; also renewed ones."""
        monkeypatch.setattr(module, "LOOK_SECONDS", 0.0)
        monkeypatch.setattr(module, "SETTLE_SECONDS", 0.0)
        curve = make(tmp_path, "curve0", "IP:127.0.0.1", "DNS:LOCALHOST")
        new = local(tmp_path / "new", "renewed")
        certfiles, keyfiles = zip(rsa, curve, strict=True)
        with serving(rsa, certfile=certfiles, keyfile=keyfiles) as live:
            live.play(plain())
            for name in b"curve0", b"renewed":
                assert name in common_name(live)
                assert name in common_name(live, "ECDHE-ECDSA-AES128-GCM-SHA256")
                assert b"of-rsa" in common_name(live, "ECDHE-RSA-AES128-GCM-SHA256")
                put(new, curve)

    def test_the_key_of_the_fellow(self, tmp_path: Path, rsa: Made) -> None:
        """A key that is there already for the other certificate is not taken for this one's."""
        curve = local(tmp_path, "curve")
        files = {"certfile": (rsa.certfile, curve.certfile), "keyfile": (rsa.keyfile, rsa.keyfile)}
        with pytest.raises(UsageError, match=r"of-rsa-key.* is not that of .*curve\.pem"):
            Tls(Settings(**files))

    def test_other_addresses(self, tmp_path: Path, rsa: Made) -> None:
        """Certificates of which only some names are the same stay apart."""
        other = make(tmp_path, "other", "DNS:localhost", "IP:127.0.0.2")
        certfiles, keyfiles = zip(rsa, other, strict=True)
        with serving(rsa, certfile=certfiles, keyfile=keyfiles) as live:
            live.play(plain())
            assert b"of-rsa" in common_name(live)


class TestRotation:
    @pytest.fixture(autouse=True)
    def often(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Look at the files for each connection."""
        monkeypatch.setattr(module, "LOOK_SECONDS", 0.0)

    def test_new_files_are_taken(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """New connections get the new certificate, those that are open go on, tickets stay valid."""
        caplog.set_level(logging.INFO, "breezeway")
        made, new = local(tmp_path), local(tmp_path / "new", "renewed")
        with serving(made) as live:
            live.play(plain())
            with TlsClient(live.address) as old:
                assert old.get().status == 200
                assert b"local0" in common_name(live)
                put(new, made)
                assert b"renewed" in common_name(live)
                assert old.get().status == 200
                context, session = old.socket.context, old.socket.session
            with TlsClient(live.address, context=context, session=session) as again:
                assert again.get().status == 200
                assert again.socket.session_reused
        assert caplog.text.count("the new certificates are in use") == 1

    def test_broken_files_are_told_once(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """What cannot be used is told, the old certificate stays, and the next change is looked at."""
        made, new = local(tmp_path), local(tmp_path / "new", "renewed")
        with serving(made) as live:
            live.play(plain())
            put(Made(new.certfile, made.keyfile), made)
            for _ in range(3):
                assert b"local0" in common_name(live)
            assert caplog.text.count("the old ones stay") == 1
            assert "is not that of the certificate" in caplog.text
            os.unlink(made.keyfile)
            assert b"local0" in common_name(live)
            put(new, made)
            assert b"renewed" in common_name(live)

    def test_what_can_be_read_later_is_taken_later(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A key that gets its permissions late is tried again, and so is one without a descriptor."""

        def fail(path: str, option: str) -> str:
            raise UsageError(f"cannot read {path} ({option}): permission denied.")

        made, new = local(tmp_path), local(tmp_path / "new", "renewed")
        with serving(made) as live:
            live.play(plain())
            put(new, made)
            with monkeypatch.context() as patch:
                patch.setattr(module, "_read", fail)
                for _ in range(3):
                    assert b"local0" in common_name(live)
            assert b"renewed" in common_name(live)
        assert caplog.text.count("the old ones stay") == 1

    def test_a_directory_of_the_supervisor_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A worker of --user that cannot look at the files takes them for no new ones."""
        made = local(tmp_path)
        with serving(made) as live:
            live.play(plain())
            monkeypatch.setattr(module, "_stamp", lambda _: errno.EACCES)
            assert b"local0" in common_name(live)
        assert "certificates" not in caplog.text

    def test_files_just_written_are_left_alone(self, tmp_path: Path) -> None:
        """The key of a certificate that was written this second may not be there yet."""
        made, new = local(tmp_path), local(tmp_path / "new", "renewed")
        with serving(made) as live:
            live.play(plain())
            put(new, made, age=0)
            assert b"local0" in common_name(live)

    def test_under_load(self, tmp_path: Path) -> None:
        """While clients come and go, certificates change and no request is lost."""
        made = local(tmp_path)
        others = [local(tmp_path / str(number), f"number{number}") for number in range(3)]
        put(others[2], made)  # or its files would count as just being written
        ends = threading.Event()
        failures: list[BaseException] = []
        answered = []

        with serving(made) as live:
            live.play(plain(b"hello"))

            def ask() -> None:
                try:
                    while not ends.is_set():
                        with TlsClient(live.address) as client:
                            answered.extend(client.get().body for _ in range(3))
                except BaseException as error:
                    failures.append(error)

            threads = [threading.Thread(target=ask) for _ in range(4)]
            for thread in threads:
                thread.start()
            for number in range(LOAD_ROUNDS):
                put(others[number % 3], made, age=60 + number)
                assert f"number{number % 3}".encode() in common_name(live)
            ends.set()
            for thread in threads:
                thread.join()
        assert not failures
        assert set(answered) == {b"hello"}
