//! The machine and the command line, as reports name them.

use std::fs;

/// Kernel, processor, cores and memory, as far as the system tells.
pub fn describe() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease");
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("processor unknown", |(_, model)| model.trim());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = read("/proc/meminfo");
    let memory = memory.lines().find_map(|line| {
        line.strip_prefix("MemTotal:")?
            .split_whitespace()
            .next()?
            .parse::<f64>()
            .ok()
    });
    let memory = memory.map_or(String::new(), |kib| {
        format!(", {:.0} GiB", kib / 1024.0 / 1024.0)
    });
    let cores = match cores {
        1 => "1 core".to_owned(),
        n => format!("{n} cores"),
    };
    format!("{model}, {cores}{memory}, Linux {}", kernel.trim())
}

/// What was typed, quoted so that a shell understands it again. Passwords and tokens are left out.
pub fn command_line() -> String {
    let mut words = vec!["bandy".to_owned()];
    let mut hides = false;
    for word in std::env::args_os().skip(1) {
        let word = word.to_string_lossy();
        let (shown, is_secret) = match (hides, word.as_ref()) {
            (true, _) => ("...".to_owned(), false),
            (false, "-a" | "--auth" | "--bearer") => (word.to_string(), true),
            (false, word) => (hidden(word).unwrap_or_else(|| quoted(word)), false),
        };
        hides = is_secret;
        words.push(shown);
    }
    words.join(" ")
}

/// A word that has a secret in it, without that.
fn hidden(word: &str) -> Option<String> {
    let options = ["--auth=", "--bearer="];
    if let Some(option) = options.iter().find(|option| word.starts_with(**option)) {
        return Some(format!("{option}..."));
    }
    let (name, _) = word.split_once(':')?;
    let is_secret = ["authorization", "cookie", "proxy-authorization"]
        .iter()
        .any(|secret| name.eq_ignore_ascii_case(secret));
    is_secret.then(|| format!("{name}:..."))
}

fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%[]".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_stay_secret_and_words_whole() {
        assert_eq!(hidden("--bearer=abc").as_deref(), Some("--bearer=..."));
        assert_eq!(
            hidden("Authorization:Bearer x").as_deref(),
            Some("Authorization:...")
        );
        assert_eq!(hidden("http://a:80/"), None);
        assert_eq!(quoted("p99<50ms"), "'p99<50ms'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted(":8080/x?a=1"), "':8080/x?a=1'");
    }
}
