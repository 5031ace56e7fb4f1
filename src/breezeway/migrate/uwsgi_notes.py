"""What to do in place of uWSGI's options that have no counterpart."""

from __future__ import annotations

import re

TLS = "Breezeway speaks TLS 1.2 and 1.3; ciphers and sessions are its own matter."
PROTOCOL = "Breezeway speaks HTTP; in nginx, proxy_pass takes the place of uwsgi_pass."
ROUTES = "Do it in the proxy, or in a middleware around the application."
BESIDE = "Run it as a process beside the server, such as another systemd unit."
EMPEROR = "Run one server for each application: a template unit of systemd, breezeway@.service."
STATS = "Ask 'breezeway ctl status --json'; 'breezeway ctl stacks' shows what threads do."
LOGS = "The log goes to standard error or to log_file; log_format and access_log_format form lines."
ROTATE = "Let logrotate move the file, and send SIGUSR1, which opens it anew."
TOUCH = "'breezeway ctl reload', or SIGHUP, reloads without dropping a request."
SCALE = "The number of workers is fixed; 'breezeway ctl scale N' changes it."
FORKS = 'Name a callable with after_fork = "MODULE:NAME".'
HOOKS = "Do it in the systemd unit, such as in ExecStartPre=, or in the application's module."
PLUGINS = "Nothing has to be loaded."
ENVIRONMENT = "Install Breezeway into that virtual environment, and run the breezeway in it."
LOGIC = "The logic of the ini file is not executed; look at what the lines after it became."
OTHER_FILE = "It is not followed: migrate that file, too, and join what comes out."
CACHE = "Use a cache such as Redis; Breezeway has none."
LIMITS = "Set it in the systemd unit or for the container."

ALWAYS = {
    "add-header-date",
    "close-on-exec",
    "close-on-exec2",
    "die-on-term",
    "disable-write-exception",
    "enable-threads",
    "exit-on-reload",
    "harakiri-verbose",
    "http-auto-chunked",
    "ignore-sigpipe",
    "ignore-write-errors",
    "lazy",
    "lazy-apps",
    "log-date",
    "log-x-forwarded-for-off",
    "master",
    "memory-report-off",
    "need-app",
    "no-orphans",
    "offload-threads",
    "py-call-osafterfork",
    "single-interpreter",
    "strict",
    "thunder-lock",
    "vacuum",
    "wsgi-accept-buffer",
}
"""Options whose effect is always there, or whose reason is not."""

