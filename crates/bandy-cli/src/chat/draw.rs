//! What the screen looks like: rooms at the left where there is room for them, what was said, and a line to type in.

use bandy::services::chat::model::Manner;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line as Row, Span};
use ratatui::widgets::{Block, Borders, Paragraph};

use super::editor::Editor;
use super::lines::{self, Line, What};
use super::rooms::{Room, Rooms};

/// Narrower than this, and the rooms are not shown.
const WIDE: u16 = 64;
/// The rooms' column.
const ROOMS: u16 = 20;
/// The most lines that the line one types in may take.
const TYPED_MAX: usize = 6;
/// The time, and a space.
const CLOCK: usize = 6;

/// What a screen draws with.
pub struct Look {
    /// Without it there are no colours (<https://no-color.org>).
    pub has_colour: bool,
}

impl Look {
    fn colour(&self, colour: Color) -> Style {
        match self.has_colour {
            true => Style::new().fg(colour),
            false => Style::new(),
        }
    }

    fn nick(&self, nick: &str) -> Style {
        const COLOURS: [Color; 6] = [
            Color::Cyan,
            Color::Green,
            Color::Yellow,
            Color::Blue,
            Color::Magenta,
            Color::Red,
        ];
        let sum = nick.bytes().fold(7_usize, |sum, b| {
            (sum * 31 + usize::from(b.to_ascii_lowercase())) % 100_003
        });
        let colour = COLOURS
            .get(sum % COLOURS.len())
            .copied()
            .unwrap_or(Color::Cyan);
        self.colour(colour).add_modifier(Modifier::BOLD)
    }
}

/// Draws all of it.
pub fn draw(frame: &mut Frame<'_>, rooms: &mut Rooms, editor: &Editor, look: &Look) {
    let area = frame.area();
    let [side, main] = match area.width >= WIDE {
        true => Layout::horizontal([Constraint::Length(ROOMS), Constraint::Min(1)]).areas(area),
        false => [Rect::default(), area],
    };
    let width = usize::from(main.width.saturating_sub(2)).max(1);
    let (typed, cursor) = typed_rows(editor, width);
    let height = u16::try_from(typed.len().min(TYPED_MAX)).unwrap_or(1);
    let [title, log, status, input] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
        Constraint::Length(height),
    ])
    .areas(main);
    draw_side(frame, side, rooms, look);
    draw_title(frame, title, rooms, side.width == 0);
    draw_log(frame, log, rooms, look);
    draw_status(frame, status, rooms, look);
    let above = cursor.1.saturating_sub(TYPED_MAX - 1);
    let shown: Vec<Row<'_>> = typed.into_iter().skip(above).map(Row::from).collect();
    frame.render_widget(Paragraph::new(shown), input);
    let x = input.x
        + u16::try_from(cursor.0)
            .unwrap_or(0)
            .min(input.width.saturating_sub(1));
    let y = input.y + u16::try_from(cursor.1 - above).unwrap_or(0);
    frame.set_cursor_position(Position { x, y });
}

fn draw_side(frame: &mut Frame<'_>, area: Rect, rooms: &Rooms, look: &Look) {
    if area.width == 0 {
        return;
    }
    let row = |(name, room): (&String, &Room)| {
        let sign = if name.starts_with('@') { "" } else { "#" };
        let count = match room.unread {
            0 => String::new(),
            n if room.mentions > 0 => format!(" {n}!"),
            n => format!(" {n}"),
        };
        let width = usize::from(area.width).saturating_sub(3 + count.len() + sign.len());
        let text = format!(" {sign}{}{count} ", cut(&lines::clean(name), width));
        let style = match (name == &rooms.shown, room.unread, room.mentions) {
            (true, ..) => Style::new().add_modifier(Modifier::REVERSED),
            (_, 0, _) => Style::new(),
            (_, _, 0) => Style::new().add_modifier(Modifier::BOLD),
            _ => look.colour(Color::Red).add_modifier(Modifier::BOLD),
        };
        Row::styled(text, style)
    };
    let at = rooms
        .all
        .keys()
        .position(|name| *name == rooms.shown)
        .unwrap_or(0);
    let above = at.saturating_sub(usize::from(area.height).saturating_sub(1));
    let list: Vec<_> = rooms.all.iter().skip(above).map(row).collect();
    let block = Block::new()
        .borders(Borders::RIGHT)
        .border_style(Style::new().add_modifier(Modifier::DIM));
    frame.render_widget(Paragraph::new(list).block(block), area);
}

