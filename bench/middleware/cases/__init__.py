"""The cases of each piece, in a file of its name: `cases()` returns them."""
