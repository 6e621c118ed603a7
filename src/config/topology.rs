//! From components and the names of their inputs to a checked graph: who feeds whom, in which order, with
//! which signal.

use globset::{GlobBuilder, GlobMatcher};

use super::{codes, fault};
use crate::data::Signal;
use crate::options::{Problem, Span, Spanned, suggest};
use crate::pipeline::Outputs;
use crate::pipeline::graph::{Buffer, Component, ComponentId, Graph, OutputId, Role};

/// A component as far as its own entry tells.
pub struct Draft {
    /// Its name.
    pub id: ComponentId,
    /// Where the name was written.
    pub span: Span,
    /// `source`, `transform` or `sink`.
    pub kind: &'static str,
    /// Its plan, unless its options are wrong.
    pub role: Option<Role>,
    /// Its inputs as written.
    pub inputs: Vec<Spanned<String>>,
    /// The buffer before it.
    pub buffer: Buffer,
    /// Hash of its entry.
    pub hash: u64,
}

impl Draft {
    fn is_sink(&self) -> bool {
        self.kind == "sink"
    }
}

/// One name in `inputs`, taken apart at the dot.
struct Pattern<'a> {
    written: &'a Spanned<String>,
    component: GlobMatcher,
    output: Option<GlobMatcher>,
    glob: bool,
}

/// Builds the graph. What is wrong is added to `problems`, what is only unusual to `warnings`.
pub fn build(drafts: Vec<Draft>, problems: &mut Vec<Problem>, warnings: &mut Vec<Problem>) -> Graph {
    let patterns: Vec<Vec<Pattern<'_>>> =
        drafts.iter().map(|draft| draft.inputs.iter().filter_map(|input| parse(input, problems)).collect()).collect();
    let feeds = feeds(&drafts, &patterns, problems);
    let Some(order) = order(&drafts, &feeds, problems) else { return Graph::default() };

    let mut resolved: Vec<Option<Resolved>> = drafts.iter().map(|_| None).collect();
    for &index in &order {
        resolved[index] = resolve(index, &drafts, &patterns[index], &feeds[index], &resolved, problems);
    }
    unread(&drafts, &resolved, warnings);

    let mut place = vec![0; drafts.len()];
    for (position, &index) in order.iter().enumerate() {
        place[index] = position;
    }
    let mut drafts: Vec<Option<Draft>> = drafts.into_iter().map(Some).collect();
    let components = order.iter().filter_map(|&index| {
        let (draft, resolved) = (drafts[index].take()?, resolved[index].take()?);
        let inputs = resolved.inputs.into_iter();
        Some(Component {
            id: draft.id,
            role: draft.role?,
            outputs: resolved.outputs?,
            inputs: inputs.map(|input| OutputId { component: place[input.component], ..input }).collect(),
            input_signal: resolved.signal,
            buffer: draft.buffer,
            hash: draft.hash,
        })
    });
    Graph { components: components.collect() }
}

fn parse<'a>(written: &'a Spanned<String>, problems: &mut Vec<Problem>) -> Option<Pattern<'a>> {
    let (component, output) = match written.value.split_once('.') {
        Some((component, output)) => (component, Some(output)),
        None => (written.value.as_str(), None),
    };
    let mut glob = |text: &str| match GlobBuilder::new(text).build() {
        Ok(glob) => Some(glob.compile_matcher()),
        Err(error) => {
            let message = format!("`{}` is not a pattern: {}", written.value, error.kind());
            problems.push(Problem::new(codes::UNKNOWN_INPUT, written.span, message));
            None
        }
    };
    let component = glob(component)?;
    let output = output.map(&mut glob).map_or(Some(None), |output| output.map(Some))?;
    let glob = written.value.contains(['*', '?', '[', '{']);
    Some(Pattern { written, component, output, glob })
}

