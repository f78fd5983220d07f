"""What a run needs of its surroundings, asked before the first one: a check for each need, and what to do about it."""
