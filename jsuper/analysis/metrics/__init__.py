"""What is measured of each model of a sweep, a module for each family."""
