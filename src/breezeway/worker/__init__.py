"""One process: listeners, connections, the reactor, the baton, timers."""
