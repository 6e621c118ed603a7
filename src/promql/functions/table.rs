//! The table of all functions.

use super::super::query::ValueType as Type;
use super::math::each;
use super::{
    BucketFunction, Kind, LabelFunction, Order, RangeFunction, Special, date, instant, math, over_time, rate, resets,
    trend,
};
use super::{Datum, Window, Work};

/// A function of the language.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// What it takes; arguments beyond these are as the last.
    pub arguments: &'static [Type],
    /// Fewest arguments.
    pub fewest: usize,
    /// Most arguments, unless any number will do.
    pub most: Option<usize>,
    /// What it gives.
    pub result: Type,
    /// How it is computed.
    pub kind: Kind,
    /// Prometheus has it behind `--enable-feature=promql-experimental-functions`.
    pub experimental: bool,
    /// Its result depends on the time of the evaluation even where its arguments do not.
    pub varies: bool,
}

/// The function of this name.
pub fn find(name: &str) -> Option<&'static Function> {
    let place = TABLE.binary_search_by(|function| function.name.cmp(name)).ok()?;
    Some(&TABLE[place])
}

/// All functions by name.
pub const TABLE: &[Function] = &[
    floats("abs", |column| each(column, f64::abs)),
    of("absent", VECTOR, special(Special::Absent)),
    of("absent_over_time", MATRIX, special(Special::AbsentOverTime)),
    floats("acos", |column| each(column, f64::acos)),
    floats("acosh", |column| each(column, f64::acosh)),
    floats("asin", |column| each(column, f64::asin)),
    floats("asinh", |column| each(column, f64::asinh)),
    floats("atan", |column| each(column, f64::atan)),
    floats("atanh", |column| each(column, f64::atanh)),
    range("avg_over_time", over_time::avg),
    floats("ceil", |column| each(column, f64::ceil)),
    anchored("changes", resets::changes),
    of("clamp", &[Type::Vector, Type::Scalar, Type::Scalar], Kind::WithScalars(math::clamp)),
    of("clamp_max", &[Type::Vector, Type::Scalar], Kind::WithScalars(math::clamp_max)),
    of("clamp_min", &[Type::Vector, Type::Scalar], Kind::WithScalars(math::clamp_min)),
    floats("cos", |column| each(column, f64::cos)),
    floats("cosh", |column| each(column, f64::cosh)),
    range("count_over_time", over_time::count),
    date("day_of_month", date::day_of_month),
    date("day_of_week", date::day_of_week),
    date("day_of_year", date::day_of_year),
    date("days_in_month", date::days_in_month),
    floats("deg", |column| each(column, |angle| angle * (180.0 / std::f64::consts::PI))),
    growth("delta", rate::delta, false),
    range("deriv", trend::deriv),
    with(
        &[Type::Matrix, Type::Scalar, Type::Scalar],
        range("double_exponential_smoothing", trend::double_exponential_smoothing),
    )
    .experimental(),
    scalar("end", &[], special(Special::End)).experimental().varying(),
    floats("exp", |column| each(column, f64::exp)),
    naming("first_over_time", over_time::first),
    floats("floor", |column| each(column, f64::floor)),
    of("histogram_avg", VECTOR, Kind::Histogram(|histogram| histogram.average())),
    of("histogram_count", VECTOR, Kind::Histogram(|histogram| histogram.count)),
    of("histogram_fraction", &[Type::Scalar, Type::Scalar, Type::Vector], Kind::Buckets(BucketFunction::Fraction)),
    of("histogram_quantile", &[Type::Scalar, Type::Vector], Kind::Buckets(BucketFunction::Quantile)),
    of(
        "histogram_quantiles",
        &[Type::Vector, Type::String, Type::Scalar, Type::Scalar],
        Kind::Buckets(BucketFunction::Quantiles),
    )
    .optional(9)
    .experimental(),
    of("histogram_stddev", VECTOR, Kind::Histogram(|histogram| histogram.variance().sqrt())),
    of("histogram_stdvar", VECTOR, Kind::Histogram(|histogram| histogram.variance())),
    of("histogram_sum", VECTOR, Kind::Histogram(|histogram| histogram.sum)),
    date("hour", date::hour),
    range("idelta", instant::idelta),
    growth("increase", rate::increase, true),
    of("info", &[Type::Vector, Type::Vector], special(Special::Info)).optional(1).experimental(),
    with(&[Type::Matrix, Type::Scalar], range("integral", trend::integral)).optional(1).experimental(),
    starting("irate", instant::irate),
    of("label_join", &[Type::Vector, Type::String, Type::String, Type::String], Kind::Labels(LabelFunction::Join))
        .repeated(),
    of(
        "label_replace",
        &[Type::Vector, Type::String, Type::String, Type::String, Type::String],
        Kind::Labels(LabelFunction::Replace),
    ),
    naming("last_over_time", over_time::last),
    floats("ln", |column| each(column, f64::ln)),
    floats("log10", |column| each(column, f64::log10)),
    floats("log2", |column| each(column, f64::log2)),
    range("mad_over_time", over_time::median_absolute_deviation).experimental(),
    scalar("max_of", &[Type::Scalar, Type::Scalar], Kind::Scalars(|scalars| math::greater(scalars[0], scalars[1])))
        .experimental(),
    range("max_over_time", over_time::max),
    scalar("min_of", &[Type::Scalar, Type::Scalar], Kind::Scalars(|scalars| math::lesser(scalars[0], scalars[1])))
        .experimental(),
    range("min_over_time", over_time::min),
    date("minute", date::minute),
    date("month", date::month),
    scalar("pi", &[], Kind::Scalars(|_| std::f64::consts::PI)),
    with(&[Type::Matrix, Type::Scalar], range("predict_linear", trend::predict_linear)).varying(),
    range("present_over_time", over_time::present),
    with(&[Type::Scalar, Type::Matrix], range("quantile_over_time", over_time::quantile_of)),
    floats("rad", |column| each(column, |angle| angle * (std::f64::consts::PI / 180.0))),
    scalar("range", &[], special(Special::Range)).experimental().varying(),
    growth("rate", rate::rate, true),
    starting_anchored("resets", resets::resets),
    of("round", &[Type::Vector, Type::Scalar], Kind::WithScalars(math::round)).optional(1),
    scalar("scalar", VECTOR, special(Special::Scalar)),
    floats("sgn", |column| each(column, math::sign)),
    floats("sin", |column| each(column, f64::sin)),
    floats("sinh", |column| each(column, f64::sinh)),
    of("sort", VECTOR, order(false, false)),
    of("sort_by_label", &[Type::Vector, Type::String], order(true, false)).repeated().experimental(),
    of("sort_by_label_desc", &[Type::Vector, Type::String], order(true, true)).repeated().experimental(),
    of("sort_desc", VECTOR, order(false, true)),
    floats("sqrt", |column| each(column, f64::sqrt)),
    scalar("start", &[], special(Special::Start)).experimental().varying(),
    of("start_timestamp", VECTOR, special(Special::StartTimestamp)).experimental(),
    range("stddev_over_time", over_time::standard_deviation),
    range("stdvar_over_time", over_time::standard_variance),
    scalar("step", &[], special(Special::Step)).experimental().varying(),
    range("sum_over_time", over_time::sum),
    floats("tan", |column| each(column, f64::tan)),
    floats("tanh", |column| each(column, f64::tanh)),
    scalar("time", &[], special(Special::Time)).varying(),
    of("timestamp", VECTOR, special(Special::Timestamp)).varying(),
    range("ts_of_first_over_time", over_time::time_of_first).experimental(),
    range("ts_of_last_over_time", over_time::time_of_last).experimental(),
    range("ts_of_max_over_time", over_time::time_of_max).experimental(),
    range("ts_of_min_over_time", over_time::time_of_min).experimental(),
    of("vector", &[Type::Scalar], special(Special::Vector)),
    date("year", date::year),
];