/// Which components feed each one, told where a name leads nowhere.
fn feeds(drafts: &[Draft], patterns: &[Vec<Pattern<'_>>], problems: &mut Vec<Problem>) -> Vec<Vec<Vec<usize>>> {
    let mut all = Vec::with_capacity(drafts.len());
    for (reader, patterns) in patterns.iter().enumerate() {
        let mut of_reader = Vec::with_capacity(patterns.len());
        for pattern in patterns {
            // What a pattern takes in never includes the reader itself; a name written out may, and is a
            // circle then.
            let fits = |(index, draft): &(usize, &Draft)| {
                pattern.component.is_match(&*draft.id.0) && !(pattern.glob && (*index == reader || draft.is_sink()))
            };
            let found: Vec<usize> = drafts.iter().enumerate().filter(fits).map(|(index, _)| index).collect();
            match found.iter().find(|&&index| drafts[index].is_sink()) {
                Some(&sink) => {
                    let message = format!("`{}` is a sink: it sends nothing on", drafts[sink].id);
                    let help = "name a source or a transform";
                    problems.push(Problem::new(codes::UNKNOWN_INPUT, pattern.written.span, message).help(help));
                    of_reader.push(Vec::new());
                }
                None => {
                    if found.is_empty() {
                        problems.push(unknown(pattern, drafts));
                    }
                    of_reader.push(found);
                }
            }
        }
        all.push(of_reader);
    }
    all
}

fn unknown(pattern: &Pattern<'_>, drafts: &[Draft]) -> Problem {
    let Spanned { span, value } = pattern.written;
    let names: Vec<&str> = drafts.iter().filter(|draft| !draft.is_sink()).map(|draft| &*draft.id.0).collect();
    if pattern.glob {
        let message = format!("the pattern `{value}` fits no component");
        let help = match names[..] {
            [] => "the configuration has no sources".into(),
            _ => format!("components: {}", fault::list(&names)),
        };
        return Problem::new(codes::UNKNOWN_INPUT, *span, message).help(help);
    }
    let component = value.split('.').next().unwrap_or_default();
    let message = format!("no source or transform is called `{component}`");
    Problem::new(codes::UNKNOWN_INPUT, *span, message).help(fault::instead(component, &names, "components"))
}

/// An order in which every component stands behind what feeds it, as near to the order of writing as can
/// be; `None` if there is a circle, which is told.
fn order(drafts: &[Draft], feeds: &[Vec<Vec<usize>>], problems: &mut Vec<Problem>) -> Option<Vec<usize>> {
    let mut order = Vec::with_capacity(drafts.len());
    let mut done = vec![false; drafts.len()];
    while order.len() < drafts.len() {
        let ready = |index: &usize| !done[*index] && feeds[*index].iter().flatten().all(|&feeder| done[feeder]);
        match (0..drafts.len()).find(ready) {
            Some(index) => {
                done[index] = true;
                order.push(index);
            }
            None => {
                problems.push(circle(drafts, feeds, &done));
                return None;
            }
        }
    }
    Some(order)
}

/// Walks backwards from any component that waits, until one comes up again.
fn circle(drafts: &[Draft], feeds: &[Vec<Vec<usize>>], done: &[bool]) -> Problem {
    let mut walk: Vec<usize> = Vec::new();
    let mut at = done.iter().position(|done| !done).unwrap_or_default();
    loop {
        if let Some(start) = walk.iter().position(|&seen| seen == at) {
            walk.drain(..start);
            break;
        }
        walk.push(at);
        at = feeds[at].iter().flatten().copied().find(|&feeder| !done[feeder]).unwrap_or(at);
    }
    walk.reverse();
    let first = walk.iter().enumerate().min_by_key(|&(_, &index)| index).map_or(0, |(position, _)| position);
    walk.rotate_left(first);
    walk.push(walk[0]);
    let names: Vec<&str> = walk.iter().map(|&index| &*drafts[index].id.0).collect();
    let message = format!("components feed each other in a circle: {}", names.join(" → "));
    let help = "take one of them out of the other's `inputs`";
    Problem::new(codes::CYCLE, drafts[walk[0]].span, message).help(help)
}

/// A component whose inputs are known.
struct Resolved {
    inputs: Vec<OutputId>,
    signal: Option<Signal>,
    /// `None` where they cannot be known because something before is wrong.
    outputs: Option<Outputs>,
}

fn resolve(
    index: usize,
    drafts: &[Draft],
    patterns: &[Pattern<'_>],
    feeds: &[Vec<usize>],
    before: &[Option<Resolved>],
    problems: &mut Vec<Problem>,
) -> Option<Resolved> {
    let draft = &drafts[index];
    let mut inputs: Vec<(OutputId, Signal)> = Vec::new();
    let mut known = true;
    for (pattern, feeders) in patterns.iter().zip(feeds) {
        let mut fitting = Vec::new();
        let mut all_known = !feeders.is_empty();
        for &feeder in feeders {
            let Some(outputs) = before[feeder].as_ref().and_then(|resolved| resolved.outputs.as_ref()) else {
                all_known = false;
                continue;
            };
            match outputs {
                Outputs::One(signal) if pattern.output.is_none() => {
                    fitting.push((OutputId { component: feeder, output: 0 }, *signal));
                }
                Outputs::One(_) if pattern.glob => {}
                Outputs::One(_) => problems.push(one_output(pattern, &drafts[feeder])),
                Outputs::Named(names) if pattern.output.is_none() && !pattern.glob => {
                    problems.push(name_one(pattern, &drafts[feeder], names));
                    all_known = false;
                }
                Outputs::Named(names) => {
                    let wanted = |name: &str| pattern.output.as_ref().is_none_or(|output| output.is_match(name));
                    let named = names.iter().enumerate().filter(|(_, (name, _))| wanted(name));
                    let before = fitting.len();
                    fitting
                        .extend(named.map(|(output, (_, signal))| (OutputId { component: feeder, output }, *signal)));
                    if fitting.len() == before && !pattern.glob {
                        problems.push(no_such_output(pattern, &drafts[feeder], names));
                        all_known = false;
                    }
                }
            }
        }
        if all_known && fitting.is_empty() && pattern.glob {
            let message = format!("the pattern `{}` fits no output", pattern.written.value);
            problems.push(Problem::new(codes::UNKNOWN_INPUT, pattern.written.span, message));
        }
        known &= all_known && !fitting.is_empty();
        for (input, signal) in fitting {
            if let Some((first, other)) = inputs.iter().find(|(_, other)| *other != signal) {
                let name = |input: &OutputId| output_name(input, drafts, before);
                let message = format!(
                    "the inputs of `{}` carry different signals: `{}` {}, `{}` {}",
                    draft.id,
                    name(first),
                    other.name(),
                    name(&input),
                    signal.name()
                );
                let help = "give each signal a component of its own";
                problems.push(Problem::new(codes::WRONG_SIGNAL, pattern.written.span, message).help(help));
                known = false;
            } else if inputs.iter().all(|(known, _)| *known != input) {
                inputs.push((input, signal));
            }
        }
    }
    let signal = inputs.first().map(|(_, signal)| *signal);
    let of_input = signal.filter(|_| known);
    let wrong = match &draft.role {
        Some(Role::Transform(plan)) => plan.problems_with(of_input),
        Some(Role::Sink(plan)) => plan.problems_with(of_input),
        _ => Vec::new(),
    };
    problems.extend(wrong.into_iter().map(|mut problem| {
        if problem.span == Span::UNKNOWN {
            problem.span = draft.span;
        }
        problem
    }));
    let told = patterns.first().map_or(draft.span, |pattern| pattern.written.span);
    let outputs = match (&draft.role, signal) {
        (Some(Role::Source(plan)), _) => Some(plan.outputs()),
        (Some(Role::Transform(plan)), Some(signal)) if known => match plan.outputs(signal) {
            Ok(outputs) => Some(outputs),
            Err(why) => {
                let message = format!("`{}` cannot take {}: {why}", draft.id, signal.name());
                problems.push(Problem::new(codes::WRONG_SIGNAL, told, message));
                None
            }
        },
        (Some(Role::Sink(plan)), Some(signal)) if known => {
            if !plan.accepts(signal) {
                let message = format!("`{}` cannot take {}", draft.id, signal.name());
                problems.push(Problem::new(codes::WRONG_SIGNAL, told, message));
            }
            Some(Outputs::Named(Vec::new()))
        }
        _ => None,
    };
    Some(Resolved { inputs: inputs.into_iter().map(|(input, _)| input).collect(), signal, outputs })
}

fn one_output(pattern: &Pattern<'_>, feeder: &Draft) -> Problem {
    let message = format!("`{}` has one output, which is called by its own name", feeder.id);
    Problem::new(codes::UNKNOWN_INPUT, pattern.written.span, message).help(format!("write `{}`", feeder.id))
}

fn name_one(pattern: &Pattern<'_>, feeder: &Draft, names: &[(Box<str>, Signal)]) -> Problem {
    let full: Vec<String> = names.iter().map(|(name, _)| format!("`{}.{name}`", feeder.id)).collect();
    let message = format!("`{}` has several outputs: say which", feeder.id);
    Problem::new(codes::OUTPUT_UNNAMED, pattern.written.span, message).help(format!("write one of {}", full.join(", ")))
}

fn no_such_output(pattern: &Pattern<'_>, feeder: &Draft, names: &[(Box<str>, Signal)]) -> Problem {
    let known: Vec<&str> = names.iter().map(|(name, _)| &**name).collect();
    let wanted = pattern.written.value.split_once('.').map_or("", |(_, output)| output);
    let message = format!("`{}` has no output `{wanted}`", feeder.id);
    let help = match suggest::nearest(wanted, known.iter().copied()) {
        Some(near) => format!("did you mean `{}.{near}`?", feeder.id),
        None => format!("its outputs: {}", fault::list(&known)),
    };
    Problem::new(codes::UNKNOWN_INPUT, pattern.written.span, message).help(help)
}

fn output_name(input: &OutputId, drafts: &[Draft], resolved: &[Option<Resolved>]) -> String {
    let id = &drafts[input.component].id;
    match resolved[input.component].as_ref().and_then(|resolved| resolved.outputs.as_ref()) {
        Some(Outputs::Named(names)) => format!("{id}.{}", names[input.output].0),
        _ => id.to_string(),
    }
}

/// Warns of outputs that nobody reads. The outputs `unmatched` and `alerting.metrics` are there to be left alone, and so are
/// signals of a source of several of which one is read.
fn unread(drafts: &[Draft], resolved: &[Option<Resolved>], warnings: &mut Vec<Problem>) {
    for (component, draft) in drafts.iter().enumerate() {
        let Some(outputs) = resolved[component].as_ref().and_then(|resolved| resolved.outputs.as_ref()) else {
            continue;
        };
        let read = |output| {
            let id = OutputId { component, output };
            resolved.iter().flatten().any(|reader| reader.inputs.contains(&id))
        };
        if of_several_signals(outputs) && (0..outputs.len()).any(read) {
            continue;
        }
        for output in 0..outputs.len() {
            let left_alone = matches!(outputs, Outputs::Named(names) if &*names[output].0 == "unmatched")
                || &*draft.id.0 == "alerting";
            if !read(output) && !left_alone {
                let id = OutputId { component, output };
                let name = output_name(&id, drafts, resolved);
                let message = format!("nothing reads `{name}`: what it sends counts as filtered");
                let help = "name it in the `inputs` of a sink or a transform";
                warnings.push(Problem::new(codes::UNREAD_OUTPUT, draft.span, message).help(help));
            }
        }
    }
}

fn of_several_signals(outputs: &Outputs) -> bool {
    let Outputs::Named(names) = outputs else { return false };
    names.iter().any(|(_, signal)| *signal != names[0].1)
}
