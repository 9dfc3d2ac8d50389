"""Drills: faults brought upon real processes under load, and what became of the people who were waiting."""
