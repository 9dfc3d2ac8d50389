"""The console: a page for people who want to see what the agent does. It only looks."""
