//! Floor 6: from YAML to a checked plan, with every error at its place.
