"""`python -m breezeway` is the command `breezeway`."""

from breezeway.cli import main

if __name__ == "__main__":
    main()
