"""`python -m irflops`."""

from irflops.cli import main

if __name__ == "__main__":
    main()
