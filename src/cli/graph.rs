//! `tailwater graph`: the graph of a configuration, for `dot` or for Mermaid.

use std::fmt::Write;

use crate::pipeline::Graph;
use crate::pipeline::graph::Role;

/// How the graph is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum GraphFormat {
    /// For Graphviz: `tailwater graph --config … | dot -Tsvg > graph.svg`.
    #[default]
    Dot,
    /// For Mermaid, which Markdown pages show.
    Mermaid,
}

/// Draws the graph: sources, transforms and sinks by name, an arrow for each input, with the name of the
/// output where there are several.
pub fn draw(graph: &Graph, format: GraphFormat) -> String {
    let mut out = String::new();
    // Writing into memory does not fail.
    let _ = match format {
        GraphFormat::Dot => dot(graph, &mut out),
        GraphFormat::Mermaid => mermaid(graph, &mut out),
    };
    out
}

/// The arrows: from, to, and the output's name where the component has several.
fn arrows(graph: &Graph) -> impl Iterator<Item = (usize, usize, Option<String>)> {
    graph.components.iter().enumerate().flat_map(move |(to, component)| {
        component.inputs.iter().map(move |input| {
            let from = &graph.components[input.component];
            let full = from.output_name(input.output);
            let name = full.strip_prefix(&*from.id.0).and_then(|rest| rest.strip_prefix('.'));
            (input.component, to, name.map(str::to_owned))
        })
    })
}

// Names of components and outputs are words of a-z, 0-9, _ and -, so that nothing needs an escape.

fn dot(graph: &Graph, out: &mut String) -> std::fmt::Result {
    writeln!(out, "digraph tailwater {{\n  rankdir=LR;\n  node [fontname=\"sans-serif\"];")?;
    for component in &graph.components {
        let shape = match component.role {
            Role::Source(_) => "cds",
            Role::Transform(_) => "box",
            Role::Sink(_) => "cylinder",
        };
        writeln!(out, "  \"{}\" [shape={shape}];", component.id)?;
    }
    for (from, to, name) in arrows(graph) {
        let (from, to) = (&graph.components[from].id, &graph.components[to].id);
        match name {
            Some(name) => writeln!(out, "  \"{from}\" -> \"{to}\" [label=\"{name}\"];")?,
            None => writeln!(out, "  \"{from}\" -> \"{to}\";")?,
        }
    }
    writeln!(out, "}}")
}

fn mermaid(graph: &Graph, out: &mut String) -> std::fmt::Result {
    writeln!(out, "flowchart LR")?;
    for (index, component) in graph.components.iter().enumerate() {
        let id = &component.id;
        match component.role {
            Role::Source(_) => writeln!(out, "  c{index}>\"{id}\"]")?,
            Role::Transform(_) => writeln!(out, "  c{index}[\"{id}\"]")?,
            Role::Sink(_) => writeln!(out, "  c{index}[(\"{id}\")]")?,
        }
    }
    for (from, to, name) in arrows(graph) {
        match name {
            Some(name) => writeln!(out, "  c{from} -- {name} --> c{to}")?,
            None => writeln!(out, "  c{from} --> c{to}")?,
        }
    }
    Ok(())
}
