//! The reference and the JSON Schema for editors are made from the option types, the table of error codes,
//! the registered metrics and the command line itself. A page that is stale fails here; with
//! `TAILWATER_UPDATE_GOLDENS=1` in the environment all of them are written anew.

mod configuration;
mod documents;
mod pages;
mod schema;

use std::path::Path;

/// Compares a page with what it should be, or writes it.
fn hold(path: &str, wanted: &str) {
    if std::env::var_os("TAILWATER_UPDATE_GOLDENS").is_some() {
        std::fs::create_dir_all(Path::new(path).parent().expect("a folder")).expect("created");
        std::fs::write(path, wanted).expect("written");
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    let differs = found.lines().zip(wanted.lines()).position(|(a, b)| a != b);
    let line = differs.unwrap_or_else(|| found.lines().count().min(wanted.lines().count())) + 1;
    assert!(
        found == wanted,
        "{path} is stale from line {line}; write it with TAILWATER_UPDATE_GOLDENS=1 cargo test --test reference"
    );
}

#[test]
fn the_configuration_reference_is_fresh() {
    hold("docs/reference/configuration.md", &configuration::page());
}

#[test]
fn the_other_pages_are_fresh() {
    hold("docs/reference/error-codes.md", &pages::error_codes());
    hold("docs/reference/metrics.md", &pages::metrics());
    hold("docs/reference/command-line.md", &pages::command_line());
}

#[test]
fn every_metric_of_the_sources_is_on_its_page() {
    let page = pages::metrics();
    let named = pages::named_in_sources();
    assert!(named.len() > 50, "{named:?}");
    let missing: Vec<_> = named.iter().filter(|name| !page.contains(&format!("| `{name}` |"))).collect();
    assert!(missing.is_empty(), "{missing:?} must be described in `pages::metrics`");
}

#[test]
fn the_schema_for_editors_is_fresh() {
    hold("config/tailwater.schema.json", &format!("{:#}\n", schema::schema()));
}
