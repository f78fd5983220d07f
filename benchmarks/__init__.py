"""Speed, memory and pace, measured beside others or beside what is possible."""
