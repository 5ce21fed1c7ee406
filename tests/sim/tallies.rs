//! Counts of what runs have met.
