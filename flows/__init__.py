"""What runs, in which order, and where a person decides: one flow per file, the file named after it."""
