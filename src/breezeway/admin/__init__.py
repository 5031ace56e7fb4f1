"""The admin listener's application: metrics, health, and a page that shows what the server is doing.

It runs in a process of its own, which the supervisor forks (`breezeway.supervisor.admin`) and which
asks the supervisor for everything over socket pairs, in the words of docs/control.md:

    link         asks the supervisor
    source       what is asked for often, kept for a moment, so that many readers cost little
    history      the last ten minutes, second by second
    streams      the same to whoever looks on, as server-sent events
    access       who may read and who may act: Host, Origin, token, session
    attempts     how often somebody may show a wrong token
    answers      responses
    files        the page itself
    application  paths and methods
"""