fn draw_title(frame: &mut Frame<'_>, area: Rect, rooms: &mut Rooms, is_alone: bool) {
    let elsewhere: usize = rooms.all.values().map(|room| room.unread).sum();
    let sign = if rooms.shown.starts_with('@') {
        ""
    } else {
        "#"
    };
    let name = format!(" {sign}{}", lines::clean(&rooms.shown));
    let room = rooms.here();
    let people = match room.members.len() {
        0 => String::new(),
        n => format!("  {n} here"),
    };
    let unread = match elsewhere {
        n if n > 0 && is_alone => format!("  {n} unread elsewhere"),
        _ => String::new(),
    };
    let topic = match room.topic.is_empty() {
        true => String::new(),
        false => format!("  {}", room.topic),
    };
    let row = Row::from(vec![
        Span::styled(name, Style::new().add_modifier(Modifier::BOLD)),
        Span::raw(people),
        Span::raw(unread),
        Span::styled(topic, Style::new().add_modifier(Modifier::DIM)),
    ]);
    frame.render_widget(Paragraph::new(row), area);
}

fn draw_log(frame: &mut Frame<'_>, area: Rect, rooms: &mut Rooms, look: &Look) {
    let you = rooms
        .you
        .as_ref()
        .map(|you| you.nick.clone())
        .unwrap_or_default();
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let room = rooms.here();
    // From the end, as many as are needed: a long history costs nothing.
    let wanted = height + room.up;
    let mut rows: Vec<Row<'static>> = Vec::new();
    for line in room.lines.iter().rev() {
        if rows.len() >= wanted {
            break;
        }
        let mut of_line = of_line(line, width, &you, look);
        of_line.reverse();
        rows.extend(of_line);
    }
    room.up = room.up.min(rows.len().saturating_sub(height));
    let mut shown: Vec<_> = rows.into_iter().skip(room.up).take(height).collect();
    shown.reverse();
    frame.render_widget(Paragraph::new(shown), area);
}

fn of_line(line: &Line, width: usize, you: &str, look: &Look) -> Vec<Row<'static>> {
    let dim = Style::new().add_modifier(Modifier::DIM);
    let clock = Span::styled(format!("{:5} ", lines::clock(line.time)), dim);
    let (head, text, style) = match &line.what {
        What::Said {
            nick,
            text,
            manner,
            edited,
        } => {
            let edited = if *edited { " (edited)" } else { "" };
            let head = match manner {
                Manner::Action => Span::styled(format!("* {nick} "), look.nick(nick)),
                _ => Span::styled(format!("{nick}  "), look.nick(nick)),
            };
            let is_for_you = nick != you && lines::mentions(text, you);
            let style = match is_for_you {
                true => look.colour(Color::Yellow).add_modifier(Modifier::BOLD),
                false => Style::new(),
            };
            (head, format!("{text}{edited}"), style)
        }
        What::Note(text) => (Span::styled("-- ", dim), text.clone(), dim),
        What::Told(text) => (Span::raw(""), text.clone(), look.colour(Color::Cyan)),
    };
    let indent = CLOCK + 2;
    let first = width.saturating_sub(CLOCK + head.width());
    let rest = width.saturating_sub(indent);
    let mut parts = wrapped(&text, first, rest).into_iter();
    let begin = Span::styled(parts.next().unwrap_or_default(), style);
    let mut rows = vec![Row::from(vec![clock, head, begin])];
    rows.extend(parts.map(|part| {
        Row::from(vec![
            Span::raw(" ".repeat(indent.min(width))),
            Span::styled(part, style),
        ])
    }));
    rows
}

