"""Fine-tune the network above some atoms so that they count less. Imports losses, models, passes, data and fields."""
