"""``python -m pkgharvest``."""

from pkgharvest.cli import main

if __name__ == "__main__":
    main()
