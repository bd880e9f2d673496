//! The training card as far as a device reads it: the name of the environment, found in the JSON
//! text where it lies, without an allocator and without recursion.

use core::iter;

/// Name of the environment in a card as `algodistill export` writes it; where there are several, the
/// first. `None` where the card names none.
pub(crate) fn environment(card: &str) -> Option<&str> {
    let card = card.as_bytes();
    let name = |of| text(member(member(of, b"environment")?, b"name")?);
    // Of the histories, of one file or of several; of a model of RL2 there were none.
    let of_histories =
        |generation| name(generation).or_else(|| elements(generation).into_iter().flatten().find_map(name));
    let of_rl2 = || name(member(member(card, b"training")?, b"rl2")?);
    let found = member(card, b"generation").and_then(of_histories).or_else(of_rl2)?;
    core::str::from_utf8(found).ok()
}

/// The value of a member of an object.
fn member<'j>(object: &'j [u8], name: &[u8]) -> Option<&'j [u8]> {
    let mut rest = object.trim_ascii().strip_prefix(b"{")?;
    loop {
        let (key, after) = first_item(rest);
        let (value, after) = first_item(after.strip_prefix(b":")?);
        if text(key)? == name {
            return Some(value);
        }
        rest = after.strip_prefix(b",")?;
    }
}

/// The elements of an array.
fn elements(array: &[u8]) -> Option<impl Iterator<Item = &[u8]>> {
    let mut rest = Some(array.trim_ascii().strip_prefix(b"[")?);
    Some(iter::from_fn(move || {
        let (element, after) = first_item(rest?);
        rest = after.strip_prefix(b",");
        Some(element)
    }))
}

/// What a string says; `None` for other values, and for strings with escapes, which no name has.
fn text(value: &[u8]) -> Option<&[u8]> {
    let text = value.trim_ascii().strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    (!text.contains(&b'\\')).then_some(text)
}

/// Splits `json` behind its first key or value: before a colon, a comma, or the end of the object or
/// array that it stands in.
fn first_item(json: &[u8]) -> (&[u8], &[u8]) {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    let ends = |byte: &u8| {
        if in_string {
            in_string = escaped || *byte != b'"';
            escaped = !escaped && *byte == b'\\';
            return false;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            b':' | b',' | b'}' | b']' if depth == 0 => return true,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        false
    };
    let end = json.iter().position(ends).unwrap_or(json.len());
    json.split_at_checked(end).unwrap_or((json, &[]))
}

#[cfg(test)]
mod tests {
    use super::environment;
    use proptest::prelude::*;

    #[test]
    fn the_environment_is_found_wherever_a_card_has_it() {
        for (card, name) in [
            (r#"{"generation":{"environment":{"horizon":20,"name":"dark-room","size":9}}}"#, "dark-room"),
            (r#"{ "a":{"b":[1,{"c":"}\"]"}]}, "generation" : { "environment":{"name" : "x"} } } "#, "x"),
            (
                r#"{"generation":[null,{"environment":{"name":"bandit"}},{"environment":{"name":"y"}}]}"#,
                "bandit",
            ),
            (r#"{"generation":[],"training":{"rl2":{"layers":2,"environment":{"name":"servo"}}}}"#, "servo"),
            (r#"{"generation":[null,{"environment":{"name":"pump"}}],"training":{}}"#, "pump"),
            (r#"{"generation":{"source":{"name":"psrl"},"environment":{"name":"größe"}}}"#, "größe"),
        ] {
            assert_eq!(environment(card), Some(name), "{card}");
        }
    }

    #[test]
    fn a_card_without_it_names_none() {
        for card in [
            "",
            "{}",
            "[]",
            "{",
            r#"{"generation"#,
            r#"{"generation":null,"training":{"config":{"name":"x"}}}"#,
            r#"{"generation":[null],"training":{}}"#,
            r#"{"generation":{"environment":{"name":"dark-ro"#,
            r#"{"generation":{"environment":{"name":7}}}"#,
            r#"{"generation":{"environment":{"name":"\u0041"}}}"#,
            r#"{"generation":{"environment":"name"}}"#,
        ] {
            assert_eq!(environment(card), None, "{card}");
        }
    }

    proptest! {
        #[test]
        fn anything_else_is_read_to_its_end(card in "[{}\\[\\]:,\"\\\\a ]{0,60}") {
            prop_assert_eq!(environment(&card), None);
        }

        #[test]
        fn a_name_is_found_behind_any_string(said in any::<String>()) {
            let said = said.replace('\\', "\\\\").replace('"', "\\\"");
            let card = format!(r#"{{"said":"{said}","generation":{{"environment":{{"name":"x"}}}}}}"#);
            prop_assert_eq!(environment(&card), Some("x"));
        }
    }
}
