//! What the fuzz targets share beyond `tidegate-rules`: the peer that says what the input says.

pub mod peer;
