"""What a module must be for passes to run it: probes of its behaviour, restoring its state. Imports runtime/device."""
