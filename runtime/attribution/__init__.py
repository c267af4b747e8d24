"""Attribution steps: target slots, reverse and forward mode, paths, perturbation. Imports the engines and below."""
