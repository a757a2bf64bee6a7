"""SER models, one module per published system."""
