"""The forms that a list of targets may have, each read in bounded pieces."""
