"""The results table: which results there are to be (`plan`), how they come about (`run`), and what came out.

A result is a few commands, as anyone would type them, and numbers that they leave in a run folder or a file. What was
measured is kept in a file of its own beside the plan (`recorded`), with the commands, the machine and the date, and the
table (`table`) is made of these files alone.
"""
