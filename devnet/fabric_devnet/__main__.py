"""`python -m fabric_devnet`, the same as the command `fabric-devnet`."""

from __future__ import annotations

from fabric_devnet.cli import app


def main() -> None:
    """Run the command line."""
    app(prog_name="fabric-devnet")


if __name__ == "__main__":
    main()
