//! What holds of a graph in each phase, checked after every pass.
