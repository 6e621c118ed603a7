//! Floor 6: what changes, routes, absorbs or holds data. One file or folder a kind; none imports another.
