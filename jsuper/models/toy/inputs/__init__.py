"""The sparse features of a batch."""
