"""Ready chains, runnable by their name: ``etendue run photometry night/``."""
