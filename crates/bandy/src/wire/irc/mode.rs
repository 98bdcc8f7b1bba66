//! Changes of modes: `+ov-b ada bob *!*@host` one by one.

/// What a letter takes with it (ISUPPORT's `CHANMODES` and `PREFIX`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// A mask for a list (type A); without one the list is asked for.
    List,
    /// Always a parameter (type B, and the ranks of members).
    Always,
    /// A parameter when it is set (type C).
    WhenSet,
    /// Nothing (type D).
    Nothing,
}

/// One change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change<'a> {
    /// Set or taken away.
    pub set: bool,
    /// The mode.
    pub letter: char,
    /// What goes with it. `None` for a list is the question what is in it.
    pub param: Option<&'a str>,
}

/// What is wrong with a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// There is no such mode: 472.
    Unknown(char),
    /// Its parameter is missing: 696.
    Missing(char),
}

/// The changes of `letters` with their `params`, in order. `takes` knows the modes that there are.
///
/// Parameters that are too many are passed over, as every server does.
pub fn changes<'a>(
    letters: &'a str,
    params: impl IntoIterator<Item = &'a str>,
    takes: impl Fn(char) -> Option<Takes>,
) -> impl Iterator<Item = Result<Change<'a>, Fault>> {
    let mut params = params.into_iter();
    let mut set = true;
    letters.chars().filter_map(move |letter| {
        let change = |set, param| Some(Ok(Change { set, letter, param }));
        match letter {
            '+' | '-' => {
                set = letter == '+';
                None
            }
            _ => match takes(letter) {
                None => Some(Err(Fault::Unknown(letter))),
                Some(Takes::Nothing) => change(set, None),
                Some(Takes::WhenSet) if !set => change(set, None),
                Some(Takes::List) => change(set, params.next()),
                Some(Takes::Always | Takes::WhenSet) => match params.next() {
                    Some(param) => change(set, Some(param)),
                    None => Some(Err(Fault::Missing(letter))),
                },
            },
        }
    })
}

/// Changes as they are written: letters with their signs, and the parameters.
pub fn written<'a>(changes: impl IntoIterator<Item = Change<'a>>) -> (String, Vec<&'a str>) {
    let (mut letters, mut params) = (String::new(), Vec::new());
    let mut sign = None;
    for change in changes {
        if sign != Some(change.set) {
            letters.push(if change.set { '+' } else { '-' });
            sign = Some(change.set);
        }
        letters.push(change.letter);
        params.extend(change.param);
    }
    (letters, params)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn takes(letter: char) -> Option<Takes> {
        Some(match letter {
            'b' => Takes::List,
            'o' | 'v' => Takes::Always,
            'k' | 'l' => Takes::WhenSet,
            'i' | 'm' => Takes::Nothing,
            _ => return None,
        })
    }

    #[test]
    fn one_by_one() {
        let all = |letters, params: &[&'static str]| -> Vec<_> {
            changes(letters, params.iter().copied(), takes).collect()
        };
        let change = |set, letter, param| Ok(Change { set, letter, param });
        assert_eq!(
            all("+o-vb+k-l", &["ada", "bob", "*!*@h", "key", "extra"]),
            [
                change(true, 'o', Some("ada")),
                change(false, 'v', Some("bob")),
                change(false, 'b', Some("*!*@h")),
                change(true, 'k', Some("key")),
                change(false, 'l', None),
            ]
        );
        assert_eq!(all("b", &[]), [change(true, 'b', None)]);
        assert_eq!(
            all("iol?", &[]),
            [
                change(true, 'i', None),
                Err(Fault::Missing('o')),
                Err(Fault::Missing('l')),
                Err(Fault::Unknown('?')),
            ]
        );
        assert_eq!(all("+-+", &[]), []);
    }

    proptest! {
        #[test]
        fn what_is_written_says_the_same(
            sets in prop::collection::vec((any::<bool>(), "[bovklim]", "[a-z]{1,3}"), 0..10)
        ) {
            let change = |(set, letter, param): &'_ (bool, String, String)| {
                let letter = letter.chars().next().expect("one");
                let with = match takes(letter) {
                    Some(Takes::Nothing) | None => false,
                    Some(Takes::WhenSet) => *set,
                    Some(_) => true,
                };
                (*set, letter, with.then(|| param.clone()))
            };
            let owned: Vec<_> = sets.iter().map(change).collect();
            let meant: Vec<_> = owned
                .iter()
                .map(|(set, letter, param)| Change { set: *set, letter: *letter, param: param.as_deref() })
                .collect();
            let (letters, params) = written(meant.iter().copied());
            let read: Result<Vec<_>, _> = changes(&letters, params, takes).collect();
            prop_assert_eq!(read, Ok(meant));
        }
    }
}
