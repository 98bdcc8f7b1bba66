//! A page of results: what stands above the tables, the tables, and what failed.

use std::time::Duration;

use time::OffsetDateTime;

use crate::machine;

pub struct Page {
    head: String,
    body: String,
}

impl Page {
    pub fn new(title: &str, versions: Vec<(&'static str, String)>) -> Page {
        let date = OffsetDateTime::now_utc().date();
        let mut head = format!(
            "# {title}\n\nWritten by `bandy-bench` on {date}; README.md says what is measured and how far to trust it.\n\n- Machine: {}.\n",
            machine::description()
        );
        for (name, version) in versions {
            head += &format!("- {name}: {version}.\n");
        }
        Page {
            head,
            body: String::new(),
        }
    }

    /// How often, for how long, and where.
    pub fn rounds(&mut self, rounds: usize, time: Duration, cores_apart: bool) {
        let cores = match cores_apart {
            true => "the balancer on one core, generator and backend on another",
            false => "everything on one core, by turns",
        };
        self.head += &format!(
            "- {rounds} rounds, every balancer in each, started afresh; {:.0} s a turn; {cores}, where nothing else is said.\n\
             - Medians; a ratio is Bandy's of the other's, the median of the rounds' own: below 1 Bandy has less.\n",
            time.as_secs_f64()
        );
    }

    pub fn section(&mut self, title: &str, text: &str) {
        self.body += &format!("\n## {title}\n\n{text}");
    }

    pub fn failures(&mut self, failures: &[String]) {
        if !failures.is_empty() {
            self.body += "\n## Failed\n\n";
        }
        for failure in failures {
            self.body += &format!("- {failure}\n");
        }
    }

    pub fn text(&self) -> String {
        format!("{}{}", self.head, self.body)
    }
}
