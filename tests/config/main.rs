//! Configurations that must load, and configurations that must be refused in these words:
//! `good/NAME.yaml`, and `bad/NAME/input.yaml` (or a folder `input`) with `bad/NAME/expected.txt`.
//!
//! With `TAILWATER_UPDATE_GOLDENS=1` in the environment the expected texts are written anew; read what
//! changed before you commit it.

mod codes;
mod goldens;
mod hostile;
mod shipped;
mod tables;
