"""Where images come from when they do not lie in a file: cameras and archives on the network."""
