"""The attacks as data: what is done, how the server is started, what has to hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from attack import (
    chunks,
    crowds,
    encrypted,
    floods,
    heads,
    overload,
    pipelines,
    props,
    ranges,
    tools,
)
from attack.hostile import Attack

MEMORY = 32  # MB by which an attack may make the server grow, unless its scenario says more
RATIO = 2.0  # by which p99 of the innocent may grow


@dataclass(frozen=True)
class Scenario:
    """One attack.

    `options` are given to the server beside its defaults. `path` is what the innocent ask for.
    `statuses` are those that the attacker may see; none means that they say nothing here.
    `memory` is in MB. `props` makes files that it needs, and returns the options that name them.
    `measures`: the hostile side looks at the time itself, and so must not be kept waiting.
    """

    name: str
    attack: Attack
    statuses: frozenset[int] = frozenset()
    options: tuple[str, ...] = ()
    path: str = "/"
    memory: int = MEMORY
    props: Callable[[], tuple[str, ...]] | None = None
    scheme: str = "http"
    measures: bool = False

    @property
    def title(self) -> str:
        """What is done, in a sentence."""
        return (self.attack.__doc__ or self.name).strip().rstrip(".")


def _of(*statuses: int) -> frozenset[int]:
    return frozenset(statuses)


SCENARIOS: tuple[Scenario, ...] = (
    Scenario("tool-slow-head", tools.slowhttptest("-H", "-i", "1", "-x", "16")),
    Scenario(
        "tool-slow-body", tools.slowhttptest("-B", "-i", "1", "-s", "8192", "-x", "8", path="/echo")
    ),
    Scenario(
        "tool-slow-read",
        tools.slowhttptest("-X", "-w", "256", "-y", "512", "-n", "1", "-z", "32", path="/large"),
        memory=128,
    ),
    Scenario("tool-range", tools.slowhttptest("-R", "-t", "HEAD", "-a", "1", "-b", "3000")),
    Scenario("crowd", crowds.mixed, _of(200, 408, 503), memory=128),
    Scenario("crowd-idle", crowds.idle, _of(200)),
    Scenario("crowd-late", crowds.late_together, _of(408), options=("--head-timeout", "2")),
    Scenario("crowd-full-heads", crowds.full_heads, _of(408, 431), memory=96),
    Scenario("crowd-full-bodies", crowds.full_bodies, _of(408, 413, 503), memory=320),
    Scenario("crowd-slow-readers", crowds.slow_readers, _of(200), memory=128),
    Scenario("head-many-fields", heads.many_fields, _of(431)),
    Scenario("head-huge-field", heads.huge_field, _of(431)),
    Scenario("head-largest", heads.largest_heads, _of(200)),
    Scenario("head-endless", heads.endless_head, _of(431)),
    Scenario("head-small-pieces", heads.small_pieces, _of(200)),
    Scenario("head-new-fields", heads.new_fields, _of(200)),
    Scenario("head-new-lines", heads.new_request_lines, _of(200)),
    Scenario("head-cookies", heads.cookies, _of(200)),
    Scenario("head-malformed", heads.malformed, _of(400)),
    Scenario("chunk-one-byte", chunks.one_byte, _of(200)),
    Scenario("chunk-extension", chunks.extensions, _of(400)),
    Scenario("chunk-extensions", chunks.many_extensions, _of(400)),
    Scenario("chunk-trailers", chunks.trailers, _of(431)),
    Scenario("chunk-zeros", chunks.zeros, _of(400)),
    Scenario("chunk-zero-padded", chunks.zero_padded, _of(200)),
    Scenario("pipeline-small-unread", pipelines.small_unread),
    Scenario("pipeline-large-unread", pipelines.large_unread),
    Scenario("pipeline-small", pipelines.small_read, _of(200)),
    Scenario("pipeline-bodies", pipelines.bodies_read, _of(200)),
    Scenario("pipeline-large", pipelines.large_read, _of(200)),
    Scenario("flood-close", floods.open_and_close),
    Scenario("flood-reset", floods.open_and_reset),
    Scenario("flood-ask-reset", floods.ask_and_reset, _of(200)),
    Scenario("flood-silent", floods.silent),
    Scenario("flood-one-address", floods.one_address, _of(503)),
    Scenario("break-requests", floods.break_off_requests, _of(100, 200, 400)),
    Scenario("break-responses", floods.break_off_responses, _of(200)),
    Scenario(
        "overload",
        overload.slow_requests,
        _of(200, 503),
        options=("--queue-limit", str(overload.QUEUE), "--health-path", "/health"),
        path="/health",
        measures=True,
    ),
    Scenario(
        "range-bombs", ranges.bombs, _of(200, 206, 416), props=props.files, path="/files/small"
    ),
    Scenario(
        "range-bytes",
        ranges.single_bytes,
        _of(200, 206, 416),
        props=props.files,
        path="/files/small",
    ),
    Scenario("tls-stalled", encrypted.stalled, memory=64, props=props.certificate, scheme="https"),
    Scenario("tls-garbage", encrypted.garbage, _of(400), props=props.certificate, scheme="https"),
    Scenario("tls-renegotiation", encrypted.renegotiation, props=props.certificate, scheme="https"),
)


def named(name: str) -> Scenario:
    """Return the scenario of that name."""
    return next(scenario for scenario in SCENARIOS if scenario.name == name)


def choose(names: list[str]) -> list[Scenario]:
    """Return the scenarios whose names begin so, or all; `SystemExit` for an unknown."""
    for name in names:
        if not any(scenario.name.startswith(name) for scenario in SCENARIOS):
            known = ", ".join(scenario.name for scenario in SCENARIOS)
            raise SystemExit(f"No attack is called {name!r}. There are: {known}.")
    return [s for s in SCENARIOS if not names or any(s.name.startswith(name) for name in names)]
