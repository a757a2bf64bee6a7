"""Work that outgrows one process or one machine, done by Ray's workers; needs `pip install 'remelt[ray]'`."""
