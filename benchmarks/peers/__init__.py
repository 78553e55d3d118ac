"""The same chain done by others: read, background, detect, three apertures, write a catalogue.

Each module has ``chain(frame, output) -> int``: the number of sources written to the FITS catalogue `output`.
"""
