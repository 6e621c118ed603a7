//! What the specification says that an exposition must hold to, as far as one text can break it.

use super::super::super::error::Fault;

/// Most code points of an exemplar's labels.
pub const MAX_EXEMPLAR: usize = 128;

/// A rule that is broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Rule {
    #[error("an exposition must not begin with a byte order mark")]
    ByteOrderMark,
    #[error("not valid UTF-8")]
    Utf8,
    #[error("a line must not end in a carriage return")]
    CarriageReturn,
    #[error("there must be no blank line")]
    BlankLine,
    #[error("the exposition must end with `# EOF`")]
    NoEof,
    #[error("nothing may follow `# EOF`")]
    AfterEof,
    #[error("a line that begins with `#` must be `# TYPE`, `# UNIT`, `# HELP` or `# EOF`, each part behind one space")]
    Comment,
    #[error("{0}")]
    Syntax(#[from] Fault),
    #[error("a metric's name is expected: letters, digits, `_` and `:`, not beginning with a digit")]
    Name,
    #[error("names that begin with an underscore are reserved")]
    Reserved,
    #[error("a label's name is expected: letters, digits and `_`, not beginning with a digit")]
    LabelName,
    #[error("one space and a value are expected")]
    NoValue,
    #[error(
        "a number is expected: digits with or without a fraction and an exponent, within the range of a double, Inf or NaN"
    )]
    Number,
    #[error("a timestamp is expected: seconds as a finite number")]
    Timestamp,
    #[error("an exemplar is expected: ` # `, labels in braces, and a value")]
    Exemplar,
    #[error("the line must end here")]
    LineEnd,
    #[error("a text is expected behind one space")]
    NoText,
    #[error("the type must be one of counter, gauge, histogram, gaugehistogram, stateset, info, summary, unknown")]
    Type,
    #[error("a family must not have more than one {0} line")]
    Repeated(&'static str),
    #[error("metadata must come before the samples of its family")]
    Late,
    #[error("the unit must be a suffix of the family's name, behind an underscore")]
    UnitSuffix,
    #[error("a family of type {0} must not have a unit")]
    UnitOfType(&'static str),
    #[error("the name `{0}` clashes with another family, or its family was left and comes again")]
    Clash(String),
    #[error("a sample of a {0} must have one of the suffixes {1}")]
    Suffix(&'static str, String),
    #[error("the samples of one metric must stand together")]
    Interleaved,
    #[error("the samples of one metric must all have a timestamp, or none")]
    MixedTimestamps,
    #[error("timestamps must increase within a metric, and points must not be interleaved")]
    Backwards,
    #[error("the sample is there twice")]
    Duplicate,
    #[error("the value must not be NaN")]
    NotANumber,
    #[error("the value must not be negative")]
    Negative,
    #[error("the value must be an integer")]
    Fraction,
    #[error("the value must be 1")]
    Info,
    #[error("the value must be 0 or 1")]
    State,
    #[error("the sample must have a label `{0}`")]
    NoLabel(String),
    #[error("the sample must not have a label `{0}`, which belongs to the others of its metric")]
    ForeignLabel(&'static str),
    #[error("a bucket's `le` must be a number, and infinity be written `+Inf`")]
    Bound,
    #[error("a quantile must be a number from 0 to 1")]
    Quantile,
    #[error("a counter must have a sample `_total`")]
    NoTotal,
    #[error("there must be a bucket with `le=\"+Inf\"`")]
    NoInfinity,
    #[error("buckets must be in the order of their `le`")]
    BucketOrder,
    #[error("buckets must be cumulative")]
    Cumulative,
    #[error("`{0}` must equal the bucket with `le=\"+Inf\"`")]
    CountDiffers(&'static str),
    #[error("`{0}` and `{1}` must come together")]
    Alone(&'static str, &'static str),
    #[error("there must be no `_sum` beside a bucket with a negative `le`")]
    SumOfNegative,
    #[error("`_gsum` must not be negative where no bucket has a negative `le`")]
    NegativeSum,
    #[error("only `_total` of a counter and `_bucket` can have an exemplar")]
    ForeignExemplar,
    #[error("the labels of an exemplar must not be longer than {MAX_EXEMPLAR} characters")]
    LongExemplar,
    #[error("the exemplar must lie within its bucket")]
    OutsideBucket,
}
