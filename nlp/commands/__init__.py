"""The commands of `nlp`, a file for each kind, and what they show."""
