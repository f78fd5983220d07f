"""What is there to export, what of it is wanted, in which order, and what it will cost."""
