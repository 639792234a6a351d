"""`python -m nlp`, the same as the command `nlp`."""

from nlp.cli import main

if __name__ == "__main__":
    main()
