//! Floor 8: builds every part once; start, reload and drain order.
