"""``python -m onelight`` is the ``onelight`` command."""

from onelight.cli import main

if __name__ == "__main__":
    main()
