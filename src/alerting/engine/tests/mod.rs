//! Rules on virtual time.

mod clocks;
mod crash;
mod evaluation;
mod hold;
mod loading;
