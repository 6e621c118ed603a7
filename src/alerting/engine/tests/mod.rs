//! Rules on virtual time.

mod bugs;
mod clocks;
mod crash;
mod elsewhere;
mod evaluation;
mod failing;
mod hold;
mod joins;
mod loading;
mod ranges;
mod trouble;
