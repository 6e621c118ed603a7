//! Floor 5: reading log files as they grow, rotate and vanish; what the sources of files share.
