"""What a user's module must be for passes to run it: its behaviour is probed, its state restored."""