NOTES: tuple[tuple[str, str], ...] = (
    (r"https-export-cert", "With client_certs, the certificate is in SSL_CLIENT_CERT."),
    (r"https-socket-\S+", "There are no modifiers."),
    (r"ssl-\S+|https-\S+", TLS),
    (r"sni-\S+", "Name the files in certfile and keyfile; several may be named."),
    (
        r"static-index",
        "There is no index: a directory is 404 below a prefix, and below / the application's.",
    ),
    (
        r"static-expires\S*",
        "A name with a hash in it may be kept for a year; other files are asked for each time.",
    ),
    (r"static-gzip\S*", "A file's sibling .br, .zst or .gz is sent if there is one."),
    (r"static-cache-\S+", "Small files are kept in memory in any case."),
    (r"static-safe", "With static_symlinks, links may lead out of the directories in static."),
    (r"static-skip-ext", "Every file in the directories of static is served."),
    (r"check-static-docroot", "Name the directory in static; a proxy does not choose it."),
    (r"mime-?file", "A file's type is by its extension, from a table of Breezeway's own."),
    (
        r"file-?serve-mode",
        "Files in static are sent from here; with sendfile_root the application may name one in"
        " X-Sendfile.",
    ),
    (
        r"http-raw-body",
        "stream_body = ['/PREFIX'] hands bodies to the application as they come; chunked bodies are"
        " always read.",
    ),
    (
        r"\S*proxy-protocol\S*|\S*proxy1\S*",
        "proxy_protocol names the networks whose connections begin with a PROXY header.",
    ),
    (r"log-x-forwarded-for", "The access log has the client that trusted_proxies tell of."),
    (r"uwsgi-socket|suwsgi-socket|fastcgi-socket|scgi-socket|raw-socket|protocol", PROTOCOL),
    (r"shared-socket", "Pass the socket as a file descriptor, fd://N, or by socket activation."),
    (
        r"chown-socket",
        "A unix socket belongs to who binds it; systemd's socket units set an owner.",
    ),
    (r"http-(modifier\d?|processes|workers|events|manage-expect)", "There is no router process."),
    (
        r"http-(websockets|chunked-input)",
        "WebSockets are not WSGI; chunked bodies are always read.",
    ),
    (r"http-timeout", "There is no router in between; request_timeout limits a request."),
    (
        r"(final-|error-)?route\S*|rewrite|add-header|rem-header|del-header|response-header\S*",
        ROUTES,
    ),
    (r"emperor\S*|vassal\S*|zerg\S*|subscri\S+|fastrouter\S*|legion\S*|freebind", EMPEROR),
    (r"cron\S*|\S*-cron|mules?|farm|spooler\S*|attach-daemon\S*|smart-attach-daemon\S*", BESIDE),
    (r"stats\S*|metric\S*|carbon\S*|memory-report|threaded-logger\S*", STATS),
    (r"log-(maxsize|backupname|truncate|reopen|zeromq)|touch-log\S+", ROTATE),
    (
        r"log-?format\S*",
        "access_log_format may have atoms, such as %(h)s and %(D)s; not all of uWSGI's are there.",
    ),
    (r"log\S*|req-logger|logger|threaded-log|disable-logging-\S+", LOGS),
    (r"touch-\S+|fs-\S+|reload-os-env", TOUCH),
    (r"cheap\S*|idle|workers-\S+", SCALE),
    (r"hook-\S+|exec-\S+|call-\S+", HOOKS),
    (r"plugins?|plugin-dir|plugins-dir|need-plugins?|autoload", PLUGINS),
    (r"virtualenv|venv|home|pyhome|H", ENVIRONMENT),
    (r"if-\S+|if|endif|end-if|for|endfor|end-for|for-\S+|print|\S+-else|else", LOGIC),
    (r"ini|include|inherit|yaml|json|xml|config", OTHER_FILE),
    (r"cache\S*|queue\S*|sharedarea\S*|locks?|lock-engine", CACHE),
    (
        r"limit-as|rlimit-\S+|max-fd|cgroup\S*|cpu-affinity|nice|ionice|cap|unshare\S*|chroot",
        LIMITS,
    ),
    (r"reload-on-as|evil-reload-on-as", "max_worker_memory limits resident memory."),
    (r"procname\S*|auto-procname", "'breezeway ctl status' tells the processes apart."),
    (r"paste\S*|ini-paste\S*", "Run 'pserve' with 'use = egg:breezeway' in [server:main]."),
    (r"reuse-port", "The workers share the listeners that the supervisor has bound."),
    (r"profiler|snmp\S*|tracebacker|py-tracebacker", STATS),
    (r"pep3333-input|wsgi-\S+|catch-exceptions", "What PEP 3333 says holds."),
    (r"honour-range", "Ranges of static files are always served."),
    (r"buffer-size-\S+|post-buffering-bufsize", "There is no such buffer."),
    (r"so-keepalive|tcp-\S+|so-\S+", "Connections have the system's settings for TCP."),
    (r"worker-reload-mercy-\S+|mule-reload-mercy", "Workers have graceful_timeout."),
    (r"mount|manage-script-name", 'One application is served; root_path = "/shop" mounts it.'),
    (r"pythonpath|python-path|pp", "Set PYTHONPATH in the environment; app_dir is one directory."),
    (r"daemonize2?", "Let systemd or a container run Breezeway in the foreground."),
    (r"env", "Set it where Breezeway is started, or in a file that env_file names."),
    (r"async|gevent\S*|asyncio|greenlet|ugreen|coroae", "A request has a thread, not a greenlet."),
)
"""Patterns of names, the first that matches counts, and what to do."""

UNKNOWN = "No counterpart is known."

_PATTERNS = [(re.compile(pattern), note) for pattern, note in NOTES]


def note(name: str) -> str:
    """Return what to do in place of an option."""
    for pattern, text in _PATTERNS:
        if pattern.fullmatch(name):
            return text
    return UNKNOWN
