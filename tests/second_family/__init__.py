"""A model family as small as can be, to show that the engine and the store know no family."""