const VECTOR: &[Type] = &[Type::Vector];
const MATRIX: &[Type] = &[Type::Matrix];

type Compute = fn(&Window<'_>, &[f64], &mut Work) -> Option<Datum>;

const fn of(name: &'static str, arguments: &'static [Type], kind: Kind) -> Function {
    Function {
        name,
        arguments,
        fewest: arguments.len(),
        most: Some(arguments.len()),
        result: Type::Vector,
        kind,
        experimental: false,
        varies: false,
    }
}

const fn scalar(name: &'static str, arguments: &'static [Type], kind: Kind) -> Function {
    Function { result: Type::Scalar, ..of(name, arguments, kind) }
}

const fn special(function: Special) -> Kind {
    Kind::Evaluation(function)
}

const fn order(by_label: bool, descending: bool) -> Kind {
    Kind::Order(Order { by_label, descending })
}

const fn floats(name: &'static str, function: fn(&mut [f64])) -> Function {
    of(name, VECTOR, Kind::Floats(function))
}

const fn date(name: &'static str, function: fn(f64) -> f64) -> Function {
    of(name, VECTOR, Kind::Date(function)).optional(1).varying()
}

const PLAIN: RangeFunction = RangeFunction {
    compute: over_time::present,
    keeps_name: false,
    uses_starts: false,
    wants_counter: false,
    anchored: false,
    smoothed: false,
};

const fn range(name: &'static str, compute: Compute) -> Function {
    of(name, MATRIX, Kind::Range(RangeFunction { compute, ..PLAIN }))
}

const fn naming(name: &'static str, compute: Compute) -> Function {
    of(name, MATRIX, Kind::Range(RangeFunction { compute, keeps_name: true, ..PLAIN }))
}

const fn starting(name: &'static str, compute: Compute) -> Function {
    of(name, MATRIX, Kind::Range(RangeFunction { compute, uses_starts: true, ..PLAIN }))
}

const fn anchored(name: &'static str, compute: Compute) -> Function {
    of(name, MATRIX, Kind::Range(RangeFunction { compute, anchored: true, ..PLAIN }))
}

const fn starting_anchored(name: &'static str, compute: Compute) -> Function {
    of(name, MATRIX, Kind::Range(RangeFunction { compute, uses_starts: true, anchored: true, ..PLAIN }))
}

const fn growth(name: &'static str, compute: Compute, counter: bool) -> Function {
    let function = RangeFunction {
        compute,
        uses_starts: counter,
        wants_counter: counter,
        anchored: true,
        smoothed: true,
        ..PLAIN
    };
    of(name, MATRIX, Kind::Range(function))
}

const fn with(arguments: &'static [Type], function: Function) -> Function {
    Function { arguments, fewest: arguments.len(), most: Some(arguments.len()), ..function }
}

impl Function {
    /// Instead of the last argument there may be none, or up to `most`.
    const fn optional(mut self, most: usize) -> Self {
        self.fewest -= 1;
        self.most = Some(self.fewest + most);
        self
    }

    /// Instead of the last argument there may be any number.
    const fn repeated(mut self) -> Self {
        self.fewest -= 1;
        self.most = None;
        self
    }

    const fn experimental(mut self) -> Self {
        self.experimental = true;
        self
    }

    const fn varying(mut self) -> Self {
        self.varies = true;
        self
    }

    /// What an argument must be.
    pub fn argument(&self, place: usize) -> Option<Type> {
        self.arguments.get(place).or(self.arguments.last()).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_is_found_by_its_name() {
        assert!(TABLE.is_sorted_by(|a, b| a.name < b.name), "the table is searched by halving");
        for function in TABLE {
            assert_eq!(find(function.name).map(|found| found.name), Some(function.name));
            assert!(function.most.is_none_or(|most| most >= function.fewest), "{}", function.name);
        }
        assert!(find("holt_winters").is_none());
        assert_eq!(TABLE.len(), 91);
    }

    #[test]
    fn arguments_beyond_the_last_are_as_that() {
        let quantiles = find("histogram_quantiles").expect("a function");
        assert_eq!((quantiles.fewest, quantiles.most), (3, Some(12)));
        assert_eq!(quantiles.argument(7), Some(Type::Scalar));
        let join = find("label_join").expect("a function");
        assert_eq!((join.fewest, join.most, join.argument(9)), (3, None, Some(Type::String)));
        assert_eq!(find("pi").and_then(|pi| pi.argument(0)), None);
        let year = find("year").expect("a function");
        assert_eq!((year.fewest, year.most), (0, Some(1)));
    }
}
