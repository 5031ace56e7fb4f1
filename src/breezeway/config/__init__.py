"""The settings: one table (`settings`), what a value may look like (`kinds`), their flags."""
