//! A block of our own in a file that is no TOML: the template from which k3s and RKE2 make containerd's configuration.
//!
//! The rest of such a file is a program in Go's template language, which only k3s itself can run. So nothing of it is
//! changed, and the block has only tables that the result does not have yet: TOML allows no table twice.

use super::edit::EditError;
use super::{Owned, OwnedKey, Withdrawn};

/// The block's first line.
const BEGIN: &str = "# kubefence: begin";
/// The block's last line.
const END: &str = "# kubefence: end";

/// The text between the marks, if there is a block.
pub(super) fn block(text: &str) -> Result<Option<String>, EditError> {
    Ok(split(text)?.map(|(_, block, _)| block))
}

/// `text` with the block, at its end or where it is already.
pub(super) fn with_block(text: &str, content: &str) -> Result<String, EditError> {
    let block = format!("{BEGIN}\n{content}{END}\n");
    if let Some((before, _, after)) = split(text)? {
        return Ok(format!("{before}{block}{after}"));
    }
    let gap = match text {
        "" => "",
        text if text.ends_with('\n') => "\n",
        _ => "\n\n",
    };
    Ok(format!("{text}{gap}{block}"))
}

/// `text` without the block.
pub(super) fn without_block(text: &str, written: &str) -> Result<Withdrawn, EditError> {
    let Some((before, content, after)) = split(text)? else {
        return Ok(Withdrawn {
            text: text.to_owned(),
            left: Vec::new(),
            lost: Vec::new(),
        });
    };
    let foreign = content
        .lines()
        .filter(|line| !line.trim().is_empty() && !written.lines().any(|known| known == *line));
    let lost = foreign.map(|line| format!("{line} is gone, together with the block"));
    let lost = lost.collect();
    let before = match before.strip_suffix("\n\n") {
        Some(before) => format!("{before}\n"),
        None => before,
    };
    Ok(Withdrawn {
        text: before + &after,
        left: Vec::new(),
        lost,
    })
}

/// What the block is for the manifest.
pub(super) fn key(content: &str) -> OwnedKey {
    OwnedKey {
        path: Vec::new(),
        owned: Owned::Block {
            written: content.to_owned(),
        },
    }
}

/// What stands before the block, in it, and after it.
fn split(text: &str) -> Result<Option<(String, String, String)>, EditError> {
    let mut parts = [String::new(), String::new(), String::new()];
    let mut part = 0;
    for line in text.split_inclusive('\n') {
        match (part, line.trim_end()) {
            (0, BEGIN) => part = 1,
            (1, END) => part = 2,
            _ => parts[part].push_str(line),
        }
    }
    let [before, block, after] = parts;
    match part {
        0 => Ok(None),
        2 => Ok(Some((before, block, after))),
        _ => Err(EditError::OpenBlock {
            begin: BEGIN,
            end: END,
        }),
    }
}
