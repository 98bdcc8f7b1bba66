//! What goes on, drawn again once a second.

use std::io;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use bandy::error::Error;
use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Paragraph, Row, Sparkline, Table};

use super::ask::Source;
use super::rates::{self, Rates, bytes, count, ms, span};
use super::status::{Pool, Status};

const EVERY: Duration = Duration::from_secs(1);
/// How long a key waits at most until it is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Rates that are kept for the curves.
const KEPT: usize = 300;

/// What is shown.
struct Shown {
    from: String,
    status: Status,
    /// The answer before, and how many seconds before.
    before: Option<(Status, f64)>,
    at: Instant,
    /// The last is the newest.
    rates: Vec<Rates>,
    /// Why there is no newer answer.
    lost: Option<String>,
    has_colour: bool,
}

type Said = (Instant, Result<Status, Error>);

/// Draws until it is told to stop. The terminal is afterwards what it was.
pub fn show(source: Source, first: Status, has_colour: bool) -> io::Result<()> {
    let mut shown = Shown {
        from: source.endpoint.to_string(),
        status: first,
        before: None,
        at: Instant::now(),
        rates: Vec::new(),
        lost: None,
        has_colour,
    };
    let (say, said) = mpsc::sync_channel::<Said>(1);
    // It ends with the process, or when nobody listens any more.
    thread::spawn(move || {
        loop {
            thread::sleep(EVERY);
            let status = source.status();
            if say.send((Instant::now(), status)).is_err() {
                return;
            }
        }
    });
    let mut terminal = ratatui::try_init()?;
    let drawn = (|| {
        terminal.draw(|frame| shown.draw(frame))?;
        loop {
            let key = pressed()?;
            match key {
                Key::Quit => return Ok(()),
                Key::None if !shown.hear(&said) => {}
                Key::None | Key::Draw => {
                    terminal.draw(|frame| shown.draw(frame))?;
                }
            }
        }
    })();
    ratatui::try_restore()?;
    drawn
}

enum Key {
    None,
    Draw,
    Quit,
}

fn pressed() -> io::Result<Key> {
    if !event::poll(LOOK)? {
        return Ok(Key::None);
    }
    Ok(match event::read()? {
        Event::Resize(..) => Key::Draw,
        Event::Key(key) if key.kind == KeyEventKind::Press => match key.code {
            KeyCode::Char('q') | KeyCode::Esc => Key::Quit,
            KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => Key::Quit,
            _ => Key::None,
        },
        _ => Key::None,
    })
}

impl Shown {
    /// Takes an answer up, if one has come.
    fn hear(&mut self, said: &Receiver<Said>) -> bool {
        match said.try_recv() {
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => false,
            Ok((_, Err(error))) => {
                self.lost = Some(error.to_string());
                self.before = None;
                true
            }
            Ok((at, Ok(status))) => {
                let seconds = at.duration_since(self.at).as_secs_f64().max(0.001);
                let before = std::mem::replace(&mut self.status, status);
                self.at = at;
                // Another process counts from nothing, and after a gap a rate would be of all of it.
                if before.pid == self.status.pid && self.lost.is_none() {
                    let rates = rates::between(&before, &self.status, seconds);
                    self.rates.push(rates);
                    let over = self.rates.len().saturating_sub(KEPT);
                    self.rates.drain(..over);
                    self.before = Some((before, seconds));
                }
                self.lost = None;
                true
            }
        }
    }

    fn draw(&self, frame: &mut Frame<'_>) {
        let mut heights = vec![
            Constraint::Length(2),
            Constraint::Length(2),
            Constraint::Length(6),
        ];
        let pools = self.status.pools.iter();
        heights.extend(pools.map(|pool| Constraint::Length(3 + length(pool.backends.len()))));
        heights.push(Constraint::Length(3 + length(self.status.servers.len())));
        heights.push(Constraint::Min(0));
        let areas = Layout::vertical(heights).split(frame.area());
        let mut areas = areas.iter().copied();
        let mut next = || areas.next().unwrap_or_default();
        frame.render_widget(self.title(), next());
        frame.render_widget(self.now(), next());
        self.curves(frame, next());
        for pool in &self.status.pools {
            frame.render_widget(self.pool(pool), next());
        }
        frame.render_widget(self.servers(), next());
    }

