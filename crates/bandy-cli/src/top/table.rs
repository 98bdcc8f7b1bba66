//! What goes on at one moment, as plain text.

use super::rates::{bytes, count, ms, quantile, span};
use super::status::Status;

/// A table of servers, and one of each pool.
pub fn of(status: &Status) -> String {
    let (version, pid) = (&status.version, status.pid);
    let mut out = format!(
        "bandy {version}, pid {pid}, up {}\n\n",
        span(status.uptime_s)
    );
    let head = "SERVER SERVICE OPEN ACCEPTED RESPONSES 5XX RECEIVED SENT LISTEN";
    let mut rows: Vec<Vec<String>> = vec![head.split(' ').map(str::to_owned).collect()];
    for server in &status.servers {
        rows.push(vec![
            server.name.clone(),
            server.service.clone(),
            server.connections.open.to_string(),
            server.connections.total.to_string(),
            server.responses.all().to_string(),
            server.responses.server_error.to_string(),
            bytes(server.bytes.received as f64),
            bytes(server.bytes.sent as f64),
            server.listen.join(" "),
        ]);
    }
    write(&mut out, &rows);
    for pool in &status.pools {
        let panic = if pool.panic { ", panic" } else { "" };
        let (name, strategy) = (&pool.name, &pool.strategy);
        let (waiting, retries) = (count(pool.waiting as f64), count(pool.retries as f64));
        out.push_str(&format!(
            "\npool {name}: {strategy}, {waiting} waiting, {retries} retries{panic}\n"
        ));
        let head = "BACKEND STATE FOR WEIGHT ACTIVE TOTAL FAILED MEDIAN P99";
        let mut rows: Vec<Vec<String>> = vec![head.split(' ').map(str::to_owned).collect()];
        for backend in &pool.backends {
            let buckets = &backend.latency.buckets;
            rows.push(vec![
                backend.name.clone(),
                backend.word().to_owned(),
                span(backend.since_s),
                backend.weight.to_string(),
                backend.active.to_string(),
                backend.total.to_string(),
                backend.failed.to_string(),
                ms(quantile(buckets, 0.5)),
                ms(quantile(buckets, 0.99)),
            ]);
        }
        write(&mut out, &rows);
    }
    out
}

/// Columns as wide as what is in them.
fn write(out: &mut String, rows: &[Vec<String>]) {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
}
