"""The installed command run as a user runs it, in processes of its own."""
