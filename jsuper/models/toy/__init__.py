"""The toy model of superposition: n sparse features squeezed into m hidden units."""
