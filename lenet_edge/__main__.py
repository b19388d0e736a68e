"""``python -m lenet_edge`` is the same as the ``lenet-edge`` command."""

from lenet_edge.cli import main

if __name__ == "__main__":
    main()
