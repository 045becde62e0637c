//! The reference of the profile language in the documentation, made from the list of keys.

use std::fmt::Write as _;

use crate::keys::{Effect, KEYS, Key, Kind};

/// The tables of docs/profiles.md, as Markdown.
pub fn reference() -> String {
    let mut text = String::from("| key | value | meaning |\n| --- | --- | --- |\n");
    for key in with(Effect::Applied).filter(|key| key.path != "network.network_profile") {
        let row = (key.path, value(key.kind), key.about);
        let _ = writeln!(text, "| `{}` | {} | {} |", row.0, row.1, row.2);
    }
    text.push_str(
        "\nRefused, because `wrap` cannot enforce them:\n\n| key | why |\n| --- | --- |\n",
    );
    let proxy = with(Effect::Applied).filter(|key| key.path == "network.network_profile");
    rows(&mut text, proxy.chain(with(Effect::Refused)));
    text.push_str("\nAccepted without effect, and reported:\n\n| key | why |\n| --- | --- |\n");
    rows(&mut text, with(Effect::Ignored));
    text
}

fn with(effect: Effect) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.effect == effect)
}

fn rows<'a>(text: &mut String, keys: impl Iterator<Item = &'a Key>) {
    for key in keys {
        let _ = writeln!(text, "| `{}` | {} |", key.path, key.about);
    }
}

fn value(kind: Kind) -> String {
    match kind {
        Kind::Text => "text".to_owned(),
        Kind::Flag => "`true`, `false`".to_owned(),
        Kind::Number => "number".to_owned(),
        Kind::Paths => "list of paths".to_owned(),
        Kind::Names => "list of names".to_owned(),
        Kind::NameOrNames => "name or list of names".to_owned(),
        Kind::Ports => "list of ports".to_owned(),
        Kind::Choice(words) => words
            .iter()
            .map(|word| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(", "),
        Kind::Any => "anything".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Between its markers the page holds what `kubefence profile reference` prints.
    #[test]
    fn the_committed_page_holds_this_reference() {
        let page = include_str!("../../../docs/profiles.md");
        let (_, rest) = page.split_once("<!-- reference -->\n").unwrap();
        let (held, _) = rest.split_once("<!-- end of reference -->").unwrap();
        assert!(
            held.trim() == reference().trim(),
            "docs/profiles.md is out of date: put the output of `kubefence profile reference` between its marks"
        );
    }
}
