"""What the emulator shows: stages, sessions, participants and their events, made up or scripted."""
