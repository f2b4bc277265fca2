"""Model families as pure functions of one model. Imports `core` and `training`."""
