"""Run the command line as `python -m memviz`."""

from memviz.cli import main

if __name__ == "__main__":
    main()
