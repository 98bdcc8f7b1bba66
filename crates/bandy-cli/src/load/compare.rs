//! `bandy load compare`: what changed from one run to another.

use std::ffi::OsString;
use std::path::Path;

use bandy::error::Error;
use bandy::load::Report;
use bandy::load::compare::{Change, Meaning, compare as changes};

use crate::exit::Code;
use crate::report;

/// Compares two files that `--json` wrote.
///
/// # Errors
/// That they are no such files.
pub fn compare(files: &[OsString], json: bool) -> Result<Code, Error> {
    let [first, second] = files else {
        return Err(report::usage(
            "comparing two runs",
            format!("{} files are named", files.len()),
            "write: bandy load compare A.json B.json",
        ));
    };
    let (a, b) = (read(Path::new(first))?, read(Path::new(second))?);
    let changes = changes(&a, &b);
    if json {
        let rows = changes.iter().map(|change| {
            serde_json::json!({
                "name": change.name,
                "first": change.values.0,
                "second": change.values.1,
                "change_percent": Some(change.part() * 100.0).filter(|part| part.is_finite()),
                "meaning": word(change.meaning),
            })
        });
        let rows: Vec<_> = rows.collect();
        return report::result(&format!("{:#}\n", serde_json::json!({ "changes": rows })));
    }
    report::result(&text(&a, &b, &changes))
}

fn read(path: &Path) -> Result<Report, Error> {
    let act = || format!("reading {}", path.display());
    let text = std::fs::read_to_string(path)
        .map_err(|e| report::usage(act(), e.to_string(), "is the path right?"))?;
    serde_json::from_str(&text).map_err(|e| {
        report::usage(
            act(),
            e.to_string(),
            "it is to be what `bandy load --json` printed, of one run",
        )
    })
}

fn word(meaning: Meaning) -> &'static str {
    match meaning {
        Meaning::Better => "better",
        Meaning::Worse => "worse",
        Meaning::Noise => "noise",
        Meaning::Unknown => "unknown",
    }
}

fn text(a: &Report, b: &Report, changes: &[Change]) -> String {
    let mut out = String::new();
    let of = |meaning| changes.iter().filter(|c| c.meaning == meaning).count();
    out.push_str(&match (of(Meaning::Better), of(Meaning::Worse)) {
        (0, 0) => "Nothing changed by more than noise.\n".to_owned(),
        (better, 0) => format!("Better, by more than noise, in {better}.\n"),
        (0, worse) => format!("Worse, by more than noise, in {worse}.\n"),
        (better, worse) => {
            format!("Better in {better} and worse in {worse}, by more than noise.\n")
        }
    });
    for (name, report) in [("A", a), ("B", b)] {
        let doubt = match report.valid {
            true => "",
            false => "  INVALID: the generator was measured",
        };
        out.push_str(&format!(
            "  {name}  {} · {} · {} model, {} at once{doubt}\n",
            report.target, report.protocol, report.model, report.concurrency
        ));
    }
    if (&a.model, a.concurrency, &a.protocol) != (&b.model, b.concurrency, &b.protocol) {
        out.push_str("  The two were not measured in the same way.\n");
    }
    out.push_str(&format!(
        "\n  {:<12} {:>12} {:>12} {:>9}\n",
        "", "A", "B", "change"
    ));
    for change in changes {
        let percent = match change.part() {
            part if part.is_finite() => format!("{:+.1} %", part * 100.0),
            _ => "new".to_owned(),
        };
        let note = match change.meaning {
            Meaning::Unknown => "one number of each run: not judged",
            meaning => word(meaning),
        };
        out.push_str(&format!(
            "  {:<12} {:>12} {:>12} {percent:>9}   {note}\n",
            change.name,
            number(change.values.0),
            number(change.values.1),
        ));
    }
    out
}

fn number(value: f64) -> String {
    match value {
        value if value >= 1000.0 => format!("{value:.0}"),
        value => format!("{value:.3}"),
    }
}
