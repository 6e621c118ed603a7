//! Floor 7: kinds of receivers, one file or folder each.
