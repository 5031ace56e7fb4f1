"""What the wiki knows: tables, and what can be done with them. Nothing here knows of HTTP."""
