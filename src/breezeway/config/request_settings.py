"""Settings of what the server does with connections and requests: room, time and size."""

from __future__ import annotations

from dataclasses import dataclass

from breezeway.config import checks
from breezeway.config.checks import SHORTEST
from breezeway.config.kinds import COUNT, DEADLINE, DIRECTORY, DURATION, PATH, SIZE
from breezeway.config.setting import setting
from breezeway.http1 import limits

CAPACITY = "Threads and queues"
CONNECTIONS = "Connections"
TIME = "Time limits"
SIZES = "Size limits"


@dataclass(frozen=True, kw_only=True)
class RequestSettings:
    """Part of `Settings`."""

    threads: int = setting(
        8,
        COUNT,
        CAPACITY,
        "Requests that the application works on at a time.",
        least=1,
        most=2**31 - 1,
    )
    queue_limit: int = setting(
        1024,
        COUNT,
        CAPACITY,
        "Complete requests that may wait for a thread; more are answered with 503.",
        least=0,
    )
    queue_timeout: float = setting(
        30.0,
        DURATION,
        CAPACITY,
        "A request that has waited for a thread this long is answered with 503.",
        least=SHORTEST,
    )
    body_memory: int = setting(
        256 * 1024,
        SIZE,
        CAPACITY,
        "How much of a request's body is kept in memory; the rest goes to a temporary file.",
        least=0,
    )
    high_watermark: int = setting(
        256 * 1024,
        SIZE,
        CAPACITY,
        "A streaming application waits when its client is this far behind.",
        least=1,
    )
    temp_dir: str | None = setting(
        None,
        DIRECTORY,
        CAPACITY,
        "Where bodies over --body-memory are kept. Without it, the system's directory for such files.",
        form=checks.file_name,
    )
    stream_body: tuple[str, ...] = setting(
        (),
        PATH,
        CAPACITY,
        "Path prefix whose requests reach the application before their body has come; it reads"
        " the body as it comes, and waits for the client. Needs two --threads. May be given several"
        " times.",
        repeatable=True,
        form=checks.prefixes,
    )
    health_path: str | None = setting(
        None,
        PATH,
        CAPACITY,
        "Path that the server itself answers: 200, or 503 while it stops, also with all threads busy.",
        form=checks.probe_path,
    )

    limit_connections: int = setting(
        10_000,
        COUNT,
        CONNECTIONS,
        "Most connections of one worker; past it the one that has idled longest is closed for a new one.",
        least=1,
    )
    limit_connections_per_client: int = setting(
        1000,
        COUNT,
        CONNECTIONS,
        "Most connections of one client address with one worker; more are answered with 503. 0 means"
        " any number.",
        least=0,
    )
    limit_unsent: int = setting(
        64 * 1024 * 1024,
        SIZE,
        CONNECTIONS,
        "How much one worker keeps for clients that read slowly; past it the slowest are dropped.",
        least=1,
    )
    min_rate: int = setting(
        240,
        SIZE,
        CONNECTIONS,
        "Bytes a second at which a client has to send a body, or to take a response; 0 means any.",
        least=0,
    )
    min_rate_after: float = setting(
        10.0,
        DURATION,
        CONNECTIONS,
        "How long a body or a response may take before --min-rate counts.",
        least=SHORTEST,
    )

    graceful_timeout: float = setting(
        30.0, DURATION, TIME, "How long a stop waits for the requests in flight.", least=0
    )
    keep_alive_timeout: float = setting(
        65.0, DURATION, TIME, "How long a connection may idle between requests.", least=SHORTEST
    )
    head_timeout: float = setting(
        10.0,
        DURATION,
        TIME,
        "From the first byte of a request's head to its last; later is answered with 408.",
        least=SHORTEST,
    )
    body_timeout: float = setting(
        30.0,
        DURATION,
        TIME,
        "A request whose body stands still this long is answered with 408.",
        least=SHORTEST,
    )
    send_timeout: float = setting(
        30.0,
        DURATION,
        TIME,
        "A client that takes nothing for this long is dropped.",
        least=SHORTEST,
    )
    request_timeout: tuple[str, ...] = setting(
        (),
        DEADLINE,
        TIME,
        "A request that the application works on this long is answered with 504 and interrupted."
        " May be given several times; the longest PREFIX that the path starts with counts.",
        repeatable=True,
        form=checks.request_timeout,
    )

    limit_request_line: int = setting(
        limits.REQUEST_LINE_BYTES,
        SIZE,
        SIZES,
        "Longest request line; longer is answered with 414.",
        least=1,
    )
    limit_head: int = setting(
        limits.HEAD_BYTES,
        SIZE,
        SIZES,
        "Largest request head; larger is answered with 431.",
        least=1,
    )
    limit_fields: int = setting(
        limits.HEAD_FIELDS,
        COUNT,
        SIZES,
        "Most header fields in a request; more are answered with 431.",
        least=1,
    )
    limit_body: int = setting(
        limits.BODY_BYTES,
        SIZE,
        SIZES,
        "Largest request body; larger is answered with 413.",
        least=0,
    )
