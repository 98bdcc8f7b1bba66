//! From a path and a method to a row of the table. Nothing is allocated on the way.

use std::collections::HashMap;
use std::ops::Range;

use super::endpoint::Endpoint;
use crate::error::{Error, Kind, Result, Side};
use crate::http::{HeaderValue, Method};

/// The most parts of a path that a pattern leaves open.
const OPEN: usize = 2;

/// The patterns of all endpoints, as a tree of segments.
#[derive(Debug, Default)]
pub(super) struct Paths(Node);

#[derive(Debug, Default)]
struct Node {
    named: HashMap<&'static str, Node, foldhash::fast::RandomState>,
    /// `{name}`
    any: Option<Box<Node>>,
    /// `{name...}`
    rest: Option<Leaf>,
    leaf: Option<Leaf>,
}

/// What can be asked for at a path.
#[derive(Debug)]
pub(super) struct Leaf {
    rows: Vec<(Method, usize)>,
    /// The `Allow` field.
    pub allow: HeaderValue,
}

/// The open parts of a path, as places in it.
#[derive(Debug, Clone, Default)]
pub(super) struct Open {
    spans: [Range<usize>; OPEN],
    len: usize,
}

impl Paths {
    /// The tree of these rows.
    ///
    /// # Errors
    /// Two rows for the same, or a pattern that is none: a mistake in the table.
    pub(super) fn new(rows: &[Endpoint]) -> Result<Paths> {
        let mut root = Node::default();
        for (at, row) in rows.iter().enumerate() {
            let mut node = &mut root;
            let mut segments = row.path.split('/').skip(1).peekable();
            let leaf = loop {
                let segment = segments.next().unwrap_or_default();
                if segment.ends_with("...}") {
                    break &mut node.rest;
                }
                if !segment.is_empty() {
                    node = match segment.starts_with('{') {
                        true => node.any.get_or_insert_default(),
                        false => node.named.entry(segment).or_default(),
                    };
                }
                if segments.peek().is_none() {
                    break &mut node.leaf;
                }
            };
            let leaf = leaf.get_or_insert_with(|| Leaf {
                rows: Vec::new(),
                allow: HeaderValue::from_static(""),
            });
            for method in &row.methods {
                if leaf.row(method).is_some() || row.of_path().count() > OPEN {
                    let act = format!("making the table of endpoints: {method} {}", row.path);
                    return Err(Error::new(Kind::Other, Side::Local, act));
                }
                leaf.rows.push((method.clone(), at));
            }
            leaf.allow = allow(&leaf.rows);
        }
        Ok(Paths(root))
    }

    /// What can be asked for at this path, and its open parts.
    pub(super) fn find(&self, path: &str) -> Option<(&Leaf, Open)> {
        let mut open = Open::default();
        let rest = path.strip_prefix('/')?;
        let leaf = match rest.is_empty() {
            true => self.0.leaf.as_ref(),
            false => self.0.find(path, 1, &mut open),
        };
        Some((leaf?, open))
    }
}

impl Node {
    /// Goes on behind the slash before `at`.
    fn find(&self, path: &str, at: usize, open: &mut Open) -> Option<&Leaf> {
        let rest = path.get(at..)?;
        let (segment, more) = match rest.find('/') {
            Some(end) => (rest.get(..end)?, true),
            None => (rest, false),
        };
        let end = at + segment.len();
        if let Some(node) = self.named.get(segment)
            && let Some(leaf) = node.at(path, end, more, open)
        {
            return Some(leaf);
        }
        if let Some(node) = &self.any
            && !segment.is_empty()
        {
            let before = open.len;
            open.push(at..end);
            if let Some(leaf) = node.at(path, end, more, open) {
                return Some(leaf);
            }
            open.len = before;
        }
        let leaf = self.rest.as_ref().filter(|_| !rest.is_empty())?;
        open.push(at..path.len());
        Some(leaf)
    }

    fn at(&self, path: &str, end: usize, more: bool, open: &mut Open) -> Option<&Leaf> {
        match more {
            true => self.find(path, end + 1, open),
            false => self.leaf.as_ref(),
        }
    }
}

impl Leaf {
    /// The row for a method.
    pub(super) fn row(&self, method: &Method) -> Option<usize> {
        let of = |method: &Method| self.rows.iter().find(|(m, _)| m == method).map(|(_, at)| *at);
        match of(method) {
            None if *method == Method::HEAD => of(&Method::GET),
            found => found,
        }
    }
}

impl Open {
    fn push(&mut self, span: Range<usize>) {
        if let Some(place) = self.spans.get_mut(self.len) {
            *place = span;
            self.len += 1;
        }
    }

    /// The part of this number, as it stands in the path.
    pub(super) fn part<'p>(&self, path: &'p str, number: usize) -> &'p str {
        let span = self.spans.get(number).filter(|_| number < self.len);
        span.and_then(|span| path.get(span.clone())).unwrap_or_default()
    }
}

fn allow(rows: &[(Method, usize)]) -> HeaderValue {
    let mut methods: Vec<&str> = rows.iter().map(|(method, _)| method.as_str()).collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.push("OPTIONS");
    // Method names are tokens, which a field may have.
    HeaderValue::from_str(&methods.join(", ")).unwrap_or(HeaderValue::from_static("OPTIONS"))
}
