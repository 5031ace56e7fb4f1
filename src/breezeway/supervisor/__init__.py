"""Many processes: spawn, watch, replace, reload, upgrade, signals, control."""
