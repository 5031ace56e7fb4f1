"""Commands for who writes an application: `breezeway new`, `routes`, `shell` and `dev`."""
