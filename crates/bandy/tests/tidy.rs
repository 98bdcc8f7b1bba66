//! The house rules that a machine can hold: the floors of the architecture, and how a file looks.

use std::fs;
use std::path::{Path, PathBuf};

/// Which floor each module of the library stands on: a file imports its own floor or below.
const FLOORS: [(&str, u8); 19] = [
    ("endpoint", 0),
    ("error", 0),
    ("limits", 0),
    ("printable", 0),
    ("service", 0),
    ("tally", 0),
    ("wire", 1),
    ("net", 2),
    ("http", 3),
    ("state", 3),
    ("accounts", 4),
    ("pool", 4),
    ("services", 5),
    ("server", 6),
    ("client", 6),
    ("load", 6),
    ("config", 7),
    ("app", 7),
    // The library's front page names what is behind it.
    ("lib", u8::MAX),
];

/// What the crate's root gives other names to: `crate::Conn` is `net`'s.
const AT_THE_ROOT: [(&str, &str); 11] = [
    ("Endpoint", "endpoint"),
    ("Error", "error"),
    ("Result", "error"),
    ("Limits", "limits"),
    ("Service", "service"),
    ("service_fn", "service"),
    ("Conn", "net"),
    ("connect", "net"),
    ("Model", "server"),
    ("Server", "server"),
    ("App", "app"),
];

const LINES_MAX: usize = 600;

struct File {
    /// From the workspace's root.
    path: PathBuf,
    text: String,
}

impl File {
    /// The text before the file's own tests, line by line with its number.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let tests = self.text.find("\n#[cfg(test)]\nmod ");
        let code = &self.text[..tests.unwrap_or(self.text.len())];
        let is_comment = |line: &str| line.trim_start().starts_with("//");
        (1..)
            .zip(code.lines())
            .filter(move |(_, line)| !is_comment(line))
    }

    /// Whether all of it is tests.
    fn is_test(&self) -> bool {
        self.path.iter().any(|part| part == "tests") || self.path.ends_with("tests.rs")
    }

    fn is_in(&self, folder: &str) -> bool {
        self.path.starts_with(folder)
    }

    fn at(&self, line: usize, what: impl std::fmt::Display) -> String {
        format!("{}:{line}: {what}", self.path.display())
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("crates/bandy is two floors down")
        .to_owned()
}

/// Every Rust file of the workspace.
fn files() -> Vec<File> {
    let mut files = Vec::new();
    for folder in ["crates", "bench", "examples", "fuzz/fuzz_targets"] {
        collect(&root().join(folder), &mut files);
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn collect(folder: &Path, files: &mut Vec<File>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = fs::read_to_string(&path).expect("source is UTF-8");
            let path = path.strip_prefix(root()).expect("inside").to_owned();
            files.push(File { path, text });
        }
    }
}

/// Fails with every complaint, not the first.
fn none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

fn floor(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(m, _)| *m == module).map(|(_, f)| *f)
}

const LIBRARY: &str = "crates/bandy/src";

#[test]
fn imports_go_down() {
    let mut complaints = Vec::new();
    for file in files().iter().filter(|f| f.is_in(LIBRARY)) {
        let inside = file.path.strip_prefix(LIBRARY).expect("inside");
        let first = inside.iter().next().and_then(|part| part.to_str());
        let module = first.unwrap_or_default().trim_end_matches(".rs");
        let Some(own) = floor(module) else {
            complaints.push(file.at(1, format_args!("`{module}` has no floor in this test")));
            continue;
        };
        if file.is_test() {
            continue;
        }
        for (line, imported) in imports(file) {
            let home = AT_THE_ROOT.iter().find(|(name, _)| *name == imported);
            let imported = home.map_or(imported.as_str(), |(_, module)| *module);
            match floor(imported) {
                Some(other) if other <= own => {}
                Some(other) => complaints.push(file.at(
                    line,
                    format_args!(
                        "`{module}` (floor {own}) imports `{imported}` (floor {other}) above it"
                    ),
                )),
                None => complaints.push(file.at(line, format_args!("`{imported}` has no floor"))),
            }
        }
    }
    none(complaints);
}

/// The first names behind every `crate::` of the code, those of a group each.
fn imports(file: &File) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let code: Vec<(usize, &str)> = file.code().collect();
    for (at, (number, line)) in code.iter().enumerate() {
        for (from, _) in line.match_indices("crate::") {
            let rest = &line[from + "crate::".len()..];
            if rest.starts_with('{') {
                let group = code[at..].iter().map(|(_, line)| *line).collect::<String>();
                let group = group.split("crate::{").nth(1).unwrap_or_default();
                let names = top_of_group(group);
                found.extend(names.into_iter().map(|name| (*number, name)));
            } else {
                found.push((*number, first_name(rest)));
            }
        }
    }
    // `pub(in crate::net)` is not an import, and is below anyway. `$crate` would be.
    found.retain(|(_, name)| !name.is_empty());
    found
}

fn first_name(text: &str) -> String {
    let is_name = |c: &char| c.is_alphanumeric() || *c == '_';
    text.trim_start().chars().take_while(is_name).collect()
}

