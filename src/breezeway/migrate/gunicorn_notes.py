"""What to do in place of gunicorn's settings that have no counterpart, by their names."""

from __future__ import annotations

PROXY = (
    "Breezeway believes the proxies in trusted_proxies about the client, the scheme and the host, in"
    " the fields of trusted_headers, and removes these fields: ProxyFix and its like can go."
)
FIELDS = (
    "List those that the proxy sets whatever the client has sent, and no others: what it passes on could"
    " say anything."
)
HTTP2 = "Breezeway speaks HTTP/1.1; a proxy in front of it can speak HTTP/2."
ASGI = "Breezeway serves WSGI applications; an ASGI application needs an ASGI server."
STRICT = "Breezeway refuses such requests, since servers read them in different ways."
LOGGING = (
    "Breezeway's own log is text or JSON (log_format), on standard error or in log_file. For all other"
    " loggers the table [logging] takes what logconfig_dict has (docs/logs.md)."
)
SYSLOG = (
    "The access log can go there: access_log_file = 'syslog:udp://HOST:PORT'. For the rest, log to"
    " standard error, and let journald or the container's runtime take it from there."
)
GUNICORN_LINES = (
    "Lines end with the duration; access_log_format ="
    """ '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"' makes gunicorn's."""
)
STATSD = "Ask 'breezeway ctl status --json'."
PASTE = "Run 'pserve' with 'use = egg:breezeway' in the section [server:main]."
DIRTY = "Breezeway has no workers for long tasks; run a task queue beside it."
NO_UWSGI = "Breezeway speaks HTTP; in nginx, proxy_pass takes the place of uwsgi_pass."

NOTES: dict[str, str] = {
    # Processes
    "worker_tmp_dir": "Workers give their sign of life in shared memory.",
    "reuse_port": "The workers share the listeners that the supervisor has bound.",
    "proc_name": "A process keeps its name; 'breezeway ctl status' tells the processes apart.",
    "default_proc_name": "A process keeps its name.",
    "daemon": "Let systemd or a container run Breezeway in the foreground.",
    "enable_stdio_inheritance": "Workers have the standard streams of the supervisor.",
    "pythonpath": "Set PYTHONPATH in the environment; app_dir can be one directory.",
    "control_socket_mode": "The control socket is for its owner alone (mode 600).",
    "dirty_apps": DIRTY,
    "dirty_workers": DIRTY,
    "dirty_timeout": DIRTY,
    "dirty_threads": DIRTY,
    "dirty_graceful_timeout": DIRTY,
    # Development
    "spew": "Use a debugger or a tracer.",
    "check_config": "Run 'breezeway check'.",
    "print_config": "Run 'breezeway config'.",
    "reload_engine": "Install breezeway[reload] to be told of changes; without it, files are polled.",
    "reload_extra_files": "Directories are watched: list theirs in reload_dirs.",
    # Logging
    "disable_redirect_access_to_syslog": SYSLOG,
    "syslog": SYSLOG,
    "syslog_addr": SYSLOG,
    "syslog_prefix": SYSLOG,
    "syslog_facility": SYSLOG,
    "capture_output": "What the application prints goes where the server's output goes.",
    "logger_class": LOGGING,
    "logconfig": LOGGING,
    "logconfig_dict": LOGGING,
    "logconfig_json": LOGGING,
    "statsd_host": STATSD,
    "statsd_prefix": STATSD,
    "dogstatsd_tags": STATSD,
    "enable_backlog_metric": STATSD,
    # The protocol
    "secure_scheme_headers": PROXY,
    "forwarder_headers": PROXY,
    "protocol": NO_UWSGI,
    "uwsgi_allow_ips": NO_UWSGI,
    "http_parser": "There is one parser.",
    "header_map": "Fields with an underscore in their name are dropped, always.",
    "permit_obsolete_folding": STRICT,
    "strip_header_spaces": STRICT,
    "permit_unconventional_http_version": STRICT,
    "permit_unconventional_http_method": "Any method that is a token passes, in its own case.",
    "casefold_http_method": "Methods are passed on as they came (RFC 9110: they have a case).",
    # TLS and HTTP/2
    "ssl_version": "Breezeway speaks TLS 1.2 and 1.3.",
    "ciphers": (
        "The cipher suites are fixed: all have forward secrecy and authenticated encryption."
    ),
    "ssl_context": (
        "Breezeway makes the context itself, from certfile, keyfile, ca_certs and client_certs; a key"
        " with a password has keyfile_password."
    ),
    "suppress_ragged_eofs": "A connection that just ends has ended, with TLS or without.",
    "do_handshake_on_connect": "The event loop does the handshake; no thread waits for it.",
    "http_protocols": HTTP2,
    "http2_cleartext": HTTP2,
    "http2_max_concurrent_streams": HTTP2,
    "http2_initial_window_size": HTTP2,
    "http2_max_frame_size": HTTP2,
    "http2_max_header_list_size": HTTP2,
    # ASGI
    "asgi_loop": ASGI,
    "asgi_lifespan": ASGI,
    "asgi_disconnect_grace_period": ASGI,
    "websocket_max_message_size": ASGI,
    "root_path": "It was for ASGI; for WSGI, our root_path sets SCRIPT_NAME.",
    # Paste
    "paste": PASTE,
    "raw_paste_global_conf": PASTE,
    # Hooks
    "on_starting": "Do it before the start, such as in ExecStartPre= of the systemd unit.",
    "on_reload": "Do it in what asks for the reload, such as the script of the deployment.",
    "when_ready": "systemd is told when the server is ready (Type=notify).",
    "pre_fork": (
        "Make it a function without arguments in a module of yours, and name it with"
        ' before_fork = "MODULE:NAME"; it is called with preload alone.'
    ),
    "post_fork": (
        "Make it a function without arguments in a module of yours, and name it with"
        ' after_fork = "MODULE:NAME"; it is called before the application is loaded, or with'
        " preload after."
    ),
    "post_worker_init": "Do it at the end of the application's module.",
    "worker_int": "Workers are told to end by the supervisor; use atexit.",
    "worker_abort": "The log has the stack of every thread of a worker that is killed.",
    "pre_exec": "An upgrade (SIGUSR2) has no hook; do it in what sends the signal.",
    "pre_request": "Wrap the application in a middleware.",
    "post_request": "Wrap the application in a middleware.",
    "child_exit": "There is no hook for the end of a worker outside of it; in it, use atexit.",
    "worker_exit": "Use atexit in the application.",
    "nworkers_changed": "Ask 'breezeway ctl status --json'.",
    "on_exit": "Do it after the end, such as in ExecStopPost= of the systemd unit.",
    "on_dirty_starting": DIRTY,
    "dirty_post_fork": DIRTY,
    "dirty_worker_init": DIRTY,
    "dirty_worker_exit": DIRTY,
}

HARMLESS: dict[str, object] = {
    "http_protocols": "h1",
    "protocol": "http",
    "header_map": "drop",
    "http_parser": "auto",
    "http2_cleartext": "off",
    "reload_engine": "auto",
    "suppress_ragged_eofs": True,
    "control_socket_mode": 0o600,
}
"""Values with which a setting changes nothing, beside those that are false."""