    fn title(&self) -> Paragraph<'_> {
        let status = &self.status;
        let about = match &self.lost {
            Some(why) => Span::styled(format!("no answer: {why}"), self.tone(Color::Red)),
            None => Span::raw(format!("up {}, pid {}", span(status.uptime_s), status.pid)),
        };
        Paragraph::new(Line::from(vec![
            Span::styled(format!("bandy {}", status.version), bold()),
            Span::raw(format!("  {}  ", self.from)),
            about,
            Span::styled("  q: quit", self.tone(Color::DarkGray)),
        ]))
    }

    fn now(&self) -> Paragraph<'_> {
        let rates = self.rates.last().copied().unwrap_or_default();
        let servers = self.status.servers.iter();
        let open: u64 = servers.map(|server| server.connections.open).sum();
        let errors = match rates.server_errors > 0.0 {
            true => self.tone(Color::Red).add_modifier(Modifier::BOLD),
            false => bold(),
        };
        let mut spans = Vec::new();
        let mut say = |value: String, style: Style, unit: &'static str| {
            spans.push(Span::styled(value, style));
            spans.push(Span::raw(unit));
        };
        say(count(rates.responses), bold(), " requests/s   ");
        say(count(rates.server_errors), errors, " 5xx/s   ");
        say(count(open as f64), bold(), " open   ");
        say(count(rates.accepted), bold(), " new/s   ");
        say(format!("{}/s", bytes(rates.bytes)), bold(), "   ");
        if !self.status.pools.is_empty() {
            say(ms(rates.median_ms), bold(), " median   ");
            say(ms(rates.p99_ms), bold(), " p99");
        }
        Paragraph::new(Line::from(spans))
    }

    fn curves(&self, frame: &mut Frame<'_>, area: Rect) {
        let has_pools = !self.status.pools.is_empty();
        let parts = match has_pools {
            true => vec![Constraint::Fill(1), Constraint::Fill(1)],
            false => vec![Constraint::Fill(1)],
        };
        let areas = Layout::horizontal(parts).split(area);
        let mut areas = areas.iter().copied();
        let mut curve = |title: &str, color: Color, of: fn(&Rates) -> f64| {
            let area = areas.next().unwrap_or_default();
            let width = usize::from(area.width.saturating_sub(2));
            let from = self.rates.len().saturating_sub(width);
            // In thousandths: a curve is of whole numbers.
            let scaled = |rates: &Rates| (of(rates) * 1e3) as u64;
            let points: Vec<u64> = self.rates.iter().skip(from).map(scaled).collect();
            let block = Block::bordered().title(format!(" {title} "));
            let line = Sparkline::default().block(block).data(points);
            frame.render_widget(line.style(self.tone(color)), area);
        };
        curve("requests/s", Color::Cyan, |rates| rates.responses);
        if has_pools {
            curve("p99 of backends", Color::Yellow, |rates| {
                rates.p99_ms.unwrap_or_default()
            });
        }
    }

    fn pool(&self, pool: &Pool) -> Table<'_> {
        let rows = pool.backends.iter().map(|backend| {
            let rates = match &self.before {
                Some((before, seconds)) => rates::of_backend(before, &pool.name, backend, *seconds),
                None => rates::BackendRates::default(),
            };
            let color = match backend.word() {
                "up" => Color::Green,
                "draining" => Color::Yellow,
                _ => Color::Red,
            };
            let active = match backend.max {
                Some(max) => format!("{}/{max}", backend.active),
                None => backend.active.to_string(),
            };
            Row::new([
                Cell::new(backend.name.clone()),
                Cell::new(backend.word().to_owned()).style(self.tone(color)),
                Cell::new(span(backend.since_s)),
                Cell::new(backend.weight.to_string()),
                Cell::new(active),
                Cell::new(count(rates.leases)),
                Cell::new(count(backend.failed as f64)),
                Cell::new(ms(rates.median_ms)),
                Cell::new(ms(rates.p99_ms)),
            ])
        });
        let widths = [
            Constraint::Fill(1),
            Constraint::Length(9),
            Constraint::Length(9),
            Constraint::Length(6),
            Constraint::Length(8),
            Constraint::Length(8),
            Constraint::Length(8),
            Constraint::Length(8),
            Constraint::Length(8),
        ];
        let panic = if pool.panic { ", panic" } else { "" };
        let waiting = match pool.waiting {
            0 => String::new(),
            n => format!(", {n} waiting"),
        };
        let title = format!(
            " pool {}: {}, {} retries{waiting}{panic} ",
            pool.name, pool.strategy, pool.retries
        );
        let names = "backend,state,for,weight,active,per s,failed,median,p99";
        Table::new(rows, widths)
            .header(Row::new(names.split(',').map(Cell::new)).style(bold()))
            .block(Block::bordered().title(title))
    }

    fn servers(&self) -> Table<'_> {
        let rows = self.status.servers.iter().map(|server| {
            Row::new([
                server.name.clone(),
                server.service.clone(),
                server.connections.open.to_string(),
                count(server.connections.total as f64),
                count(server.responses.all() as f64),
                bytes(server.bytes.received as f64),
                bytes(server.bytes.sent as f64),
                server.listen.join(" "),
            ])
        });
        let widths = [
            Constraint::Length(12),
            Constraint::Length(9),
            Constraint::Length(7),
            Constraint::Length(9),
            Constraint::Length(10),
            Constraint::Length(9),
            Constraint::Length(9),
            Constraint::Fill(1),
        ];
        let names = "server,service,open,accepted,responses,received,sent,listens on";
        Table::new(rows, widths)
            .header(Row::new(names.split(',').map(Cell::new)).style(bold()))
            .block(Block::bordered().title(" servers "))
    }

    /// A colour, where there may be any.
    fn tone(&self, color: Color) -> Style {
        match self.has_colour {
            true => Style::new().fg(color),
            false => Style::new(),
        }
    }
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

fn length(rows: usize) -> u16 {
    u16::try_from(rows).unwrap_or(u16::MAX - 3)
}
