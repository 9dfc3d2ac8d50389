"""What makes those pages and examples that say what the code says: `./run docs` writes them anew."""
