"""`breezeway migrate`: from another server's configuration to a breezeway.toml.

    gunicorn, uwsgi            read the file, and say what each setting becomes
    gunicorn_notes, uwsgi_notes  what to do in place of those that become nothing
    gunicorn_tls, uwsgi_tls    certificates, and what clients have to show
    uwsgi_static               directories of static files
    uwsgi_ini                  uWSGI's dialect of ini
    page                       collects settings and comments, and writes the file

The file that comes out does the same as the old one, where it can. A setting without a counterpart
becomes a comment that says what to do instead, and so do defaults that differ and matter.
"""

from __future__ import annotations

import os

from breezeway.errors import UsageError


def migrate(path: str) -> str:
    """Return the breezeway.toml that does what the configuration at `path` does.

    A name that ends with `.py` is gunicorn's, which is executed; one that ends with `.ini` is uWSGI's.

    Raises:
        UserError: the file cannot be read, or is neither.
    """
    kind = os.path.splitext(path)[1]
    if kind == ".py":
        from breezeway.migrate import gunicorn

        return gunicorn.translate(path)
    if kind == ".ini":
        from breezeway.migrate import uwsgi

        return uwsgi.translate(path)
    raise UsageError(
        f"{path!r} is neither gunicorn's configuration (*.py) nor uWSGI's (*.ini).",
        "uWSGI's XML, YAML and JSON are not read; write the options as ini.",
    )