fn draw_status(frame: &mut Frame<'_>, area: Rect, rooms: &mut Rooms, look: &Look) {
    let typing: Vec<&str> = rooms.typing.values().map(String::as_str).collect();
    let you = rooms.you.as_ref().map_or_else(String::new, lines::nick);
    let state = match (rooms.state.as_str(), typing.as_slice()) {
        ("", []) => String::new(),
        ("", [one]) => format!("  {one} is writing"),
        ("", some) => format!("  {} are writing", some.join(", ")),
        (state, _) => format!("  {state}"),
    };
    let up = rooms.here().up;
    let scrolled = match up {
        0 => String::new(),
        n => format!("  {n} lines below, PageDown"),
    };
    let is_broken = !rooms.state.is_empty() && look.has_colour;
    let style = match is_broken {
        true => Style::new().fg(Color::Black).bg(Color::Yellow),
        false => Style::new().add_modifier(Modifier::REVERSED),
    };
    let text = format!(" {you}{state}{scrolled}");
    let help = "/help ";
    let width = usize::from(area.width);
    let text = cut(&text, width.saturating_sub(help.len()));
    let gap = width.saturating_sub(Span::raw(text.as_str()).width() + help.len());
    let line = format!("{text}{}{help}", " ".repeat(gap));
    frame.render_widget(Paragraph::new(Span::styled(line, style)), area);
}

/// What is typed, in rows, and where the cursor is in them: column and row.
fn typed_rows(editor: &Editor, width: usize) -> (Vec<String>, (usize, usize)) {
    let rows = |text: &str| -> Vec<String> {
        let mut rows = vec![String::from("> ")];
        let mut filled = 2;
        for c in text.chars() {
            let shown = if c == '\n' { '↵' } else { c };
            let wide = char_width(shown);
            if filled + wide > width {
                rows.push(String::new());
                filled = 0;
            }
            if let Some(row) = rows.last_mut() {
                row.push(shown);
            }
            filled += wide;
        }
        rows
    };
    let before = rows(&editor.before_cursor());
    let column = before
        .last()
        .map_or(0, |row| Span::raw(row.as_str()).width());
    (
        rows(&editor.text()),
        (column, before.len().saturating_sub(1)),
    )
}

fn char_width(c: char) -> usize {
    Span::raw(c.encode_utf8(&mut [0; 4]) as &str).width()
}

/// The beginning of a text that fits, with a sign where there is more.
fn cut(text: &str, width: usize) -> String {
    if Span::raw(text).width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut filled = 1;
    for c in text.chars() {
        filled += char_width(c);
        if filled > width {
            break;
        }
        out.push(c);
    }
    out.push('…');
    out
}

/// A text in rows: the first so wide, the others so. Between words, and within those that are longer than a row.
fn wrapped(text: &str, first: usize, rest: usize) -> Vec<String> {
    let mut rows = Vec::new();
    for line in text.split('\n') {
        let mut row = String::new();
        let mut filled = 0;
        let room = |rows: &Vec<String>| if rows.is_empty() { first } else { rest }.max(1);
        for word in line.split_inclusive(' ') {
            let wide = Span::raw(word.trim_end()).width();
            if filled > 0 && filled + wide > room(&rows) {
                rows.push(std::mem::take(&mut row));
                filled = 0;
            }
            for c in word.chars() {
                let wide = char_width(c);
                if filled > 0 && filled + wide > room(&rows) && c != ' ' {
                    rows.push(std::mem::take(&mut row));
                    filled = 0;
                }
                row.push(c);
                filled += wide;
            }
        }
        rows.push(row);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_between_words() {
        assert_eq!(wrapped("one two three", 8, 5), ["one two ", "three"]);
        assert_eq!(wrapped("abcdefgh", 3, 4), ["abc", "defg", "h"]);
        assert_eq!(wrapped("a\n\nb", 9, 9), ["a", "", "b"]);
        assert_eq!(wrapped("", 9, 9), [""]);
        // What is two columns wide does not stick out, and nothing is lost where there is no room at all.
        assert_eq!(wrapped("日本語", 4, 4), ["日本", "語"]);
        assert_eq!(wrapped("ab", 0, 0), ["a", "b"]);
    }

    #[test]
    fn what_does_not_fit_is_cut() {
        assert_eq!(cut("lobby", 5), "lobby");
        assert_eq!(cut("lobbyist", 5), "lobb…");
    }
}