/// `a::{b, c}, d}; …` gives `a` and `d`.
fn top_of_group(text: &str) -> Vec<String> {
    let (mut names, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            ',' | '}' if depth == 0 => {
                names.push(first_name(&text[start..at]));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    names
}

#[test]
fn wire_has_no_clock_no_socket_and_no_runtime() {
    const NEEDS: [&str; 8] = [
        "tokio",
        "rustix",
        "socket2",
        "std::net::TcpStream",
        "std::net::UdpSocket",
        "std::fs",
        "Instant::now",
        "SystemTime::now",
    ];
    let files = files();
    let wire = files
        .iter()
        .filter(|f| f.is_in("crates/bandy/src/wire") && !f.is_test());
    none(mentions(wire, &NEEDS, "has no place in `wire`"));
}

/// Every line of code that has one of these in it.
fn mentions<'a>(
    files: impl Iterator<Item = &'a File>,
    needles: &[&str],
    complaint: &str,
) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files {
        for (line, code) in file.code() {
            let found = needles.iter().find(|needle| code.contains(**needle));
            complaints.extend(found.map(|n| file.at(line, format_args!("`{n}` {complaint}"))));
        }
    }
    complaints
}

#[test]
fn nothing_is_left_half_done() {
    let files = files();
    let others = files.iter().filter(|f| !f.path.ends_with("tests/tidy.rs"));
    let drafts = ["todo!(", "dbg!(", "unimplemented!("];
    none(mentions(others, &drafts, "is for drafts"));
}

#[test]
fn bytes_from_the_network_never_panic() {
    let files = files();
    let network = files.iter().filter(|f| {
        let is_network = ["wire", "net"].map(|m| f.is_in(&format!("{LIBRARY}/{m}")));
        is_network.contains(&true) && !f.is_test()
    });
    // The space leaves `debug_assert!` out: it is for what only our own mistake can break.
    let panics = [
        ".unwrap()",
        ".expect(",
        "panic!(",
        "unreachable!(",
        " assert!(",
        " assert_eq!(",
    ];
    none(mentions(
        network,
        &panics,
        "may end the process: return an error",
    ));
}

#[test]
fn unsafe_has_one_home() {
    let files = files();
    let elsewhere = files
        .iter()
        .filter(|f| !f.path.ends_with("net/mmsg.rs") && !f.path.ends_with("tests/tidy.rs"));
    let words = ["unsafe {", "unsafe fn", "unsafe impl", "(unsafe_code)"];
    none(mentions(
        elsewhere,
        &words,
        "belongs in net/mmsg.rs, with its proof",
    ));
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let mut complaints = Vec::new();
    for file in files() {
        if !file.text.starts_with("//!") && !file.is_test() {
            complaints.push(file.at(1, "begins with `//!` and what the file is for"));
        }
        let lines = file.text.lines().count();
        if lines > LINES_MAX && !file.is_test() {
            complaints.push(file.at(
                lines,
                format_args!("more than {LINES_MAX} lines: divide it"),
            ));
        }
    }
    none(complaints);
}

#[test]
fn names_say_what_a_thing_is() {
    const EMPTY: [&str; 6] = ["manager", "util", "helper", "common", "misc", "handler"];
    let is_empty = |name: &str| EMPTY.iter().any(|e| name == *e || name == format!("{e}s"));
    let mut complaints = Vec::new();
    for file in files() {
        let stem = file
            .path
            .file_stem()
            .and_then(|s| s.to_str())
            .unwrap_or_default();
        if stem.split('_').any(is_empty) {
            complaints.push(file.at(1, format_args!("`{stem}` says nothing")));
        }
    }
    none(complaints);
}

#[test]
fn links_lead_somewhere() {
    let mut complaints = Vec::new();
    for (name, text) in documents() {
        for (number, line) in (1..).zip(text.lines()) {
            for link in links(line) {
                let path = link.split('#').next().unwrap_or_default();
                let is_outside = link.contains("://") || link.starts_with("mailto:");
                if !is_outside && !path.is_empty() && !root().join(path).exists() {
                    complaints.push(format!("{name}:{number}: there is no `{path}`"));
                }
            }
        }
    }
    none(complaints);
}

/// The Markdown files at the root, by name.
fn documents() -> Vec<(String, String)> {
    let entries = fs::read_dir(root()).expect("the root");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .filter(|path| path.extension().is_some_and(|e| e == "md"))
        .map(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            (name.into_owned(), fs::read_to_string(&path).expect("UTF-8"))
        })
        .collect()
}

/// The targets of the `[text](target)` in a line.
fn links(line: &str) -> Vec<&str> {
    let targets = line.split("](").skip(1);
    targets.filter_map(|rest| rest.split(')').next()).collect()
}

#[test]
fn the_example_configuration_and_those_of_the_documents_are_valid() {
    let (_, report) = bandy::config::load(&root().join("bandy.toml"))
        .unwrap_or_else(|failed| panic!("{}", bandy::Error::from(failed)));
    assert_eq!(report.diagnostics, []);
    for (name, text) in documents() {
        for example in text.split("```toml\n").skip(1) {
            let example = example.split("```").next().unwrap_or_default();
            // What shows a part of a file or of Cargo.toml is no configuration of its own.
            if !example.contains("[server.") || !example.contains("listen") {
                continue;
            }
            if let Err(report) = bandy::config::parse(&name, example) {
                panic!("an example is not valid:\n{}\n{example}", report.lines());
            }
        }
    }
}
