//! Floor 2: the expression language of conditions and values: parse, check, compile, evaluate over views.
