"""2. Kept, with its origin: the lake, the commit protocol, snapshots, blobs, retention."""
