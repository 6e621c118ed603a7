//! The codes of this floor's errors, as `tailwater explain` and `docs/reference/error-codes.md` explain them.

pub use crate::formats::yaml::{DUPLICATE_KEY, SYNTAX, TOO_LARGE, UNSUPPORTED_YAML};
use crate::options::Code;

pub const UNREADABLE: Code = Code("TW0001");
pub const NO_FILES: Code = Code("TW0006");
pub const TWO_FILES: Code = Code("TW0007");

pub const ENV_UNSET: Code = Code("TW0101");
pub const FILE_UNREADABLE: Code = Code("TW0102");
pub const BAD_REFERENCE: Code = Code("TW0103");
pub const SECRET_INLINE: Code = Code("TW0104");
pub const KEY_FILE: Code = Code("TW0105");

pub const UNKNOWN_KEY: Code = Code("TW0201");
pub const WRONG_TYPE: Code = Code("TW0202");
pub const MISSING_KEY: Code = Code("TW0203");
pub const UNKNOWN_WORD: Code = Code("TW0204");
pub const BAD_VALUE: Code = Code("TW0205");

pub const BAD_NAME: Code = Code("TW0301");
pub const UNKNOWN_TYPE: Code = Code("TW0302");
pub const NAME_TAKEN: Code = Code("TW0303");
pub const NO_INPUTS: Code = Code("TW0304");
pub const UNKNOWN_INPUT: Code = Code("TW0305");
pub const CYCLE: Code = Code("TW0306");
pub const WRONG_SIGNAL: Code = Code("TW0307");
pub const OUTPUT_UNNAMED: Code = Code("TW0308");
pub const NOTHING_TO_RUN: Code = Code("TW0309");
pub const PORT_TAKEN: Code = Code("TW0310");

pub const UNKNOWN_FRAGMENT: Code = Code("TW0404");
pub const FRAGMENT_CYCLE: Code = Code("TW0402");
pub const BAD_USE: Code = Code("TW0403");

pub const TEST_ELSEWHERE: Code = Code("TW0701");
pub const TEST_INPUT: Code = Code("TW0702");
pub const TEST_OUTPUT: Code = Code("TW0703");

pub const SECRET_VISIBLE: Code = Code("TW0713");
pub const UNCHECKED: Code = Code("TW0716");

pub const UNREAD_OUTPUT: Code = Code("TW0801");
pub const UNUSED_FRAGMENT: Code = Code("TW0802");
pub const LINES_UNREDACTED: Code = Code("TW0803");

pub const DISK_NOT_HERE: Code = Code("TW0811");
pub const DISK_TOO_SMALL: Code = Code("TW0812");
pub const BAD_FSYNC: Code = Code("TW0813");

pub const REFUSED: Code = Code("TW0901");
