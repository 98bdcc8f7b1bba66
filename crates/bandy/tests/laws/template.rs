//! A template is its text with values in the place of fields, whatever is in the values.

use bandy::services::template::{Field, Template};
use proptest::prelude::*;

/// What a template is made of.
#[derive(Debug, Clone)]
enum Part {
    Text(String),
    Field(&'static str),
}

impl Part {
    /// As it stands in a template.
    fn written(&self) -> String {
        match self {
            Part::Text(text) => text.replace('{', "{{").replace('}', "}}"),
            Part::Field(name) => format!("{{{name}}}"),
        }
    }
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![
        "[{}a-z é]{0,8}".prop_map(Part::Text),
        any::<String>().prop_map(Part::Text),
        prop::sample::select(Field::ALL.to_vec()).prop_map(|(name, _)| Part::Field(name)),
    ]
}

fn rendered(template: &Template, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    template.render(&mut out, |_, out| out.extend_from_slice(value));
    out
}

proptest! {
    #[test]
    fn fields_are_replaced_and_their_values_never_looked_at(
        parts in prop::collection::vec(part(), 0..8),
        value in prop_oneof![any::<Vec<u8>>(), "[{}]{0,4}(\\{message\\}|\\{n)".prop_map(String::into_bytes)],
    ) {
        let text: String = parts.iter().map(Part::written).collect();
        let template = Template::parse(&text).expect("well formed");
        let expected: Vec<u8> = parts
            .iter()
            .flat_map(|part| match part {
                Part::Text(text) => text.clone().into_bytes(),
                Part::Field(_) => value.clone(),
            })
            .collect();
        prop_assert_eq!(rendered(&template, &value), expected);
    }

    #[test]
    fn every_field_is_asked_for_by_its_own_name(parts in prop::collection::vec(part(), 0..8)) {
        let text: String = parts.iter().map(Part::written).collect();
        let mut asked = Vec::new();
        let template = Template::parse(&text).expect("well formed");
        template.render(&mut Vec::new(), |field, _| asked.push(field));
        let named = |part: &Part| match part {
            Part::Text(_) => None,
            Part::Field(name) => Field::ALL.into_iter().find(|(n, _)| n == name),
        };
        let expected: Vec<Field> = parts.iter().filter_map(named).map(|(_, f)| f).collect();
        prop_assert_eq!(asked, expected);
    }

    #[test]
    fn any_text_is_a_template_or_has_a_brace_that_is_wrong(
        text in prop_oneof![any::<String>(), "[{}a-z é]{0,20}", "([{}]|message|peer|n|x){0,12}"],
    ) {
        match Template::parse(&text) {
            Ok(template) => {
                // Without values it is no longer than its text, and without braces it is its text.
                let out = rendered(&template, b"");
                prop_assert!(out.len() <= text.len());
                let has_braces = text.contains(['{', '}']);
                prop_assert!(has_braces || out == text.as_bytes());
            }
            Err(error) => {
                let at = text.as_bytes().get(error.at);
                prop_assert!(matches!(at, Some(b'{' | b'}')), "{} at {}", error, error.at);
            }
        }
    }
}
