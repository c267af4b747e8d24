"""Prepare modules for passes: probe their behaviour and restore their state. Imports runtime/device."""
