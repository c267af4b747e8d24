"""Runs the plan's attribution steps: slots of targets, reverse and forward mode, path and perturbation methods."""
