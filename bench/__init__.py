"""Speed, memory and quality, each beside a peer, in one run: `python -m bench --list`."""
