//! HPACK (RFC 7541): how HTTP/2 writes fields. A decoder that hands each field on without keeping it, and an encoder
//! that makes an index of what is said twice.

mod huffman;
mod table;

use table::{OVERHEAD, SIZE, Table};

/// What reads the heads of a connection, each after the other.
#[derive(Debug)]
pub struct Decoder {
    table: Table,
    /// A name and a value that are not in a table, one behind the other.
    text: Vec<u8>,
}

/// Why a head cannot be read, nor any after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrongHead {
    /// It breaks off.
    Short,
    /// A number that is too large for anything here.
    Number,
    /// An index of nothing.
    Index,
    /// A string that is no Huffman code.
    Huffman,
    /// A size of the table that is larger than was agreed on, or not at a head's beginning.
    Size,
    /// More text than is taken.
    TooLong,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder {
            table: Table::new(),
            text: Vec::new(),
        }
    }
}

impl Decoder {
    /// Reads a head, and hands on each of its fields. Their names and values, with 32 bytes for each, have at most
    /// `most` bytes; what was handed on before the end may belong to a head that is refused.
    ///
    /// # Errors
    /// Why it cannot be read. The connection is lost with it (section 2.3.3).
    pub fn decode(
        &mut self,
        mut block: &[u8],
        most: usize,
        mut found: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), WrongHead> {
        let (mut all, mut is_first) = (0_usize, true);
        while let Some(&first) = block.first() {
            if first & 0xe0 == 0x20 {
                let size = number(&mut block, 5)?;
                if size > SIZE || !is_first {
                    return Err(WrongHead::Size);
                }
                self.table.resize(size);
                continue;
            }
            is_first = false;
            if first & 0x80 != 0 {
                let index = number(&mut block, 7)?;
                let (name, value) = self.table.field(index).ok_or(WrongHead::Index)?;
                all = all.saturating_add(name.len() + value.len() + OVERHEAD);
                if all > most {
                    return Err(WrongHead::TooLong);
                }
                found(name, value);
                continue;
            }
            let is_kept = first & 0x40 != 0;
            let index = number(&mut block, if is_kept { 6 } else { 4 })?;
            self.text.clear();
            match index {
                0 => string(&mut block, most, &mut self.text)?,
                index => {
                    let (name, _) = self.table.field(index).ok_or(WrongHead::Index)?;
                    self.text.extend_from_slice(name);
                }
            }
            let end = self.text.len();
            string(&mut block, most, &mut self.text)?;
            all = all.saturating_add(self.text.len() + OVERHEAD);
            if all > most {
                return Err(WrongHead::TooLong);
            }
            let (name, value) = self.text.split_at_checked(end).unwrap_or_default();
            if is_kept {
                self.table.insert(name, value);
            }
            found(name, value);
        }
        Ok(())
    }
}

/// An integer whose first byte has so many bits of it (section 5.1).
fn number(from: &mut &[u8], bits: u32) -> Result<usize, WrongHead> {
    let (first, mut rest) = from.split_first().ok_or(WrongHead::Short)?;
    let mask = (1_usize << bits) - 1;
    let mut value = usize::from(*first) & mask;
    if value == mask {
        let mut shift = 0;
        loop {
            let (byte, behind) = rest.split_first().ok_or(WrongHead::Short)?;
            rest = behind;
            // Four bytes of seven bits are more than any length or index here.
            if shift > 21 {
                return Err(WrongHead::Number);
            }
            value += usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    *from = rest;
    Ok(value)
}

/// A string (section 5.2), to the end of `out`.
fn string(from: &mut &[u8], most: usize, out: &mut Vec<u8>) -> Result<(), WrongHead> {
    let is_huffman = from.first().ok_or(WrongHead::Short)? & 0x80 != 0;
    let length = number(from, 7)?;
    if length > most {
        return Err(WrongHead::TooLong);
    }
    let (text, rest) = from.split_at_checked(length).ok_or(WrongHead::Short)?;
    *from = rest;
    match is_huffman {
        true => huffman::decode(text, out).ok_or(WrongHead::Huffman),
        false => {
            out.extend_from_slice(text);
            Ok(())
        }
    }
}

/// What writes the heads of a connection, each after the other.
#[derive(Debug)]
pub struct Encoder {
    table: Table,
    /// The smallest size that the table was given since the last head, and the latest: the next head begins with them.
    sizes: Option<(usize, usize)>,
    /// How often something was added to the table: indices are those of one such time.
    age: u64,
}

impl Default for Encoder {
    fn default() -> Encoder {
        Encoder {
            table: Table::new(),
            sizes: None,
            age: 0,
        }
    }
}

impl Encoder {
    /// The other side's table holds so much from now on; more than 4096 bytes of it are not used.
    pub fn resize(&mut self, size: usize) {
        let size = size.min(SIZE);
        self.table.resize(size);
        let smallest = self.sizes.map_or(size, |(smallest, _)| smallest.min(size));
        self.sizes = Some((smallest, size));
        self.age += 1;
    }

    /// As long as this is the same, the same head is written in the same way: it was written once, and all of it that
    /// can be is in a table.
    pub fn age(&self) -> u64 {
        self.age
    }

    /// Writes a head at the end of `out`. With `learn`, fields that are in no table are put into one.
    pub fn encode<'a>(
        &mut self,
        fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
        learn: bool,
        out: &mut Vec<u8>,
    ) {
        if let Some((smallest, latest)) = self.sizes.take() {
            if smallest < latest {
                write_number(0x20, 5, smallest, out);
            }
            write_number(0x20, 5, latest, out);
        }
        for (name, value) in fields {
            let (whole, named) = self.table.find(name, value);
            if let Some(index) = whole {
                write_number(0x80, 7, index, out);
                continue;
            }
            // What is longer would put out everything else.
            let learn = learn && name.len() + value.len() < SIZE / 4;
            let (kind, bits) = if learn { (0x40, 6) } else { (0x00, 4) };
            write_number(kind, bits, named.unwrap_or(0), out);
            if named.is_none() {
                write_number(0, 7, name.len(), out);
                out.extend_from_slice(name);
            }
            write_number(0, 7, value.len(), out);
            out.extend_from_slice(value);
            if learn {
                self.table.insert(name, value);
                self.age += 1;
            }
        }
    }
}

fn write_number(kind: u8, bits: u32, value: usize, out: &mut Vec<u8>) {
    let mask = (1_usize << bits) - 1;
    if value < mask {
        out.push(kind | value as u8);
        return;
    }
    out.push(kind | mask as u8);
    let mut rest = value - mask;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests;
