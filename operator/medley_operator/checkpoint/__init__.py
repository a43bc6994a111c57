"""Reads the files of a checkpoint: config.json and the headers of its weights, from a folder or from a hub."""
