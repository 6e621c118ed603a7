//! Floor 6: the agent's own listeners: health for probes, admin for people.
