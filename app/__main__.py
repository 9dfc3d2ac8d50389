"""`python -m app` is the `sre-agent` command."""

from app.cli import main

if __name__ == "__main__":
    main()
