"""`python -m nlp`, the same as the command `nlp`."""

from nlp.cli import app

if __name__ == "__main__":
    app(prog_name="nlp")
