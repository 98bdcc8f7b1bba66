//! The line that one types: its keys, what was typed before, and what Tab makes of half a word.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Lines that are remembered.
const BEFORE_MAX: usize = 200;
/// The longest line, in characters.
const CHARS_MAX: usize = 8_000;

#[derive(Debug, Default)]
pub struct Editor {
    text: Vec<char>,
    /// The place of the cursor, in characters.
    at: usize,
    before: Vec<String>,
    /// Which of those is shown.
    back: Option<usize>,
    /// What Tab offers: where the word begins, and its completions, one after the other.
    offers: Option<(usize, Vec<String>, usize)>,
}

impl Editor {
    pub fn text(&self) -> String {
        self.text.iter().collect()
    }

    /// What is before the cursor.
    pub fn before_cursor(&self) -> String {
        self.text.iter().take(self.at).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Takes the line away, and remembers it.
    pub fn take(&mut self) -> String {
        let text = self.text();
        if !text.trim().is_empty() && self.before.last() != Some(&text) {
            self.before.push(text.clone());
            if self.before.len() > BEFORE_MAX {
                self.before.remove(0);
            }
        }
        self.set("");
        self.back = None;
        text
    }

    pub fn set(&mut self, text: &str) {
        self.text = text.chars().take(CHARS_MAX).collect();
        self.at = self.text.len();
        self.offers = None;
    }

    /// Puts in a text, such as one that is pasted. Its lines stay lines; other controls are left out.
    pub fn insert(&mut self, text: &str) {
        self.offers = None;
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        for c in text.chars().filter(|c| *c == '\n' || !c.is_control()) {
            if self.text.len() < CHARS_MAX {
                self.text.insert(self.at, c);
                self.at += 1;
            }
        }
    }

    /// A key that edits; `false` for one that is for something else.
    pub fn key(&mut self, key: KeyEvent) -> bool {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        let is_alt = key.modifiers.contains(KeyModifiers::ALT);
        if key.code != KeyCode::Tab {
            self.offers = None;
        }
        match key.code {
            KeyCode::Char('a') if is_control => self.at = 0,
            KeyCode::Char('e') if is_control => self.at = self.text.len(),
            KeyCode::Char('u') if is_control => {
                self.text.drain(..self.at);
                self.at = 0;
            }
            KeyCode::Char('k') if is_control => self.text.truncate(self.at),
            KeyCode::Char('w') if is_control => {
                let from = self.word_start();
                self.text.drain(from..self.at);
                self.at = from;
            }
            KeyCode::Enter if is_alt => self.insert("\n"),
            KeyCode::Char(c) if !is_control && !is_alt => self.insert(c.encode_utf8(&mut [0; 4])),
            KeyCode::Backspace if self.at > 0 => {
                self.at -= 1;
                self.text.remove(self.at);
            }
            KeyCode::Backspace => {}
            KeyCode::Delete if self.at < self.text.len() => {
                self.text.remove(self.at);
            }
            KeyCode::Delete => {}
            KeyCode::Left => self.at = self.at.saturating_sub(1),
            KeyCode::Right => self.at = (self.at + 1).min(self.text.len()),
            KeyCode::Home => self.at = 0,
            KeyCode::End => self.at = self.text.len(),
            KeyCode::Up if !is_alt => self.step(true),
            KeyCode::Down if !is_alt => self.step(false),
            _ => return false,
        }
        true
    }

    fn word_start(&self) -> usize {
        let mut from = self.at;
        while from > 0 && self.text[from - 1].is_whitespace() {
            from -= 1;
        }
        while from > 0 && !self.text[from - 1].is_whitespace() {
            from -= 1;
        }
        from
    }

    fn step(&mut self, is_back: bool) {
        let back = match (self.back, is_back) {
            (None, true) => self.before.len().checked_sub(1),
            (Some(at), true) => Some(at.saturating_sub(1)),
            (Some(at), false) => Some(at + 1).filter(|at| *at < self.before.len()),
            (None, false) => return,
        };
        let text = back.and_then(|at| self.before.get(at)).cloned();
        self.set(&text.unwrap_or_default());
        self.back = back;
    }

    /// Tab: completes the word before the cursor with one of these; again, with the next.
    pub fn complete(&mut self, words: &[String]) {
        if let Some((from, offers, at)) = self.offers.take() {
            let next = (at + 1) % offers.len().max(1);
            self.put(from, offers, next);
            return;
        }
        let from = self.text[..self.at]
            .iter()
            .rposition(|c| c.is_whitespace())
            .map_or(0, |at| at + 1);
        let typed: String = self.text[from..self.at].iter().collect();
        if typed.is_empty() {
            return;
        }
        let starts = |word: &&String| {
            let start = word.get(..typed.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(&typed))
        };
        let end = |word: &String| match (from, word.starts_with(['/', '#', '@'])) {
            // Whoever is spoken to first.
            (0, false) => format!("{word}: "),
            _ => format!("{word} "),
        };
        let offers: Vec<String> = words.iter().filter(starts).map(end).collect();
        if !offers.is_empty() {
            self.put(from, offers, 0);
        }
    }

    fn put(&mut self, from: usize, offers: Vec<String>, at: usize) {
        let word: Vec<char> = offers
            .get(at)
            .map_or_else(Vec::new, |word| word.chars().collect());
        let end = from + word.len();
        self.text.splice(from..self.at, word);
        self.at = end;
        self.offers = Some((from, offers, at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &str) -> Editor {
        let mut editor = Editor::default();
        editor.insert(keys);
        editor
    }

    #[test]
    fn tab_goes_through_what_a_word_may_become() {
        let words = ["ada", "Adam", "bob", "/join", "#lobby"].map(str::to_owned);
        let mut editor = typed("ad");
        for expected in ["ada: ", "Adam: ", "ada: "] {
            editor.complete(&words);
            assert_eq!(editor.text(), expected);
        }
        let mut editor = typed("hello B");
        editor.complete(&words);
        assert_eq!(editor.text(), "hello bob ");
        let mut editor = typed("/j");
        editor.complete(&words);
        assert_eq!(editor.text(), "/join ");
        let mut editor = typed("ß");
        editor.complete(&words);
        assert_eq!(editor.text(), "ß");
    }

    #[test]
    fn what_was_typed_before_comes_back() {
        let key = |code| KeyEvent::new(code, KeyModifiers::NONE);
        let mut editor = Editor::default();
        for line in ["one", "two"] {
            editor.insert(line);
            editor.take();
        }
        for (code, expected) in [
            (KeyCode::Up, "two"),
            (KeyCode::Up, "one"),
            (KeyCode::Up, "one"),
            (KeyCode::Down, "two"),
            (KeyCode::Down, ""),
        ] {
            assert!(editor.key(key(code)));
            assert_eq!(editor.text(), expected);
        }
    }

    #[test]
    fn what_is_pasted_has_no_controls() {
        assert_eq!(typed("a\r\nb\x1b[2Jc\x07").text(), "a\nb[2Jc");
    }
}
