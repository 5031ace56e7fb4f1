"""`breezeway top`: what a running server is doing, second by second, in a terminal.

    servers   finds the server, asks it, finds it again when it has gone
    feed      asks once a second, in threads of its own
    span      what two statuses have between them: counts, rates, quantiles
    store     statuses in, readings out: windows, series, rates of workers, events
    running   the requests that threads are in, out of their stacks
    painting  readings as coloured text of a given width
    screen    keys, panels and dialogs (Textual); the only part that needs the extra
    plain     the same as lines and as JSON, for pipes and dumb terminals

Everything but `screen` and `dialogs` is without Textual; nothing but `servers` and `feed` touches a
socket or a clock.
"""
