//! How diagnostics look: for people as rustc prints its own, for programs as JSON.

use std::io;

use annotate_snippets::{AnnotationKind, Group, Level, Origin as FileName, Renderer, Snippet};
use bandy::config::Plan;
use bandy::config::diagnostic::{Diagnostic, Label, Origin, Report, Severity, Source};
use serde_json::{Value, json};

use crate::report;

/// Prints everything that was found on stderr; nothing where nothing was.
pub fn print(found: &Report) {
    if found.diagnostics.is_empty() {
        return;
    }
    let renderer = if report::takes_colour(&io::stderr()) {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    for diagnostic in &found.diagnostics {
        if found.source.name.is_empty() {
            report::say(on_the_command_line(&renderer, diagnostic));
        } else {
            let group = group(&found.source, diagnostic);
            report::say(format_args!("{}\n", renderer.render(&[group])));
        }
    }
    if !found.source.name.is_empty() {
        report::say(totals(found));
    }
}

/// `bandy.toml: 2 errors, 1 warning`
fn totals(found: &Report) -> String {
    let counted = |n: usize, what: &str| match n {
        0 => None,
        1 => Some(format!("1 {what}")),
        n => Some(format!("{n} {what}s")),
    };
    let counts = [
        counted(found.errors(), "error"),
        counted(found.warnings(), "warning"),
    ];
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    format!("{}: {}", found.source.name, counts.join(", "))
}

/// `error: --idle: …`: what was typed is right above, so there is nothing to show again.
fn on_the_command_line(renderer: &Renderer, d: &Diagnostic) -> String {
    let mut title = match &d.primary.at {
        Origin::Flag(flag) if flag.starts_with('-') && !d.message.contains(flag.as_str()) => {
            format!("{flag}: {}", d.message)
        }
        _ => d.message.clone(),
    };
    let label = d.primary.text.as_str();
    if d.help.is_none() && !label.is_empty() {
        title = format!("{title}: {label}");
    }
    let title = level(d.severity).primary_title(title);
    let mut text = renderer.render(&[Group::with_title(title)]);
    if let Some(help) = &d.help {
        text.push_str(&format!("\n  help: {help}"));
    }
    text
}

fn level(severity: Severity) -> Level<'static> {
    match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    }
}

fn group<'a>(source: &'a Source, d: &'a Diagnostic) -> Group<'a> {
    let mut group = Group::with_title(level(d.severity).primary_title(d.message.as_str()));
    let labels = std::iter::once((AnnotationKind::Primary, &d.primary)).chain(
        d.secondary
            .iter()
            .map(|label| (AnnotationKind::Context, label)),
    );
    let mut snippet = Snippet::source(source.text.as_str()).path(source.name.as_str());
    let mut is_in_file = false;
    for (kind, label) in labels {
        if let Origin::File(span) = &label.at {
            is_in_file = true;
            let text = Some(label.text.as_str()).filter(|t| !t.is_empty());
            snippet = snippet.annotation(kind.span(span.clone()).label(text));
        }
    }
    if is_in_file {
        group = group.element(snippet);
    } else {
        group = group.element(FileName::path(source.name.as_str()));
    }
    match &d.help {
        Some(help) => group.element(Level::HELP.message(help.as_str())),
        None => group,
    }
}

/// Everything that was found as one JSON object; the plan as TOML text with it, if there is one.
pub fn json(found: &Report, plan: Option<&Plan>) -> String {
    let source = &found.source;
    let diagnostics: Vec<Value> = found
        .diagnostics
        .iter()
        .map(|d| {
            json!({
                "severity": d.severity.as_str(),
                "message": d.message,
                "help": d.help,
                "primary": place(source, &d.primary),
                "secondary": d.secondary.iter().map(|l| place(source, l)).collect::<Vec<_>>(),
            })
        })
        .collect();
    let mut object = json!({
        "file": source.name,
        "ok": found.errors() == 0,
        "errors": found.errors(),
        "warnings": found.warnings(),
        "diagnostics": diagnostics,
    });
    if let (Some(plan), Some(object)) = (plan, object.as_object_mut()) {
        object.insert("plan".to_owned(), Value::String(plan.to_toml()));
    }
    // A JSON value with string keys always prints.
    serde_json::to_string_pretty(&object).unwrap_or_default()
}

/// Lines and columns from 1, bytes from 0; the end is the first that no longer belongs to it.
fn place(source: &Source, label: &Label) -> Value {
    let position = |byte| {
        let (line, column) = source.position(byte);
        json!({ "line": line, "column": column, "byte": byte })
    };
    match &label.at {
        Origin::File(span) => json!({
            "label": label.text,
            "start": position(span.start),
            "end": position(span.end),
        }),
        Origin::Flag(flag) => json!({ "label": label.text, "flag": flag }),
        Origin::Nowhere => json!({ "label": label.text }),
    }
}
