"""`python -m spikewise`: the command line, where no script is on the PATH (torchrun, a debugger)."""

from spikewise.cli.main import main

if __name__ == "__main__":
    main()
